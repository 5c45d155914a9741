#include "engine/room/outbox.hpp"

#include "engine/base/limits.hpp"
#include "engine/io/socket.hpp"
#include "engine/room/room_table.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ringcast::engine {

namespace {

// Pieces of less than this together are copied into one span: a vectored send of small pieces costs more than the copy
// (kernel-notes/ring.md).
constexpr std::size_t copy_pieces_bytes_max = 8192;
// The kernel takes at most so many pieces (UIO_MAXIOV) and answers more of them with EMSGSIZE.
constexpr std::size_t pieces_max = 1024;
// What a connection is encrypted in one go. With more, or with more pieces than one send takes, it is served in parts.
constexpr std::size_t encrypted_bytes_max = 4 * backlog_send_bytes_max;

} // namespace

outbox::outbox(room_host& host, room_table& rooms, ring& r, block_pool& blocks)
    : host_(host), rooms_(rooms), ring_(r), blocks_(blocks), first_(blocks), second_(blocks) {}

outbox::~outbox() = default;

outbox::gathering& outbox::gathering_of(connection& c) {
  if (c.gather != none) return now_->gatherings[c.gather];
  now_->gatherings.push_back({c.slot, c.generation, none, none, none, none, 0, 0});
  c.gather = static_cast<std::uint32_t>(now_->gatherings.size() - 1);
  if (c.memberships != nullptr && !c.always_gathered) rooms_.update_gathered(c);
  return now_->gatherings.back();
}

std::byte* outbox::extend(connection& c, std::size_t bytes) {
  produced_bytes_ += bytes;
  if (c.behind != nullptr) return grow(c.behind->queued, bytes);
  gathering& gathered = gathering_of(c);
  gathered.own_bytes += bytes;
  return extend_gathering(gathered, bytes);
}

std::byte* outbox::extend_gathering(gathering& gathered, std::size_t bytes) {
  if (gathered.last_segment != none) {
    segment& last = now_->segments[gathered.last_segment];
    if (last.bytes + last.size == now_->arena.next() && now_->arena.fits(bytes)) {
      last.size += static_cast<std::uint32_t>(bytes);
      return now_->arena.take(bytes);
    }
  }
  const auto index = static_cast<std::uint32_t>(now_->segments.size());
  now_->segments.push_back({now_->arena.take(bytes), static_cast<std::uint32_t>(bytes), none});
  if (gathered.last_segment == none)
    gathered.first_segment = index;
  else
    now_->segments[gathered.last_segment].next = index;
  gathered.last_segment = index;
  return now_->segments[index].bytes;
}

void outbox::shorten(connection& c, std::size_t bytes) {
  if (c.behind != nullptr) {
    c.behind->queued.size -= static_cast<std::uint32_t>(bytes);
    return;
  }
  gathering& gathered = now_->gatherings[c.gather];
  gathered.own_bytes -= bytes;
  now_->segments[gathered.last_segment].size -= static_cast<std::uint32_t>(bytes);
  now_->arena.untake(bytes);
}

bool outbox::send_direct(connection& c, std::span<const std::byte> bytes) {
  if (c.behind != nullptr || c.gather != none || c.encrypted) return false;
  const std::ptrdiff_t sent = send_now(c.socket, bytes);
  if (sent < 0 && sent != -EAGAIN && sent != -EINTR && sent != -ENOBUFS) {
    host_.on_output_failed(c);
    return true;
  }
  const auto taken = static_cast<std::size_t>(std::max<std::ptrdiff_t>(sent, 0));
  counters_.bytes_direct += taken;
  produced_bytes_ += bytes.size();
  if (taken == bytes.size()) return true;
  append(start_backlog(c).queued, bytes.subspan(taken));
  pump(c);
  return true;
}

void outbox::flush() {
  members_served_ = 0;
  std::vector<room_part*>& dirty = rooms_.dirty();
  for (room_part* r : dirty) {
    r->flushed_before = r->flushed;
    r->flushed = r->window.end();
    if (r->authors_deaf) collect_deaf_authors(*r);
  }
  for (room_part* r : dirty) flush_room(*r);
  for (std::uint32_t i = 0; i < now_->gatherings.size(); ++i) {
    try {
      flush_gathering(i);
    } catch (const std::bad_alloc&) {
      // Nothing of it was given to the kernel.
      if (connection* c = host_.connections().find(now_->gatherings[i].slot, now_->gatherings[i].generation)) host_.on_output_refused(*c);
    }
  }
  go_on_with_backlogs();
  rooms_.flushed();
  std::swap(now_, before_);
}

// The frames of this turn that their authors do not hear; each such author of this shard is served on its own.
void outbox::collect_deaf_authors(room_part& r) {
  r.window.for_each_frame(r.flushed_before, r.flushed, [&](const log_entry& entry, std::uint64_t from, std::uint64_t to) {
    if (entry.author_hears) return;
    connection* author = host_.find({entry.author});
    if (author == nullptr || room_table::seat_of(*author, r) == nullptr) return;
    rooms_.count_unheard();
    if (author->behind != nullptr) return;
    gathering& gathered = gathering_of(*author);
    if (gathered.last_deaf != none && now_->deaf[gathered.last_deaf].to == from && now_->deaf[gathered.last_deaf].where == &r) {
      now_->deaf[gathered.last_deaf].to = to;
      return;
    }
    const auto index = static_cast<std::uint32_t>(now_->deaf.size());
    now_->deaf.push_back({&r, from, to, none});
    (gathered.last_deaf == none ? gathered.first_deaf : now_->deaf[gathered.last_deaf].next) = index;
    gathered.last_deaf = index;
  });
}

void outbox::flush_room(room_part& r) {
  if (r.keeping_up.empty()) return;
  members_served_ += static_cast<std::uint32_t>(r.keeping_up.size());
  scratch_.clear();
  std::uint64_t room_bytes = 0;
  add_pieces(r, r.flushed_before, r.flushed, room_bytes);
  if (scratch_.empty()) return;
  if (scratch_.size() > pieces_max) return serve_in_parts(r);
  const std::uint64_t sends_before = counters_.sends;
  send_to_members(r);
  counters_.bytes_sent += room_bytes * (counters_.sends - sends_before);
}

// What stands in scratch_, to all that keep up.
void outbox::send_to_members(const room_part& r) {
  if (scratch_.size() == 1) {
    const void* bytes = scratch_[0].iov_base;
    const auto count = static_cast<std::uint32_t>(scratch_[0].iov_len);
    for (const keeping_up_member member : r.keeping_up) {
      if (member.gathered) {
        gathering_of(host_.connections().at(member.slot));
        continue;
      }
      ++counters_.sends;
      ring_.send_inline({operation::member_send, 0, member.slot}, member.socket, bytes, count);
    }
    return;
  }
  const msghdr* message = shared_header(scratch_);
  for (const keeping_up_member member : r.keeping_up) {
    if (member.gathered) {
      gathering_of(host_.connections().at(member.slot));
      continue;
    }
    ++counters_.sends;
    ring_.send_inline({operation::member_send, 0, member.slot}, member.socket, message);
  }
}

void outbox::add_pieces(const room_part& r, std::uint64_t from, std::uint64_t to, std::uint64_t& bytes) {
  r.window.for_each_piece(from, to, 0, [&](const log_piece& piece) {
    scratch_.push_back({piece.bytes(), piece.size()});
    bytes += piece.size();
    return true;
  });
}

void outbox::flush_gathering(std::uint32_t index) {
  const gathering gathered = now_->gatherings[index];
  connection* c = host_.connections().find(gathered.slot, gathered.generation);
  if (c == nullptr || c->gather != index) return;
  c->gather = none;
  if (c->memberships != nullptr && !c->always_gathered) rooms_.update_gathered(*c);
  if (c->behind != nullptr || c->phase == connection_phase::ending) return;
  scratch_.clear();
  for (std::uint32_t i = gathered.first_segment; i != none; i = now_->segments[i].next)
    scratch_.push_back({now_->segments[i].bytes, now_->segments[i].size});
  std::uint64_t room_bytes = 0;
  for (const membership* seat = c->memberships; seat != nullptr; seat = seat->next) {
    const room_part& r = *seat->where;
    if (!r.dirty || seat->behind != nullptr) continue;
    std::uint64_t from = r.flushed_before;
    for (std::uint32_t i = gathered.first_deaf; i != none; i = now_->deaf[i].next) {
      const deaf_range& range = now_->deaf[i];
      if (range.where != &r) continue;
      if (range.from > from) add_pieces(r, from, range.from, room_bytes);
      from = range.to;
    }
    if (from < r.flushed) add_pieces(r, from, r.flushed, room_bytes);
  }
  const bool too_much = c->encrypted ? room_bytes > encrypted_bytes_max : scratch_.size() > pieces_max && room_bytes > backlog_send_bytes_max;
  if (too_much) return serve_in_parts(*c, gathered);
  if (c->encrypted && !encrypt_gathering(*c, index)) now_->gatherings[index].own_bytes = 0;
  if (scratch_.empty()) return;
  if (c->is_client) taken_[c->slot] += now_->gatherings[index].own_bytes;
  ++counters_.sends;
  std::size_t bytes = 0;
  for (const iovec& piece : scratch_) bytes += piece.iov_len;
  now_->gatherings[index].sent_bytes = bytes;
  counters_.bytes_sent += bytes;
  // The gathering's number travels as the generation: it is what a failure needs to know.
  send_pieces({operation::inline_send, index, gathered.slot}, c->socket, scratch_, bytes);
}

void outbox::send_pieces(op_tag tag, int socket, std::span<const iovec> pieces, std::size_t bytes) {
  if (pieces.size() == 1) {
    ring_.send_inline(tag, socket, pieces[0].iov_base, static_cast<std::uint32_t>(bytes));
    return;
  }
  if (bytes > copy_pieces_bytes_max && pieces.size() <= pieces_max) {
    ring_.send_inline(tag, socket, shared_header(pieces));
    return;
  }
  std::byte* copy = now_->arena.take(bytes);
  std::byte* out = copy;
  for (const iovec& piece : pieces) {
    std::memcpy(out, piece.iov_base, piece.iov_len);
    out += piece.iov_len;
  }
  ring_.send_inline(tag, socket, copy, static_cast<std::uint32_t>(bytes));
}

// A message header in the turn's arena; any number of sends of this turn may use it.
msghdr* outbox::shared_header(std::span<const iovec> pieces) {
  auto* copied = now_->arena.take_array<iovec>(pieces.size());
  std::copy(pieces.begin(), pieces.end(), copied);
  auto* message = now_->arena.take_array<msghdr>(1);
  *message = {};
  message->msg_iov = copied;
  message->msg_iovlen = pieces.size();
  return message;
}

void outbox::count_taken(const connection& c) {
  if (taken_.size() <= c.slot) taken_.resize(c.slot + 1);
  taken_[c.slot] = 0;
}

void outbox::settle() {
  before_->arena.reset();
  before_->gatherings.clear();
  before_->segments.clear();
  before_->deaf.clear();
}

void outbox::trim() {
  constexpr std::size_t kept_max = 4096;
  for (turn* t : {now_, before_}) {
    if (!t->gatherings.empty() || !t->segments.empty() || !t->deaf.empty()) continue;
    t->arena.release();
    if (t->gatherings.capacity() > kept_max) t->gatherings = {};
    if (t->segments.capacity() > kept_max) t->segments = {};
    if (t->deaf.capacity() > kept_max) t->deaf = {};
  }
  if (scratch_.capacity() > kept_max) scratch_ = {};
  if (plaintext_.capacity() > kept_max) plaintext_ = {};
}

void outbox::forget(connection& c) {
  c.gather = none;
  if (c.behind == nullptr || c.behind->in_flight) return;
  dissolve(c);
}

} // namespace ringcast::engine

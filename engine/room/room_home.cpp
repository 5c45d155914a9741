#include "engine/room/room_home.hpp"

#include "engine/room/home_cluster.hpp"
#include "engine/room/position_text.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <functional>
#include <new>
#include <utility>

namespace ringcast::engine {

home_room::home_room() = default;
home_room::~home_room() = default;

home_table::home_table(block_pool& blocks, shard_courier& courier, std::uint32_t own, std::uint32_t shards, compressor& with,
                       const compression_options& compression, const room_rulebook& rules, std::uint64_t history_bytes_max,
                       const presence_options& presence, const std::uint64_t& now_ms)
    : chunks_(blocks), courier_(courier), own_(own), compressor_(with), compression_(compression), rules_(rules), presence_(presence),
      now_ms_(now_ms), store_(history_bytes_max / shards), attached_(shards) {}

home_table::~home_table() = default;

void home_table::use(cluster_engine& engine) { cluster_ = std::make_unique<home_cluster>(*this, engine); }

std::uint32_t home_room::members() const {
  std::uint32_t sum = 0;
  for (const branch& b : branches) sum += b.members;
  return sum;
}

home_room* home_table::room_of(std::uint32_t shard, room_ref room) const {
  const auto& known = attached_[shard];
  if (room.index >= known.size() || known[room.index].generation != room.generation) return nullptr;
  return known[room.index].room;
}

home_room& home_table::make(std::string_view name) {
  auto [found, made] = rooms_.try_emplace(std::string{name});
  if (!made) return *found->second;
  found->second = std::make_unique<home_room>();
  home_room& home = *found->second;
  home.name = name;
  home.rules = &rules_.of(name);
  // Nobody can tell it in advance, and no other room of this process or of another run has the same: the key of the hash is random.
  const std::uint64_t said[] = {own_, ++rooms_made_};
  home.epoch = std::max<std::uint64_t>(keyed_hash(std::as_bytes(std::span{said})), 1);
  if (home.rules->history.is_on()) read_encoding(home, room_encoding::plain);
  if (home.rules->cluster && cluster_ != nullptr) cluster_->made(home);
  return home;
}

void home_table::forget(home_room& home) {
  if (!home.branches.empty() || home.dirty || home.has_history() || !home.readers.empty()) return;
  if (home.cluster != nullptr && cluster_->needs(home)) return;
  if (home.presence != nullptr && !home.presence->users.empty()) return; // they are still to be told as gone
  std::erase(emptied_, &home);
  std::erase(counts_due_, &home);
  if (home.cluster != nullptr) cluster_->forgotten(home);
  rooms_.erase(rooms_.find(home.name));
}

// Somebody reads it, or keeps it.
void home_table::read_encoding(home_room& home, room_encoding encoding) {
  auto& place = home.encodings[index_of(encoding)];
  if (place != nullptr) return;
  place = std::make_unique<home_room::encoded>();
  if (encoding != room_encoding::plain || !home.rules->history.is_on()) return;
  place->kept = std::make_unique<room_history>(store_, &home);
  place->log.fill_chunks(true);
}

void home_table::attach(std::uint32_t shard, const attach_record& part, std::string_view name) {
  const room_ref room = part.room;
  auto& known = attached_[shard];
  if (room.index >= known.size()) known.resize(room.index + 1);
  home_room& home = make(name);
  known[room.index] = {room.generation, &home};
  home.branches.push_back({shard, room, 0, part.encoding});
  read_encoding(home, part.encoding);
  home_room::encoded& encoded = *home.of(part.encoding);
  // What was said in this turn is not written in an encoding that nobody read. It belongs to what was said before.
  if (encoded.branches++ == 0 && home.published_end != home.next_sequence) publish(home);
}

void home_table::detach(std::uint32_t shard, room_ref room) {
  home_room* home = room_of(shard, room);
  if (home == nullptr) return;
  attached_[shard][room.index] = {};
  std::erase_if(home->branches, [&](const home_room::branch& b) {
    if (b.shard != shard || b.room.index != room.index) return false;
    home_room::encoded& encoded = *home->of(b.encoding);
    --encoded.branches;
    // What is kept in it is there for those who come back.
    if (encoded.branches == 0 && encoded.kept == nullptr && !encoded.log.has_unpublished()) home->encodings[index_of(b.encoding)].reset();
    if (shard == own_) home->members_here -= b.members;
    return true;
  });
  forget(*home);
}

void home_table::set_members(std::uint32_t shard, room_ref room, std::uint32_t members) {
  home_room* home = room_of(shard, room);
  if (home == nullptr) return;
  for (home_room::branch& b : home->branches)
    if (b.shard == shard && b.room.index == room.index) {
      if (shard == own_) home->members_here += members - b.members;
      b.members = members;
    }
  if (home->cluster != nullptr) cluster_->members_changed(*home);
}

void home_table::publish(std::uint32_t shard, const publish_record& head, std::span<const std::byte> payload) {
  home_room* home = room_of(shard, head.room);
  if (home == nullptr) return;
  if (home->rules->messages.is_on() && !takes_message(*home)) return refuse(shard, head);
  if (home->cluster != nullptr) [[unlikely]]
    return cluster_->publish(*home, {shard, head.report_id, head.author, head.author_hears}, head.op, payload);
  if (head.report_id != 0) home->reports.push_back({shard, head.report_id, home->next_sequence});
  append(*home, head.op, payload, head.author, head.author_hears);
}

bool home_table::publish_to(std::string_view room, opcode op, std::span<const std::byte> payload) {
  const auto found = rooms_.find(room);
  const bool is_heard = found != rooms_.end() && found->second->members() > 0;
  const rules_of_room& rules = found != rooms_.end() ? *found->second->rules : rules_.of(room);
  const bool is_of_cluster = rules.cluster && cluster_ != nullptr; // who hears it is known to no single server
  if (!is_heard && !rules.history.is_on() && !is_of_cluster) return false;
  home_room& home = found != rooms_.end() ? *found->second : make(room);
  if (rules.messages.is_on() && !takes_message(home)) return true;
  if (is_of_cluster)
    cluster_->publish(home, {.shard = own_, .report_id = 0, .connection = 0, .hears = true}, op, payload);
  else
    append(home, op, payload, 0, true);
  return true;
}

namespace {

bool is_written(const home_room::encoded* encoded, room_encoding encoding) {
  if (encoded == nullptr) return false;
  return encoded->branches > 0 || encoded->log.has_unpublished() || (encoding == room_encoding::plain && encoded->kept != nullptr);
}

} // namespace

namespace {

// The event of an event stream that a message of a room is, with its position as its id.
class room_event {
 public:
  room_event(std::uint64_t epoch, const log_message& message)
      : position_({epoch, message.sequence}), event_{.name = {}, .id = position_.view(), .op = message.op, .payload = message.payload} {}
  [[nodiscard]] const stream_event& event() const { return event_; }

 private:
  position_text position_;
  stream_event event_;
};

// How much room a message needs in a log at most.
std::size_t bytes_in(room_encoding encoding, std::uint64_t epoch, const log_message& message) {
  if (encoding == room_encoding::event_stream) return event_chunk_bytes(room_event{epoch, message}.event());
  return message.payload.size() + (is_numbered(encoding) ? sequence_prefix::bytes_max : 0);
}

} // namespace

void home_table::append_to(room_log& log, room_encoding encoding, std::uint64_t epoch, log_message message) {
  if (encoding == room_encoding::event_stream) return log.append_event(chunks_, message, room_event{epoch, message}.event());
  const auto write = [&] {
    if (is_deflating(encoding))
      log.append_deflated(chunks_, message, compressor_, compression_);
    else
      log.append(chunks_, message);
  };
  if (!is_numbered(encoding)) return write();
  const sequence_prefix prefix{message.op, message.sequence};
  message.prefix = prefix.bytes();
  write();
}

void home_table::append(home_room& home, opcode op, std::span<const std::byte> payload, std::uint64_t author, bool author_hears) {
  const log_message message{.op = op, .payload = payload, .author = author, .author_hears = author_hears, .sequence = home.next_sequence};
  // All logs get room before any gets the message: where there is no memory none has it, and its number is given to the next.
  for (std::size_t i = 0; i < room_encodings; ++i) {
    const auto encoding = static_cast<room_encoding>(i);
    home_room::encoded* const encoded = home.of(encoding);
    if (!is_written(encoded, encoding)) continue;
    const std::size_t bytes_max = bytes_in(encoding, home.epoch, message);
    if (is_deflating(encoding))
      encoded->log.prepare_deflated(chunks_, bytes_max, compression_, is_numbered(encoding));
    else
      encoded->log.prepare(chunks_, bytes_max);
  }
  ++home.next_sequence;
  std::uint64_t readers = home.members_here;
  for (std::size_t i = 0; i < room_encodings; ++i) {
    const auto encoding = static_cast<room_encoding>(i);
    home_room::encoded* const encoded = home.of(encoding);
    if (!is_written(encoded, encoding)) continue;
    append_to(encoded->log, encoding, home.epoch, message);
    readers += 16;
  }
  fan_out_bytes_ += payload.size() * readers;
  if (home.dirty) return;
  home.dirty = true;
  dirty_.push_back(&home);
}

// Returns how many shards were told.
std::uint32_t home_table::publish_encoding(home_room& home, room_encoding encoding) {
  home_room::encoded* const encoded = home.of(encoding);
  if (encoded == nullptr) return 0;
  targets_.clear();
  for (const home_room::branch& b : home.branches)
    if (b.encoding == encoding && b.members > 0) targets_.push_back(b);
  const auto readers = static_cast<std::uint32_t>(targets_.size());
  spans_.clear();
  const bool is_kept = encoded->kept != nullptr;
  encoded->log.publish(readers + (is_kept ? 1 : 0), spans_);
  for (const home_room::branch& b : targets_) {
    for (const log_span& span : spans_) courier_.deliver(b.shard, record_kind::span, bytes_of(span_record{b.room, span}), {});
    for (const home_room::wanted_report& wanted : reports_)
      courier_.deliver(b.shard, record_kind::report_request, bytes_of(report_request_record{b.room, wanted.reporter, wanted.report_id}), {});
  }
  if (is_kept) keep(home, encoding);
  // Somebody has left in the turn in which the last message came.
  if (!is_written(encoded, encoding) && !is_kept) home.encodings[index_of(encoding)].reset();
  return readers;
}

// spans_ has a reference for the history.
void home_table::keep(home_room& home, room_encoding encoding) {
  room_history& kept = *home.of(encoding)->kept;
  for (const log_span& span : spans_) {
    // Nobody read this encoding for a while. Where there is no memory for what is between, it begins anew.
    if (!kept.empty() && kept.end_sequence() != span.first_sequence) {
      try {
        encode_kept(home, encoding, kept.end_sequence(), span.first_sequence);
      } catch (const std::bad_alloc&) {
        kept.clear();
      }
    }
    kept.append(span, now_ms_);
    span.chunk->release();
  }
  if (encoding == room_encoding::plain) kept.drop_old(home.rules->history, now_ms_);
  store_.bound([this](home_room* emptied) {
    try {
      emptied_.push_back(emptied);
    } catch (const std::bad_alloc&) {
      // expire() comes by.
    }
  });
}

void home_table::publish_spans() {
  // What a delivery makes a member say (it may be closed, and say that it left) waits for the next turn.
  publishing_.swap(dirty_);
  for (home_room* home : publishing_) {
    home->dirty = false;
    publish(*home);
    forget(*home);
  }
  publishing_.clear();
  if (!leaving_.empty()) tell_leavings();
  if (!refused_.empty()) tell_refused();
  // What the budget took from rooms that nobody is in was all that held them.
  while (!emptied_.empty()) {
    home_room& emptied = *emptied_.back();
    emptied_.pop_back();
    forget(emptied);
  }
}

void home_table::publish(home_room& home) {
  home.published_end = home.next_sequence;
  reports_.swap(home.reports);
  std::uint32_t readers = 0;
  for (std::size_t i = 0; i < room_encodings; ++i) readers += publish_encoding(home, static_cast<room_encoding>(i));
  for (const home_room::wanted_report& wanted : reports_)
    courier_.deliver(wanted.reporter, record_kind::report_expect,
                     bytes_of(report_expect_record{wanted.report_id, readers, {home.epoch, wanted.sequence}}), {});
  reports_.clear();
  if (!home.readers.empty()) answer_readers(home, true);
}

// --- what is kept ---

namespace {

struct frame_view {
  opcode op;
  std::span<const std::byte> payload;
};

// A frame of a plain log: ours, whole, unmasked (RFC 6455 5.2).
frame_view read_own_frame(const std::byte* frame, const std::byte* end) {
  const auto short_length = std::to_integer<unsigned>(frame[1]);
  const std::size_t header_bytes = short_length == 127 ? 10 : short_length == 126 ? 4 : 2;
  return {static_cast<opcode>(std::to_integer<unsigned>(frame[0]) & 0x0f), {frame + header_bytes, end}};
}

} // namespace

void for_each_message(const log_span& span, const std::function<void(std::uint64_t, opcode, std::span<const std::byte>)>& visit) {
  std::uint32_t begin = span.begin;
  for (std::uint32_t i = span.entry_begin; i < span.entry_end; ++i) {
    const std::uint32_t end = span.chunk->entry(i).end;
    const frame_view frame = read_own_frame(span.chunk->data() + begin, span.chunk->data() + end);
    visit(span.first_sequence + (i - span.entry_begin), frame.op, frame.payload);
    begin = end;
  }
}

// Makes what the plain history has from one number to before another in an encoding, and puts it in front of what is kept of that, or behind it.
// Throws std::bad_alloc.
void home_table::encode_kept(home_room& home, room_encoding encoding, std::uint64_t from, std::uint64_t end) {
  room_history& target = *home.of(encoding)->kept;
  room_log made;
  made.fill_chunks(true);
  home.history()->for_each_span(from, [&](const log_span& span) {
    for_each_message(span, [&](std::uint64_t sequence, opcode op, std::span<const std::byte> payload) {
      if (sequence >= end) return;
      const log_entry& entry = span.chunk->entry(span.entry_begin + static_cast<std::uint32_t>(sequence - span.first_sequence));
      const log_message message{.op = op, .payload = payload, .author = entry.author, .author_hears = entry.author_hears != 0, .sequence = sequence};
      made.prepare(chunks_, bytes_in(encoding, home.epoch, message));
      append_to(made, encoding, home.epoch, message);
    });
  });
  std::vector<log_span> spans;
  made.publish(1, spans);
  if (target.empty() || target.first_sequence() == end) return target.prepend(spans);
  for (const log_span& span : spans) {
    target.append(span, now_ms_);
    span.chunk->release();
  }
}

// A replay goes out as it is kept, and never deflated: a frame without RSV1 says so (RFC 7692 6), and to deflate it for one member would cost more than
// it saves.
std::unique_ptr<replay> home_table::replay_of(home_room& home, room_encoding encoding, const replay_wish& wish) {
  auto made = std::make_unique<replay>();
  const std::uint64_t end = home.published_end;
  made->joined.at = {home.epoch, end - 1};
  const std::uint64_t kept_from = home.has_history() ? home.history()->first_within(home.rules->history, now_ms_) : end;
  std::uint64_t from = wish.last == 0 && wish.has_after ? kept_from : std::max(kept_from, end - std::min<std::uint64_t>(end, wish.last));
  if (wish.has_after && wish.after.epoch == home.epoch && wish.after.sequence < end && wish.after.sequence + 1 >= kept_from) {
    made->joined.resumed = true;
    from = wish.after.sequence + 1;
  }
  made->first_sequence = from;
  made->joined.first = std::min(from, end);
  if (from >= end) return made;
  const room_encoding kept_as = undeflated(encoding);
  if (kept_as != room_encoding::plain) {
    read_encoding(home, kept_as);
    home_room::encoded& encoded = *home.of(kept_as);
    if (encoded.kept == nullptr) {
      encoded.kept = std::make_unique<room_history>(store_, &home);
      encoded.log.fill_chunks(true);
    }
    room_history& kept = *encoded.kept;
    kept.drop_before(home.history()->first_sequence());
    if (!kept.empty() && kept.end_sequence() < end) encode_kept(home, kept_as, kept.end_sequence(), end);
    if (kept.empty() || kept.first_sequence() > from) encode_kept(home, kept_as, from, kept.empty() ? end : kept.first_sequence());
    encoded.used_ms = now_ms_;
  }
  const std::uint64_t until = wish.messages_max == 0 ? end : std::min(end, from + wish.messages_max);
  home.of(kept_as)->kept->for_each_span(from, [&](const log_span& span) {
    if (span.first_sequence >= until) return;
    made->spans.push_back(span);
    span.chunk->hold();
  });
  return made;
}

std::unique_ptr<replay> home_table::replay_for(std::uint32_t shard, room_ref room, const replay_wish& wish) {
  home_room* const home = room_of(shard, room);
  if (home == nullptr) return nullptr;
  room_encoding encoding = room_encoding::plain;
  for (const home_room::branch& b : home->branches)
    if (b.shard == shard && b.room.index == room.index) encoding = b.encoding;
  return replay_of(*home, encoding, wish);
}

std::unique_ptr<replay> home_table::read(std::string_view room, const replay_wish& wish) {
  const auto found = rooms_.find(room);
  if (found == rooms_.end()) return nullptr;
  // Whoever has said something in this turn and asks then finds it.
  if (found->second->published_end != found->second->next_sequence) publish(*found->second);
  return replay_of(*found->second, room_encoding::plain, wish);
}

bool home_table::expire() {
  auto at = rooms_.lower_bound(expire_from_);
  for (std::size_t looked = 0; looked < rooms_expired_at_once && at != rooms_.end(); ++looked) {
    home_room& home = *(at++)->second; // it may go
    if (home.history() != nullptr) home.history()->drop_old(home.rules->history, now_ms_);
    if (!home.readers.empty()) answer_readers(home, false);
    for (std::size_t i = 1; i < room_encodings; ++i) {
      const home_room::encoded* const encoded = home.encodings[i].get();
      if (encoded != nullptr && encoded->kept != nullptr && encoded->branches == 0 && encoded->used_ms + encoding_unused_ms <= now_ms_)
        home.encodings[i].reset();
    }
    forget(home);
  }
  expire_from_ = at == rooms_.end() ? std::string{} : at->first;
  return store_.bytes() > 0 || has_readers();
}

bool home_table::wait(std::string_view room, const history_query_record& query) {
  const auto found = rooms_.find(room);
  if (found == rooms_.end() || !found->second->rules->history.is_on() || readers_ == readers_max) return false;
  home_room& home = *found->second;
  const room_position newest{home.epoch, home.next_sequence - 1};
  if (!query.wish.has_after || query.wish.after != newest) return false;
  home.readers.push_back({query, now_ms_ + query.wait_ms});
  ++readers_;
  return true;
}

void home_table::answer_readers(home_room& home, bool all) {
  const auto is_over = [&](const home_room::waiting_reader& reader) { return all || reader.until_ms <= now_ms_; };
  for (const home_room::waiting_reader& reader : home.readers) {
    if (!is_over(reader)) continue;
    std::unique_ptr<replay> heard;
    try {
      heard = replay_of(home, room_encoding::plain, reader.query.wish);
    } catch (const std::bad_alloc&) {
      // As if there were no such room: it asks again.
    }
    courier_.deliver(reader.query.reporter, record_kind::history_answer, bytes_of(history_answer_record{reader.query.query_id, heard.release()}), {});
  }
  readers_ -= std::erase_if(home.readers, is_over);
}

void home_table::answer_readers() {
  if (!has_readers()) return;
  for (auto& [name, home] : rooms_) answer_readers(*home, true);
}

void home_table::drop_history(home_room& home) {
  for (auto& encoded : home.encodings)
    if (encoded != nullptr && encoded->kept != nullptr) encoded->kept->clear();
}

void home_table::drop_history() {
  for (auto& [name, home] : rooms_) drop_history(*home);
}

const home_room* home_table::find(std::string_view name) const {
  const auto found = rooms_.find(name);
  return found == rooms_.end() ? nullptr : found->second.get();
}

} // namespace ringcast::engine

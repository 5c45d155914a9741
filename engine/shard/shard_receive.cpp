// The receiving side of a shard: accepting, receives in their modes, and the bytes of unfinished frames and heads.
#include "engine/base/log.hpp"
#include "engine/connection/connection_layers.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/shard.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <utility>

namespace ringcast {

namespace {

constexpr std::uint64_t accept_pause_ms = 100;

// One line a second, whatever the number of shards that have to refuse.
bool may_log_refusal(std::uint64_t now_ms) {
  static std::atomic<std::uint64_t> next_ms{0};
  std::uint64_t next = next_ms.load(std::memory_order_relaxed);
  return now_ms >= next && next_ms.compare_exchange_strong(next, now_ms + 1000, std::memory_order_relaxed);
}

} // namespace

namespace {

struct kept_partials {
  std::vector<void*> free;
  ~kept_partials() {
    for (void* memory : free) ::operator delete(memory);
  }
};
constexpr std::size_t partials_kept_max = 256;
thread_local kept_partials partials;

} // namespace

void* partial_input::operator new(std::size_t bytes) {
  if (partials.free.empty()) return ::operator new(bytes);
  void* memory = partials.free.back();
  partials.free.pop_back();
  return memory;
}

void partial_input::operator delete(void* memory) noexcept {
  if (partials.free.size() == partials_kept_max) return ::operator delete(memory);
  if (partials.free.capacity() == 0) partials.free.reserve(partials_kept_max);
  partials.free.push_back(memory);
}

void shard::arm_accept(std::uint32_t listener) {
  accept_armed_[listener] = true;
  ring_->arm_accept({operation::accept, 0, listener}, listeners_[listener]);
}

void shard::on_accept(op_tag tag, const completion& done) {
  if (!done.more) accept_armed_[tag.slot] = false;
  if (done.result >= 0) {
    connection_source from = 0;
    const admission_result result = stopping_ ? admission_result::server_is_full : admit(done.result, from);
    if (result == admission_result::admitted) return open(done.result, tag.slot, from);
    ++counters_.refused;
    // A TLS handshake is too much to pay for a refusal.
    if (identities_[tag.slot] != nullptr || refusals_ >= refusals_answered_max) return close_now(done.result);
    return answer_refusal(done.result, tag.slot,
                          stopping_                                    ? "the server is going away"
                          : result == admission_result::server_is_full ? "the server has as many connections as it takes"
                                                                       : "there are too many connections from this address");
  }
  if (stopping_ || done.result == -ECONNABORTED || done.result == -EINTR) return;
  // Out of descriptors or memory: those who wait are refused rather than left waiting, and accepting pauses.
  accept_failing_ = true;
  refuse_one(listeners_[tag.slot]);
  if (may_log_refusal(now_ms_)) {
    log_warning("cannot accept connections: {}; new ones are refused, open ones are kept", std::strerror(-done.result));
  }
  timers_.arm(accept_timer_, now_ms_ + accept_pause_ms);
}

// With the reserve descriptor given up there is room for one: what waits is accepted and closed, one after the other.
void shard::refuse_one(int listener) {
  if (reserve_descriptor_ >= 0) close_now(reserve_descriptor_);
  for (int i = 0; i < 64; ++i) {
    const int refused = accept_now(listener);
    if (refused < 0) break;
    ++counters_.refused;
    close_now(refused);
  }
  reserve_descriptor_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

admission_result shard::admit(int socket, connection_source& from) {
  if (options_.admits == nullptr) return admission_result::admitted;
  // The address is asked for now and kept: a connection that was reset no longer has it.
  if (options_.admits->counts_sources()) from = source_of(peer_address_of(socket));
  return options_.admits->enter(from);
}

void shard::release_admission(connection& c) {
  if (!c.admitted) {
    --refusals_;
    return;
  }
  if (options_.admits != nullptr) options_.admits->leave(c.slot < sources_.size() ? sources_[c.slot] : 0);
}

// Answered before it has asked (RFC 9112 9.5 lets a server say and close at any time); what it sends is read and
// dropped until it closes, so that no reset takes the answer away from it.
void shard::answer_refusal(int socket, std::uint32_t listener, std::string_view why) {
  connection& c = connections_.take();
  c.socket = socket;
  c.phase = connection_phase::http;
  c.listener = static_cast<std::uint8_t>(listener);
  ++refusals_;
  arm_receive(c);
  refuse_request(c, http_status::service_unavailable, why);
}

void shard::open(int socket, std::uint32_t listener, connection_source from) {
  connection& c = connections_.take();
  c.socket = socket;
  c.admitted = true;
  if (options_.admits != nullptr && options_.admits->counts_sources()) {
    if (sources_.size() <= c.slot) sources_.resize(c.slot + 1);
    sources_[c.slot] = from;
  }
  if (identities_[listener] != nullptr) begin_tls(c, *identities_[listener]);
  c.phase = connection_phase::http;
  c.listener = static_cast<std::uint8_t>(listener);
  c.last_heard_ms = static_cast<std::uint32_t>(now_ms_);
  ++counters_.accepted;
  arm_receive(c);
  arm_timer(c, options_.limits.handshake_timeout_ms);
}

// Armed at the end of the turn, behind its sends: what is there already is received while it is submitted, and would complete before the
// sends that fail in the same submission.
void shard::arm_receive(connection& c) {
  c.receiving = receive_mode::parked;
  parked_.push_back(handle_of(c));
}

// Behind the sends of the turn, as receives are armed: what a receive still delivers while it is cancelled must not come before the failures of
// those sends. And before receives are armed anew, which must not be cancelled.
void shard::cancel_receives() {
  for (const op_tag target : cancels_) ring_->arm_cancel({operation::cancel}, target);
  cancels_.clear();
}

// A receive that goes on takes every buffer as long as its socket has more. So whoever found none is given one at first: as many as there are
// buffers are served together, and a word does not wait until each large message before it has been read.
void shard::rearm_parked() {
  if (parked_.empty()) return;
  if (!buffers_.has_buffers()) {
    counters_.receives_parked += parked_.size();
    return;
  }
  parked_before_.clear();
  parked_before_.swap(parked_);
  for (const connection_handle handle : parked_before_) {
    connection* c = find(handle);
    if (c == nullptr || c->receiving != receive_mode::parked || c->phase == connection_phase::ending) continue;
    c->receiving = receive_mode::multishot;
    ++c->operations;
    const op_tag tag{operation::receive, c->generation, c->slot};
    if (c->buffer_missed)
      ring_->arm_receive_once(tag, c->socket, buffer_ring::group);
    else
      ring_->arm_receive(tag, c->socket, buffer_ring::group);
    c->buffer_missed = false;
  }
}

void shard::on_receive(op_tag tag, const completion& done) {
  const std::span<std::byte> bytes = done.has_buffer ? buffers_.received(done) : std::span<std::byte>{};
  connection* c = connections_.find(tag.slot, tag.generation);
  if (c == nullptr) return;
  const receive_mode was = c->receiving;
  if (!done.more) {
    --c->operations;
    if (was == receive_mode::multishot) c->receiving = receive_mode::none;
  }
  if (c->phase != connection_phase::ending) {
    if (done.result > 0)
      spend_memory(*c, [&] { consume(*c, bytes); });
    else if (done.result == 0)
      on_end_of_stream(*c);
    else if (done.result == -ENOBUFS)
      c->buffer_missed = true;
    else if (done.result != -ECANCELED && done.result != -EINTR && done.result != -EAGAIN)
      end(*c, 1006, "the connection was reset");
  }
  if (done.more) return;
  if (c->phase == connection_phase::ending) {
    release_if_done(*c);
    return;
  }
  if (c->peer_closed) return;
  // The multishot is over: because buffers ran out, because it was cancelled, or for reasons of the kernel's own.
  switch (c->receiving) {
  case receive_mode::switching:
    c->receiving = receive_mode::polled;
    ++c->operations;
    ring_->arm_poll_receive({operation::poll_receive, c->generation, c->slot}, c->socket);
    break;
  case receive_mode::pausing: c->receiving = receive_mode::paused; break;
  case receive_mode::none: arm_receive(*c); break;
  default: break;
  }
}

void shard::pause_receive(connection& c) {
  if (c.receiving == receive_mode::parked) {
    c.receiving = receive_mode::paused;
  } else if (c.receiving == receive_mode::multishot) {
    c.receiving = receive_mode::pausing;
    cancels_.push_back({operation::receive, c.generation, c.slot});
  }
  // A polled connection stays armed; receive_hot() looks at the watermark itself.
}

void shard::resume_receive(connection& c) {
  if (c.peer_closed || c.input_held || c.input_stopped) return;
  // A pipeline that has run ahead is worked off first; respond() leads here again.
  if (c.answering && c.partial != nullptr && c.partial->size > low_watermark_bytes) return;
  if (c.receiving == receive_mode::paused)
    arm_receive(c);
  else if (c.receiving == receive_mode::pausing)
    c.receiving = receive_mode::none; // the cancel is under way; its completion arms again
  else if (c.receiving == receive_mode::polled)
    poll_again_.push_back(handle_of(c));
}

void shard::hold_input(connection& c) {
  if (c.input_held) return;
  c.input_held = true;
  pause_receive(c);
}

void shard::release_input(connection& c) {
  if (!c.input_held) return;
  c.input_held = false;
  input_again_.push_back(handle_of(c));
}

// A connection that sends large frames is read straight into one hot buffer from now on: provided buffers would be walked through once
// each and leave the cache.
void shard::read_large_frames_hot(connection& c) {
  if (c.receiving != receive_mode::multishot && c.receiving != receive_mode::none) return;
  const bool armed = c.receiving == receive_mode::multishot;
  c.receiving = receive_mode::switching; // the completion that is told now, or the next, goes on with it
  if (armed) cancels_.push_back({operation::receive, c.generation, c.slot});
}

void shard::on_poll(op_tag tag, const completion& done) {
  connection* c = connections_.find(tag.slot, tag.generation);
  if (c == nullptr) return;
  if (!done.more) --c->operations;
  if (c->phase == connection_phase::ending) {
    if (!done.more) release_if_done(*c);
    return;
  }
  if (done.result < 0 || (done.result & (POLLRDHUP | POLLHUP | POLLERR)) != 0) c->end_announced = true;
  spend_memory(*c, [&] { receive_hot(*c); });
  if (!done.more && c->phase != connection_phase::ending && !c->peer_closed) {
    ++c->operations;
    ring_->arm_poll_receive(tag, c->socket);
  } else if (!done.more) {
    release_if_done(*c);
  }
}

void shard::receive_hot(connection& c) {
  const std::uint64_t delivered_before = budget_.delivered();
  std::uint64_t read = 0;
  while (true) {
    hot_used_ms_ = now_ms_;
    if (hot_.bytes == nullptr) hot_ = blocks_.take(large_receive_bytes);
    if (c.phase == connection_phase::ending || c.peer_closed) return;
    if (c.input_held || c.input_stopped) return; // release_input() or continue_stopped() comes back
    if (c.answering && c.partial != nullptr && c.partial->size > high_watermark_bytes) return; // and so does respond()
    if (read >= connection_turn_bytes_max || must_stop(c, delivered_before)) return stop_input(c);
    // The rest of a frame whose beginning waits goes straight behind it.
    const bool into_partial = !c.encrypted && c.partial != nullptr && c.partial->wanted > c.partial->size;
    if (c.has_part_of_message() && budget_.is_spent_on_parts()) return stop_input(c);
    if (into_partial) make_partial_room(*c.partial, 1);
    const std::span<std::byte> target = into_partial ? c.partial->place(large_receive_bytes) : std::span{hot_.bytes, large_receive_bytes};
    const std::ptrdiff_t count = receive_now(c.socket, target);
    if (count == -EAGAIN || count == -EINTR) return;
    if (count == 0) return on_end_of_stream(c);
    if (count < 0) return end(c, 1006, "the connection was reset");
    read += static_cast<std::uint64_t>(count);
    if (into_partial) budget_.kept(static_cast<std::uint64_t>(count));
    consume(c, target.first(static_cast<std::size_t>(count)));
    // A short count means that the socket is empty; what comes later makes a new completion. But a target that only had room for the
    // rest of one frame says nothing about what is behind it, and an end that was told together with the bytes is not told again.
    if (!into_partial && static_cast<std::size_t>(count) < target.size() && !c.end_announced) return;
  }
}

namespace {

bool is_inside(const block& memory, std::span<const std::byte> bytes) {
  return memory.bytes != nullptr && bytes.data() >= memory.bytes && bytes.data() + bytes.size() <= memory.bytes + memory.capacity;
}

} // namespace

// Of the connection's own block only what ends with the message is lent: nothing behind it has still to be handled there. And only what
// fills a part of the block that is worth it: many messages may have waited there together.
bool shard::can_lend(const connection& c, std::span<const std::byte> payload) const {
  if (c.partial != nullptr && is_inside(c.partial->memory, payload))
    return payload.size() * 16 >= c.partial->memory.capacity && payload.data() + payload.size() == c.partial->memory.bytes + c.partial->size;
  return hot_lent_ < hot_buffers_lent_max && is_inside(hot_, payload);
}

shard::lent_memory shard::lend(connection& c, std::span<const std::byte> payload) {
  if (c.partial != nullptr && is_inside(c.partial->memory, payload)) return {.memory = std::exchange(c.partial->memory, {})};
  RINGCAST_ASSERT(is_inside(hot_, payload));
  ++hot_lent_;
  return {.memory = std::exchange(hot_, {}), .is_hot = true};
}

void shard::give_back_hot(block memory) {
  --hot_lent_;
  if (hot_.bytes == nullptr)
    hot_ = memory;
  else
    blocks_.give_back(memory);
}

// Connections whose input waited for something other than the kernel.
void shard::receive_again() {
  continue_stopped();
  if (poll_again_.empty() && input_again_.empty()) return;
  std::vector<connection_handle> again;
  again.swap(input_again_);
  for (const connection_handle handle : again) {
    connection* c = find(handle);
    if (c == nullptr || c->phase == connection_phase::ending) continue;
    spend_memory(*c, [&] { resume_input(*c); });
    if (c->phase == connection_phase::ending) continue;
    const bool has_requests = c->phase == connection_phase::http && c->answering;
    if (c->peer_closed && (c->phase == connection_phase::websocket || c->phase == connection_phase::http) && !has_requests) on_end_of_stream(*c);
    resume_receive(*c);
  }
  again.clear();
  again.swap(poll_again_);
  for (const connection_handle handle : again)
    if (connection* c = find(handle); c != nullptr && c->phase != connection_phase::ending) spend_memory(*c, [&] { receive_hot(*c); });
}

void shard::on_end_of_stream(connection& c) {
  c.peer_closed = true;
  if (c.input_stopped) return; // what waits is handled first
  if (c.phase == connection_phase::websocket) {
    if (c.input_held || c.answering || is_input_over(c)) return; // and so it is here
    if (c.partial != nullptr && c.partial->size >= c.partial->wanted) return; // on_open has just been called: receive_again() comes back
  }
  if (c.encrypted) {
    if (c.layers->waiting) return; // continue_handshakes() comes back
    if (c.is_client && client_seats_[c.slot].tls_pending) return end(c, c.close_code, "the server closed the connection in the TLS handshake");
    if (c.layers->tls->state() == tls_state::open) {
      keep_ticket(c);
      // Without close_notify nobody knows whether bytes are missing (RFC 8446 6.1): an HTTP request is not answered then.
      c.layers->tls->end_of_stream();
      ++counters_.tls_failures;
      return end(c, c.close_code, "the connection ended without close_notify");
    }
  }
  if (c.phase == connection_phase::http) {
    // It may have shut down only its writing side: each request that came whole is answered, and then there is nothing left to wait for.
    if (c.partial != nullptr && c.partial->size >= c.partial->wanted) return; // receive_again() comes back
    c.keep_alive = false;
    if (c.answering) return;
    if (outbox_.waiting_bytes(c) > 0) return finish(c);
  }
  if (c.phase == connection_phase::finishing && (c.behind != nullptr || outbox_.waiting_bytes(c) > 0 || unsent_bytes(c.socket) > 0)) return;
  give_up(c, c.close_code, "the connection was closed");
}

void shard::consume_plain(connection& c, std::span<std::byte> bytes) {
  c.last_heard_ms = static_cast<std::uint32_t>(now_ms_);
  while (!bytes.empty()) {
    if (is_input_over(c)) return;
    if (!c.input_stopped && budget_.is_spent(work_done_elsewhere())) stop_input(c);
    if (c.input_stopped) return keep_partial(c, bytes, c.partial != nullptr ? c.partial->wanted : 0);
    if (c.partial == nullptr) {
      const consumed done = consume_once(c, bytes);
      if (is_input_over(c)) return;
      bytes = bytes.subspan(done.bytes);
      if (!bytes.empty())
        keep_partial(c, bytes.first(std::min(bytes.size(), done.kept)), done.wanted);
      else if (c.partial != nullptr)
        free_partial(c);
      return;
    }
    partial_input& partial = *c.partial;
    if (bytes.data() == partial.memory.bytes + partial.size) {
      // Received straight into its place.
      partial.size += static_cast<std::uint32_t>(bytes.size());
      bytes = {};
    } else {
      // Of a frame only what is missing is copied, and what follows it is read where it stands; a head's length is not known before its end.
      const std::size_t missing = partial.wanted > partial.size ? partial.wanted - partial.size : 1;
      const std::size_t taken =
          c.phase == connection_phase::websocket && !c.answering && !c.input_held ? std::min(missing, bytes.size()) : bytes.size();
      keep_partial(c, bytes.first(taken), partial.wanted);
      bytes = bytes.subspan(taken);
    }
    resume_input(c);
  }
}

// Goes on with what was kept.
void shard::resume_input(connection& c) {
  if (c.partial != nullptr && c.partial->size < c.partial->wanted && c.phase == connection_phase::websocket && !is_input_over(c) && !c.answering &&
      !c.input_held && !c.input_stopped)
    (void)check_unfinished_text(c, {c.partial->memory.bytes, c.partial->size}, rules_of(c), limits_of(c).message_bytes_max);
  while (c.partial != nullptr && c.partial->size >= c.partial->wanted && !is_input_over(c) && !c.answering && !c.input_held && !c.input_stopped) {
    partial_input& partial = *c.partial;
    const consumed done = consume_once(c, {partial.memory.bytes, partial.size});
    if (is_input_over(c)) break;
    partial.size -= static_cast<std::uint32_t>(done.bytes);
    if (partial.size == 0) {
      free_partial(c);
      return;
    }
    if (done.bytes > 0) {
      std::memmove(partial.memory.bytes, partial.memory.bytes + done.bytes, partial.size);
      partial.progress = {}; // what is left is another frame
    }
    partial.size = static_cast<std::uint32_t>(std::min<std::size_t>(partial.size, done.kept));
    partial.wanted = static_cast<std::uint32_t>(done.wanted);
    if (done.stopped) break;
    if (partial.wanted > partial.memory.capacity) keep_partial(c, {}, done.wanted);
  }
  if (c.partial != nullptr && is_input_over(c)) free_partial(c);
}

shard::consumed shard::consume_once(connection& c, std::span<std::byte> bytes) {
  consumed total;
  // An upgrade changes the protocol in the middle of the bytes.
  while (true) {
    const connection_phase phase = c.phase;
    const consumed done = phase == connection_phase::websocket ? consume_frames(c, bytes)
                          : phase == connection_phase::http    ? consume_http(c, bytes)
                                                               : consume_response(c, bytes);
    total.bytes += done.bytes;
    total.wanted = done.wanted;
    total.stopped = done.stopped;
    total.kept = done.kept;
    bytes = bytes.subspan(done.bytes);
    if (bytes.empty() || done.stopped || c.phase == phase || is_input_over(c)) return total;
    if (c.phase != connection_phase::http && c.phase != connection_phase::websocket) return total;
  }
}

void shard::keep_partial(connection& c, std::span<const std::byte> bytes, std::uint64_t wanted) {
  if (c.partial == nullptr) c.partial = std::make_unique<partial_input>();
  partial_input& partial = *c.partial;
  if (partial.progress.at_ms == 0) partial.progress.at_ms = static_cast<std::uint32_t>(now_ms_ | 1);
  partial.wanted = static_cast<std::uint32_t>(wanted);
  make_partial_room(partial, bytes.size());
  budget_.kept(bytes.size());
  if (!bytes.empty()) std::memcpy(partial.memory.bytes + partial.size, bytes.data(), bytes.size());
  partial.size += static_cast<std::uint32_t>(bytes.size());
  if (wanted >= large_frame_bytes) read_large_frames_hot(c);
  if (c.phase == connection_phase::websocket) look_within(c, limits_of(c).frame_timeout_ms);
  // A pipeline that runs ahead of its answers waits in the socket.
  if ((c.answering || c.input_stopped) && partial.size > high_watermark_bytes) pause_receive(c);
}

// Memory is taken as bytes arrive: what a header announces decides only where the growth ends. Each step holds a few times what has come, so
// that all steps together copy less than half of the message.
void shard::make_partial_room(partial_input& partial, std::size_t more) {
  const std::size_t needed = partial.size + more;
  if (needed <= partial.memory.capacity) return;
  const std::size_t step = std::max(partial_bytes_min, partial_growth * partial.size);
  // A header's bytes above a power of two must not make one more copy of the whole.
  const std::size_t in_sight = partial.wanted <= step + frame_header_bytes_max ? partial.wanted : step;
  const block larger = blocks_.take(std::max(needed, std::min<std::size_t>(in_sight, partial.wanted)));
  if (partial.size > 0) std::memcpy(larger.bytes, partial.memory.bytes, partial.size);
  blocks_.give_back(partial.memory);
  partial.memory = larger;
}

void shard::free_partial(connection& c) {
  blocks_.give_back(c.partial->memory);
  c.partial.reset();
}

} // namespace ringcast

#include "engine/shard/input_flow.hpp"

#include "engine/connection/user_events.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/connector.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/memory_ledger.hpp"
#include "engine/shard/proxied_input.hpp"
#include "engine/shard/rate_gate.hpp"
#include "engine/shard/socket_reader.hpp"
#include "engine/shard/tls_layer.hpp"
#include "engine/shard/websocket_side.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

namespace ringcast::engine {

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

void input_flow::consume(connection& c, std::span<std::byte> bytes) {
  if (c.proxy_header_awaited) [[unlikely]] {
    bytes = with_.proxied.take(c, bytes);
    if (bytes.empty()) return;
  }
  if (c.encrypted) [[unlikely]]
    return with_.tls.consume_encrypted(c, bytes);
  consume_plain(c, bytes);
}

void input_flow::consume_plain(connection& c, std::span<std::byte> bytes) {
  c.last_heard_ms = static_cast<std::uint32_t>(with_.clock.ms);
  while (!bytes.empty()) {
    if (is_input_over(c)) return;
    if (!c.input_stopped && with_.share.is_spent()) stop(c);
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
    resume(c);
  }
}

consumed input_flow::consume_once(connection& c, std::span<std::byte> bytes) {
  consumed total;
  // An upgrade changes the protocol in the middle of the bytes.
  while (true) {
    const connection_phase phase = c.phase;
    const consumed done = phase == connection_phase::websocket ? with_.websockets.consume_frames(c, bytes)
                          : phase == connection_phase::http    ? with_.http.consume_http(c, bytes)
                                                               : with_.connecting.consume_response(c, bytes);
    total.bytes += done.bytes;
    total.wanted = done.wanted;
    total.stopped = done.stopped;
    total.kept = done.kept;
    bytes = bytes.subspan(done.bytes);
    if (bytes.empty() || done.stopped || c.phase == phase || is_input_over(c)) return total;
    if (c.phase != connection_phase::http && c.phase != connection_phase::websocket) return total;
  }
}

// Goes on with what was kept.
void input_flow::resume(connection& c) {
  if (c.partial != nullptr && c.partial->size < c.partial->wanted && c.phase == connection_phase::websocket && !is_input_over(c) && !c.answering &&
      !c.input_held && !c.input_stopped)
    (void)with_.websockets.check_unfinished_text(c, {c.partial->memory.bytes, c.partial->size}, with_.rules.frame_rules_of(c),
                                                 with_.rules.message_bytes_max_of(c));
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

void input_flow::keep_partial(connection& c, std::span<const std::byte> bytes, std::uint64_t wanted) {
  if (c.partial == nullptr) c.partial = std::make_unique<partial_input>();
  partial_input& partial = *c.partial;
  if (partial.progress.at_ms == 0) partial.progress.at_ms = static_cast<std::uint32_t>(with_.clock.ms | 1);
  partial.wanted = static_cast<std::uint32_t>(wanted);
  make_partial_room(partial, bytes.size());
  with_.budget.kept(bytes.size());
  if (!bytes.empty()) std::memcpy(partial.memory.bytes + partial.size, bytes.data(), bytes.size());
  partial.size += static_cast<std::uint32_t>(bytes.size());
  if (wanted >= large_frame_bytes) with_.receiving.read_large_frames_hot(c);
  if (c.phase == connection_phase::websocket) with_.timers.look_within(c, with_.rules.limits_of(c).frame_timeout_ms);
  // A pipeline that runs ahead of its answers waits in the socket.
  if ((c.answering || c.input_stopped) && partial.size > high_watermark_bytes) with_.receiving.pause(c);
}

// Memory is taken as bytes arrive: what a header announces decides only where the growth ends. Each step holds a few times what has come, so
// that all steps together copy less than half of the message.
void input_flow::make_partial_room(partial_input& partial, std::size_t more) {
  const std::size_t needed = partial.size + more;
  if (needed <= partial.memory.capacity) return;
  const std::size_t step = std::max(partial_bytes_min, partial_growth * partial.size);
  // A header's bytes above a power of two must not make one more copy of the whole.
  const std::size_t in_sight = partial.wanted <= step + frame_header_bytes_max ? partial.wanted : step;
  const block larger = with_.blocks.take(std::max(needed, std::min<std::size_t>(in_sight, partial.wanted)));
  if (partial.size > 0) std::memcpy(larger.bytes, partial.memory.bytes, partial.size);
  with_.blocks.give_back(partial.memory);
  partial.memory = larger;
}

void input_flow::free_partial(connection& c) {
  with_.blocks.give_back(c.partial->memory);
  c.partial.reset();
}

void input_flow::on_end_of_stream(connection& c) {
  c.peer_closed = true;
  if (c.input_stopped) return; // what waits is handled first
  if (c.phase == connection_phase::websocket) {
    if (c.input_held || c.answering || is_input_over(c)) return; // and so it is here
    if (c.partial != nullptr && c.partial->size >= c.partial->wanted) return; // on_open has just been called: continue_waiting() comes back
  }
  if (c.encrypted && with_.tls.on_end_of_stream(c)) return;
  if (c.phase == connection_phase::http) {
    // It may have shut down only its writing side: each request that came whole is answered, and then there is nothing left to wait for.
    if (c.partial != nullptr && c.partial->size >= c.partial->wanted) return; // continue_waiting() comes back
    with_.http.close_after_answer(c);
    if (c.answering) return;
    if (with_.output.waiting_bytes(c) > 0) return with_.closing.finish(c);
  }
  if (c.phase == connection_phase::finishing && (c.behind != nullptr || with_.output.waiting_bytes(c) > 0 || closer::unsent_payload(c) > 0)) return;
  with_.closing.give_up(c, c.close_code, "the connection was closed");
}

void input_flow::hold(connection& c) {
  if (c.input_held) return;
  c.input_held = true;
  with_.receiving.pause(c);
}

void input_flow::release(connection& c) {
  if (!c.input_held) return;
  c.input_held = false;
  go_on(c);
}

void input_flow::begin(connection& c) {
  c.answering = false;
  if (c.partial != nullptr || c.peer_closed) go_on(c);
}

// What has been received and not yet handled is kept. More of it is received meanwhile only while little is kept, see keep_partial().
void input_flow::stop(connection& c) {
  if (c.input_stopped || c.phase == connection_phase::finishing || c.phase == connection_phase::ending) return;
  c.input_stopped = true;
  ++with_.counters.inputs_stopped;
  look_again(c);
  if (c.behind != nullptr) with_.receiving.pause(c);
}

void input_flow::pause(connection& c) {
  c.input_stopped = true;
  with_.receiving.pause(c);
}

// Those who are stopped from now on are continued in a later turn.
void input_flow::begin_turn() {
  stopped_before_.insert(stopped_before_.end(), stopped_.begin(), stopped_.end());
  stopped_.clear();
}

// With a budget of its own, so that new input does not keep those who wait from their turn.
void input_flow::continue_stopped() {
  if (stopped_before_.empty()) return;
  with_.share.begin();
  std::size_t next = 0, kept = 0;
  for (; next < stopped_before_.size() && !with_.share.is_spent(); ++next) {
    connection* c = with_.connections.find(stopped_before_[next]);
    if (c == nullptr || !c->input_stopped || c->phase == connection_phase::ending) continue;
    if (c->is_open_websocket() && with_.rates.is_paused(*c)) continue;
    // Whoever has whole messages goes past those who wait to send more of one.
    if (c->has_part_of_message() && with_.budget.is_spent_on_parts()) {
      stopped_before_[kept++] = stopped_before_[next];
      continue;
    }
    if (with_.share.is_output_full(*c)) {
      // From a backlog shard::on_output_progress() comes back; what was only gathered in this turn may be sent whole, and then nothing would.
      if (c->behind == nullptr)
        stopped_.push_back(stopped_before_[next]);
      else
        with_.receiving.pause(*c);
      continue;
    }
    c->input_stopped = false;
    resume(*c);
    if (c->input_stopped || c->phase == connection_phase::ending) continue;
    if (c->peer_closed && !c->answering && c->phase != connection_phase::finishing) on_end_of_stream(*c);
    // Read now, so that it has its turn before those who stand behind it.
    if (c->receiving == receive_mode::polled && !c->peer_closed)
      with_.receiving.receive_hot(*c);
    else
      with_.receiving.resume(*c);
  }
  const auto begin = stopped_before_.begin();
  stopped_before_.erase(begin + static_cast<std::ptrdiff_t>(kept), begin + static_cast<std::ptrdiff_t>(next));
}

void input_flow::continue_waiting() {
  if (input_again_.empty()) return;
  std::vector<connection_handle> again;
  again.swap(input_again_);
  for (const connection_handle handle : again) {
    connection* c = with_.connections.find(handle);
    if (c == nullptr || c->phase == connection_phase::ending) continue;
    with_.ledger.spend(*c, [&] { resume(*c); });
    if (c->phase == connection_phase::ending) continue;
    const bool has_requests = c->phase == connection_phase::http && c->answering;
    if (c->peer_closed && (c->phase == connection_phase::websocket || c->phase == connection_phase::http) && !has_requests) on_end_of_stream(*c);
    with_.receiving.resume(*c);
  }
}

} // namespace ringcast::engine

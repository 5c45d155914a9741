#include "engine/shard/acceptor.hpp"

#include "engine/base/log.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/refusal_log.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace ringcast::engine {

namespace {

constexpr std::uint64_t accept_pause_ms = 100;

// One line a second, whatever the number of shards that have to refuse.
bool may_log_refusal(std::uint64_t now_ms) {
  static std::atomic<std::uint64_t> next_ms{0};
  std::uint64_t next = next_ms.load(std::memory_order_relaxed);
  return now_ms >= next && next_ms.compare_exchange_strong(next, now_ms + 1000, std::memory_order_relaxed);
}

int open_reserve() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

} // namespace

acceptor::acceptor(const needs& with) : with_(with), reserve_descriptor_(open_reserve()) {}

acceptor::~acceptor() {
  for (const listener& each : listeners_)
    if (each.socket >= 0) close_now(each.socket);
  if (reserve_descriptor_ >= 0) close_now(reserve_descriptor_);
}

void acceptor::add_listener(const listening& socket) { listeners_.push_back({socket}); }

void acceptor::arm_accepts() {
  if (failing_) return;
  for (std::uint32_t index = 0; index < listeners_.size(); ++index) {
    listener& each = listeners_[index];
    if (each.socket < 0 || each.armed) continue;
    each.armed = true;
    with_.io.arm_accept({operation::accept, 0, index}, each.socket);
  }
}

void acceptor::on_accept(op_tag tag, const completion& done) {
  listener& where = listeners_[tag.slot];
  if (!done.more) where.armed = false;
  // It came in front of the end of the listener. A shard that drains serves it.
  const bool is_closed = with_.stop.is_stopping;
  if (done.result >= 0) {
    if (is_closed) return turn_away(done.result, tag.slot, refusal::going_away, "the server is going away");
    if (where.is_for_proxies && !with_.peers.is_proxy(done.result)) return turn_away(done.result, tag.slot, refusal::not_a_proxy, {});
    connection_source from = 0;
    const admission_verdict judged = with_.peers.admit(done.result, from);
    if (judged.is_admitted()) return take(done.result, tag.slot, from);
    return turn_away(done.result, tag.slot, judged.why(), judged.sentence(), judged.retry_after_s);
  }
  if (where.socket < 0 || done.result == -ECONNABORTED || done.result == -EINTR) return;
  pause(where, -done.result);
}

void acceptor::take(int socket, std::uint32_t index, connection_source from) {
  connection& c = with_.connections.take();
  c.socket = socket;
  c.admitted = true;
  c.proxy_header_awaited = listeners_[index].is_for_proxies;
  with_.peers.take(c, from);
  c.phase = connection_phase::http;
  ++with_.counters.http_connections;
  c.listener = static_cast<std::uint8_t>(index);
  c.last_heard_ms = static_cast<std::uint32_t>(with_.clock.ms);
  with_.connections.times_of(c).opened_s = with_.clock.seconds();
  ++with_.counters.accepted;
  with_.host.on_accepted(c, listeners_[index].identity);
}

// A stranger is told nothing: this is not for it.
void acceptor::turn_away(int socket, std::uint32_t index, refusal reason, std::string_view why, std::uint32_t retry_after_s) {
  with_.counters.count(reason);
  log_refusal(reason, socket);
  if (reason == refusal::not_a_proxy) return close_now(socket);
  refuse(socket, index, why, retry_after_s);
}

// Answered before it has asked (RFC 9112 9.5 lets a server say and close at any time); what it sends is read and dropped until it closes, so
// that no reset takes the answer away from it.
void acceptor::refuse(int socket, std::uint32_t index, std::string_view why, std::uint32_t retry_after_s) {
  // A TLS handshake is too much to pay for a refusal.
  if (listeners_[index].identity != nullptr || refusals_ >= refusals_answered_max) return close_now(socket);
  connection& c = with_.connections.take();
  c.socket = socket;
  c.phase = connection_phase::http;
  ++with_.counters.http_connections;
  c.listener = static_cast<std::uint8_t>(index);
  with_.connections.times_of(c).opened_s = with_.clock.seconds();
  ++refusals_;
  with_.host.on_refused(c, why, retry_after_s);
}

// Out of descriptors or memory: those who wait are refused rather than left waiting, and accepting pauses.
void acceptor::pause(const listener& where, int error) {
  failing_ = true;
  refuse_those_who_wait(where.socket);
  if (may_log_refusal(with_.clock.ms)) log_warning("cannot accept connections: {}; new ones are refused, open ones are kept", std::strerror(error));
  with_.wheel.arm(timer_, with_.clock.ms + accept_pause_ms);
}

// With the reserve descriptor given up there is room for one: what waits is accepted and closed, one after the other.
void acceptor::refuse_those_who_wait(int socket) {
  if (reserve_descriptor_ >= 0) close_now(reserve_descriptor_);
  for (int i = 0; i < 64; ++i) {
    const int refused = accept_now(socket);
    if (refused < 0) break;
    with_.counters.count(refusal::no_descriptors);
    close_now(refused);
  }
  reserve_descriptor_ = open_reserve();
}

void acceptor::close_listeners() {
  for (std::uint32_t index = 0; index < listeners_.size(); ++index) {
    listener& each = listeners_[index];
    if (each.socket < 0) continue;
    // Either ends the multishot accept; the descriptor is closed after that. Shut down it would be for the others, too.
    if (each.waiting == queue::own)
      shut_down(each.socket);
    else
      with_.io.arm_cancel({operation::cancel}, {operation::accept, 0, index});
    with_.io.arm_close(each.socket);
    each.socket = -1;
  }
}

void acceptor::release(const connection& c) {
  if (!c.admitted) {
    --refusals_;
    return;
  }
  with_.peers.release(c);
}

} // namespace ringcast::engine

#include "engine/shard/acceptor.hpp"

#include "engine/base/log.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/refusal_log.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <utility>

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
    connection_source from = 0;
    const admission_result result = is_closed ? admission_result::server_is_full : admit(done.result, from);
    if (result == admission_result::admitted) return take(done.result, tag.slot, from);
    const refusal why = is_closed ? refusal::going_away : result == admission_result::server_is_full ? refusal::server_full : refusal::address_full;
    with_.counters.count(why);
    log_refusal(why, done.result);
    return refuse(done.result, tag.slot,
                  is_closed                                    ? "the server is going away"
                  : result == admission_result::server_is_full ? "the server has as many connections as it takes"
                                                               : "there are too many connections from this address");
  }
  if (where.socket < 0 || done.result == -ECONNABORTED || done.result == -EINTR) return;
  pause(where, -done.result);
}

admission_result acceptor::admit(int socket, connection_source& from) const {
  if (with_.admits == nullptr) return admission_result::admitted;
  // The address is asked for now and kept: a connection that was reset no longer has it.
  if (with_.admits->counts_sources()) {
    const socket_address peer = peer_address_of(socket);
    from = with_.proxies != nullptr && with_.proxies->trusts(peer) ? no_connection_source : source_of(peer);
  }
  return with_.admits->enter(from);
}

socket_address acceptor::peer_of(const connection& c, const http_fields& head) const {
  const socket_address peer = peer_address_of(c.socket);
  return with_.proxies != nullptr && with_.proxies->trusts(peer) ? with_.proxies->client_of(head, peer) : peer;
}

bool acceptor::hand_over(const connection& c, const http_fields& head) {
  if (with_.proxies == nullptr) return true;
  take_back(c); // an upgrade of somebody before may have come to nothing
  const socket_address peer = peer_address_of(c.socket);
  if (!with_.proxies->trusts(peer)) return true;
  const socket_address client = with_.proxies->client_of(head, peer);
  if (with_.proxies->trusts(client)) return true; // nobody is named
  if (with_.admits != nullptr && with_.admits->counts_sources()) {
    if (!with_.admits->add_source(source_of(client))) return false;
    sources_[c.slot] = source_of(client);
  }
  handed_over_.insert_or_assign(c.slot, client);
  return true;
}

void acceptor::take_back(const connection& c) {
  if (handed_over_.erase(c.slot) == 0 || with_.admits == nullptr || !with_.admits->counts_sources()) return;
  with_.admits->drop_source(std::exchange(sources_[c.slot], no_connection_source));
}

socket_address acceptor::peer_of(const connection& c) const {
  if (!handed_over_.empty())
    if (const auto found = handed_over_.find(c.slot); found != handed_over_.end()) return found->second;
  return peer_address_of(c.socket);
}

void acceptor::take(int socket, std::uint32_t index, connection_source from) {
  connection& c = with_.connections.take();
  c.socket = socket;
  c.admitted = true;
  if (with_.admits != nullptr && with_.admits->counts_sources()) {
    if (sources_.size() <= c.slot) sources_.resize(c.slot + 1);
    sources_[c.slot] = from;
  }
  c.phase = connection_phase::http;
  ++with_.counters.http_connections;
  c.listener = static_cast<std::uint8_t>(index);
  c.last_heard_ms = static_cast<std::uint32_t>(with_.clock.ms);
  with_.connections.times_of(c).opened_s = with_.clock.seconds();
  ++with_.counters.accepted;
  with_.host.on_accepted(c, listeners_[index].identity);
}

// Answered before it has asked (RFC 9112 9.5 lets a server say and close at any time); what it sends is read and dropped until it closes, so
// that no reset takes the answer away from it.
void acceptor::refuse(int socket, std::uint32_t index, std::string_view why) {
  // A TLS handshake is too much to pay for a refusal.
  if (listeners_[index].identity != nullptr || refusals_ >= refusals_answered_max) return close_now(socket);
  connection& c = with_.connections.take();
  c.socket = socket;
  c.phase = connection_phase::http;
  ++with_.counters.http_connections;
  c.listener = static_cast<std::uint8_t>(index);
  with_.connections.times_of(c).opened_s = with_.clock.seconds();
  ++refusals_;
  with_.host.on_refused(c, why);
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
  if (!handed_over_.empty()) handed_over_.erase(c.slot);
  if (with_.admits != nullptr) with_.admits->leave(c.slot < sources_.size() ? sources_[c.slot] : 0);
}

} // namespace ringcast::engine

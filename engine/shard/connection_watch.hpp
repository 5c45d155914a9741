// The timers of connections: slow requests, silence, pings, messages that come too slowly, unanswered Close frames. One a shard, on its
// thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/shard/connection_rules.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/turn_clock.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

class closer;
class connector;
class http_side;
class rate_gate;
class websocket_side;

class connection_watch {
 public:
  struct needs {
    const server_limits& limits;
    const connection_rules& rules;
    connection_timers& timers;
    http_side& http;
    websocket_side& websockets;
    rate_gate& rates;
    connector& connecting;
    closer& closing;
    const turn_clock& clock;
  };
  explicit connection_watch(const needs& with) : with_(with) {}

  // Of a WebSocket that opens.
  void begin(connection& c);
  // For the idle timeout. A shard without one has no such times, and then this is one comparison.
  void note_message(const connection& c) {
    if (c.slot < last_message_ms_.size()) [[unlikely]]
      last_message_ms_[c.slot] = now_ms();
  }
  // Of an open one; see websocket_ref::close_after(). The last call counts.
  void close_after(connection& c, std::uint64_t time_ms, std::uint16_t code, std::string_view reason);
  // It is not closed then, or has ended.
  void forget(const connection& c) {
    if (!planned_.empty()) planned_.erase(c.slot);
  }
  void on_timer(connection& c);
  // What is waited for is judged by the new limits, in the next turn. The idle time begins anew.
  void on_changed_limits(connection& c);

 private:
  [[nodiscard]] std::uint32_t now_ms() const { return static_cast<std::uint32_t>(with_.clock.ms); }
  [[nodiscard]] std::uint32_t silent_ms(const connection& c) const { return now_ms() - c.last_heard_ms; }
  void begin_idle_time(const connection& c);
  void look_at_request(connection& c);
  void look_at_websocket(connection& c);
  // In how many milliseconds it is looked at again; none if it was closed, and its timer with that is another's.
  using next_look = std::optional<std::uint64_t>;
  [[nodiscard]] next_look look_at_planned_close(connection& c);
  [[nodiscard]] next_look look_at_unfinished(connection& c, std::uint32_t frame_timeout_ms);
  [[nodiscard]] next_look look_at_idle(connection& c, bool inside);
  [[nodiscard]] next_look look_at_silence(connection& c);
  [[nodiscard]] bool makes_progress(const connection& c, message_progress& before, std::uint64_t arrived, std::uint32_t over_ms) const;

  struct planned_close {
    std::uint64_t at_ms;
    std::uint16_t code;
    std::string reason;
  };

  const needs with_;
  std::unordered_map<std::uint32_t, planned_close> planned_; // by slot; of the few, or the many, that close_after() was called for
  std::vector<std::uint32_t> last_message_ms_; // by slot; empty unless there is an idle timeout
};

} // namespace ringcast::engine

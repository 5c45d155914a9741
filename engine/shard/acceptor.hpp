// The listeners of a shard: accepting, the count of connections over all shards, and who is one too many. Where descriptors or memory run
// out, those who wait are refused rather than left waiting. One a shard, on its thread.
#pragma once

#include "engine/base/limits.hpp"
#include "engine/base/timer_wheel.hpp"
#include "engine/connection/connection.hpp"
#include "engine/io/ring.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/peer_book.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/stop_state.hpp"
#include "engine/shard/turn_clock.hpp"
#include "engine/tls/tls_identity.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ringcast::engine {

// Who goes on with what was accepted.
class accepted_host {
 public:
  // To be served; in TLS if the listener has an identity.
  virtual void on_accepted(connection& c, const tls_identity* identity) = 0;
  // One too many: it is told so, and ends. One that came too soon is told in how many seconds it may come; else that is 0.
  virtual void on_refused(connection& c, std::string_view why, std::uint32_t retry_after_s) = 0;

 protected:
  ~accepted_host() = default;
};

class acceptor {
 public:
  struct needs {
    accepted_host& host;
    connection_table& connections;
    ring& io;
    timer_wheel& wheel;
    const turn_clock& clock;
    peer_book& peers;
    const stop_state& stop;
    shard_counters& counters;
  };
  explicit acceptor(const needs& with);
  ~acceptor();
  acceptor(const acceptor&) = delete;
  acceptor& operator=(const acceptor&) = delete;

  // Whether others accept from the same queue: then it goes on when this shard stops.
  enum class queue : std::uint8_t { own, shared };
  struct listening {
    int socket;
    const tls_identity* identity = nullptr; // outlives the shard; null: plain
    queue waiting = queue::own;
    bool is_admin = false; // see server_options::listen_admin
    bool is_for_proxies = false; // see proxy_options::protocol
  };
  // Takes over a listening socket. Before the first turn.
  void add_listener(const listening& socket);
  // Whether it was accepted by a listener of that kind.
  [[nodiscard]] bool is_admin(const connection& c) const { return listeners_[c.listener].is_admin; }
  // False while it pauses because descriptors or memory ran out.
  [[nodiscard]] bool is_accepting() const { return !failing_; }

  // Listeners are closed, and the kernel has not yet said that it accepts nobody more.
  [[nodiscard]] bool may_still_accept() const { return std::ranges::any_of(listeners_, &listener::armed); }

  void arm_accepts();
  void on_accept(op_tag tag, const completion& done);
  void on_timer() { failing_ = false; }
  void close_listeners();
  // The connection is over.
  void release(const connection& c);

 private:
  struct listener : listening {
    bool armed = false;
  };

  void take(int socket, std::uint32_t index, connection_source from);
  void turn_away(int socket, std::uint32_t index, refusal reason, std::string_view why, std::uint32_t retry_after_s = 0);
  void refuse(int socket, std::uint32_t index, std::string_view why, std::uint32_t retry_after_s);
  void pause(const listener& where, int error);
  void refuse_those_who_wait(int socket);

  const needs with_;
  std::vector<listener> listeners_;
  timer_node timer_ = timer_of(shard_timer::accept);
  bool failing_ = false;
  int reserve_descriptor_; // given up for a moment to refuse a connection when there are no descriptors left
  std::uint32_t refusals_ = 0; // being answered
};

} // namespace ringcast::engine

// How a shard lets its members go one after the other, so that they do not all come back in the same moment. In front of a stop (stopper.hpp):
//
//   1. begin()   New connections are still accepted for the delay: whoever balances the load has that long to see that the server is not ready.
//   2. closing   Listeners close, and requests end as in a stop; but who has just connected, or was accepted while the listener closed, may still ask
//                once, for a second: where somebody else keeps the socket for the next server, nobody is turned away. So many WebSockets are
//                closed with 1001, at each look, that their number goes down evenly; each is asked to come back as much later as it would have
//                gone later, if they went one by one. Rooms go on meanwhile. Who is behind is passed over until it has caught up.
//   3. over      The time is over and everybody who is not behind was told, or no shard has a connection left: all shards are asked to stop, which
//                ends whatever is left.
#pragma once

#include "engine/base/timer_wheel.hpp"
#include "engine/connection/shard_connections.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/server_orders.hpp"
#include "engine/shard/stop_state.hpp"
#include "engine/shard/turn_clock.hpp"

#include <cstdint>
#include <vector>

namespace ringcast::engine {

class acceptor;
class handlers;
class stopper;
class websocket_side;

class drainer {
 public:
  struct needs {
    stop_state& state;
    server_orders* orders; // null: nobody asks
    mesh& between;
    shard_connections& connections;
    timer_wheel& wheel;
    acceptor& accepting;
    stopper& stopping;
    websocket_side& websockets;
    handlers& users;
    const turn_clock& clock;
  };
  explicit drainer(const needs& with) : with_(with) {}

  void begin(const drain_options& how);
  void on_timer() { is_due_ = true; }
  [[nodiscard]] bool has_step() const { return is_due_; }
  // Before the turn takes what rooms say: whoever is not behind has been sent all that was called queued for it.
  void go_on();

 private:
  enum class step : std::uint8_t { none, accepting, closing, over };

  void close_door();
  void close_share();
  void let_go(const std::vector<connection_handle>& those);
  void end_requests(std::uint64_t passed_ms);
  void stop_all();
  [[nodiscard]] std::uint64_t count_members();

  const needs with_;
  drain_options how_;
  timer_node timer_ = timer_of(shard_timer::drain);
  step step_ = step::none;
  bool is_due_ = false;
  bool has_said_empty_ = false;
  std::uint64_t begun_ms_ = 0; // when the listeners were closed
  std::uint64_t members_ = 0; // at that time
  std::int64_t told_left_ = 0;
};

} // namespace ringcast::engine

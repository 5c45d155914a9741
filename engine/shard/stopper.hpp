// How a shard stops. It is asked by a flag beside its doorbell; the shards of a server are asked together, and each goes through these steps:
//
//   1. begin()         Listeners close. No request and no message of a peer is handled any more, no other thread's message is taken any
//                      more, and requests that are being answered get their answer. Idle connections that are no WebSockets are closed.
//   2. said_all        What was queued before has been handled, so this shard makes no more publications, and says so behind the last.
//   3. published_all   All others have said so, so the logs of the rooms that live here have ended; said behind their last spans.
//   4. closing         All others' logs have ended, too. Whoever has been sent everything is sent Close 1001, and whoever is behind when
//                      it has caught up. So what was called queued comes before the Close frame, as far as the peer reads.
//   5. may_end()       The last connection is gone, and nothing waits here for a shard that still drains.
//
// The close timeout bounds all of it: when it is over the rest is cut off, and what was not sent is counted. Each of the two marks travels
// in the lanes, behind what it speaks of, and costs one hop; nobody waits for a shard that has ended, since none ends before it has said both,
// but by the close timeout, which is the same for all.
#pragma once

#include "engine/base/timer_wheel.hpp"
#include "engine/connection/shard_connections.hpp"
#include "engine/coroutine/scheduler.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/room/room_home.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/stop_state.hpp"
#include "engine/shard/turn_clock.hpp"

#include <cstdint>

namespace ringcast::engine {

class acceptor;
class closer;
class http_side;
class websocket_side;

class stopper {
 public:
  struct needs {
    stop_state& state;
    const server_limits& limits;
    const mesh& between;
    mesh_port& port;
    inbox& from_threads;
    shard_connections& connections;
    home_table& home;
    const handlers& users;
    scheduler& coroutines;
    timer_wheel& wheel;
    acceptor& accepting;
    http_side& http;
    websocket_side& websockets;
    closer& closing;
    const turn_clock& clock;
    shard_counters& counters;
  };
  explicit stopper(const needs& with) : with_(with) {}

  void begin();
  // Of a connection that is no WebSocket yet, also before a stop: what is being answered is, what is half there gets 503, and it closes.
  void end_request(connection& c);
  [[nodiscard]] bool has_step() const { return with_.state.is_stopping && (step_ == step::close || may_end()); }
  // At the end of each turn, when the spans of the turn are published.
  void go_on();
  [[nodiscard]] bool may_end() const;
  // The user of a stopping shard has let go of this connection: it is over for the user, and closed when what is queued has been sent.
  void say_going_away(connection& c);

  void on_said_all() { ++neighbours_said_all_; }
  void on_published_all() { ++neighbours_published_all_; }
  // The close timeout is over: nobody is waited for any longer.
  void on_timer();

 private:
  enum class step : std::uint8_t { none, said_all, published_all, logs_ended, close, closing };

  void stop_connection(connection& c);
  void tell_neighbours(record_kind what);
  void close_those_who_keep_up();
  void count_unsent(const connection& c);

  const needs with_;
  timer_node timer_ = timer_of(shard_timer::stop);
  step step_ = step::none; // what comes next
  std::uint32_t neighbours_said_all_ = 0, neighbours_published_all_ = 0;
};

} // namespace ringcast::engine

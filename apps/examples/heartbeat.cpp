// Two heartbeats: the built-in one, and one as a spawned coroutine. usage: heartbeat [ADDRESS:PORT]
#include <ringcast/ringcast.hpp>

#include <chrono>

using namespace ringcast;
using namespace std::chrono_literals;

// The server's own: a ping after 20 s of silence, and the connection is given up 10 s later.
static task<void> built_in(request& req) {
  websocket ws = co_await req.upgrade({.ping_interval = 20s, .pong_timeout = 10s});
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

static task<void> beat(sender to) {
  while (to.is_open()) {
    to.ping("are you there?");
    if (co_await sleep_for(1s) == sleep_result::stopped) co_return;
  }
}

// By hand: pings from a coroutine of their own, pongs visible as frames, and 5 s without any end the connection.
static task<void> by_hand(request& req) {
  auto [to, from] = (co_await req.upgrade()).split();
  spawn(beat(to));
  while (auto frame = co_await from.receive_frame({.deadline = 5s}))
    if (!is_control(frame->op)) to.send(frame->op, frame->payload);
  from.close(1000, "no heartbeat");
}

int main(int argc, char** argv) {
  server s{{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}}};
  s.get("/built-in", built_in);
  s.get("/by-hand", by_hand);
  return s.run();
}

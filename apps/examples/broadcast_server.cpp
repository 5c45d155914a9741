// Everybody hears what anybody says, on all cores; and a thread that is no shard's tells the time. usage: broadcast_server [ADDRESS:PORT]
#include <ringcast/ringcast.hpp>

#include <chrono>
#include <string>
#include <thread>

using namespace ringcast;

static task<void> hear_and_say(request& req) {
  websocket ws = co_await req.upgrade();
  room all = req.server().room("all");
  seat here = co_await all.join({}, ws);
  while (auto message = co_await ws.receive()) all.broadcast(message->op, message->payload); // one dead member disturbs nobody
}

int main(int argc, char** argv) {
  server s{{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}}};
  s.get("/broadcast", hear_and_say);
  std::jthread clock([&s](const std::stop_token& stop) {
    while (!s.is_ready() && !stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    for (int second = 0; !stop.stop_requested(); ++second) {
      s.room("all").broadcast("second " + std::to_string(second)); // any thread
      for (int tenth = 0; tenth < 10 && !stop.stop_requested(); ++tenth) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
  return s.run();
}

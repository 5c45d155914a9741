// Work that blocks, beside the shards: a slow lookup in a pool of threads, and a journal that one thread writes for all connections.
// usage: blocking_work [ADDRESS:PORT]
#include <ringcast/ringcast.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

using namespace ringcast;
using namespace std::chrono_literals;

// A database, a file, a long computation: it blocks its thread, and must not be called on a shard.
static std::string look_up(const std::string& name) {
  std::this_thread::sleep_for(50ms);
  return name + " is " + std::to_string(name.size()) + " letters long";
}

int main(int argc, char** argv) {
  thread_pool pool{{.threads = 4}};        // these two are made before the server, and so outlive it
  channel<std::string> journal{1024};
  std::jthread writer([&journal] {
    while (auto line = journal.blocking_receive()) std::printf("asked: %s\n", line->c_str());
  });
  {
    server s{{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}, .slow_handler_ms = 10}}; // names who blocks a shard all the same
    s.get("/lookup", [&](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      while (auto message = co_await ws.receive()) {
        const std::string name{message->text()};
        (void)journal.try_send(name); // never waits
        const auto found = co_await run_on(pool, [name] { return look_up(name); }, {.deadline = 5s});
        co_await ws.send_text(found ? *found : "try again later"); // refused, timed_out, or stopped
      }
    });
    if (const int code = s.run(); code != 0) return journal.close(), code;
  }
  journal.close(); // what is in it is still written
}

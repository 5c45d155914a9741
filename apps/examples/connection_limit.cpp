// At most two conversations at once on each shard; the others wait for their turn, up to five seconds. For a bound of the whole server
// there is server_options. usage: connection_limit [ADDRESS:PORT]
#include <ringcast/ringcast.hpp>

#include <chrono>

using namespace ringcast;
using namespace std::chrono_literals;

static task<void> limited(request& req) {
  thread_local semaphore seats{2}; // of this shard
  auto permit = co_await seats.scoped_acquire({.deadline = 5s});
  if (!permit) co_return req.respond(status::service_unavailable, "too many conversations");
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

int main(int argc, char** argv) {
  server s{{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}, .shards = 1}};
  s.get("/limited", limited);
  return s.run();
}

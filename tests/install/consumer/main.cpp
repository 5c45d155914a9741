// A program outside of the tree: an echo server and a client of it, over loopback. It ends with 0 once the client has its echo and the room
// has answered.
#include <ringcast/ringcast.hpp>

#include <chrono>
#include <cstdio>
#include <string>

#if __has_include(<engine/shard/shard.hpp>) || __has_include(<proto/url.hpp>) || __has_include(<ringcast/engine/shard/shard.hpp>)
#error "the library's inside can be included"
#endif

using namespace ringcast;
using namespace std::chrono_literals;

static task<void> echo(request& req) {
  if (!req.is_websocket_upgrade()) co_return req.respond(status::bad_request, "this endpoint speaks WebSocket");
  websocket ws = co_await req.upgrade({.idle_timeout = 10s});
  room all = req.server().room("all");
  seat here = co_await all.join("echo", ws);
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

static task<void> talk(std::string url, int& answers) {
  coroutine_client c{url};
  if (!co_await c.connect({.deadline = 5s})) co_return;
  (void)co_await c.send_text("hello from outside");
  const auto answer = co_await c.receive({.deadline = 5s});
  if (answer && answer->text() == "hello from outside") ++answers;
  co_await c.close(1000, "done");
}

int main() {
  server s{{.listen = {"127.0.0.1:0"}, .shards = 2, .max_connections = 10}};
  s.get("/echo", echo);
  if (const auto started = s.start(); !started) return std::fprintf(stderr, "%s\n", started.error().why.c_str()), 2;
  int answers = 0;
  client_loop loop;
  loop.run([&] { return talk("ws://" + s.addresses().front() + "/echo", answers); });
  const auto report = s.room("all").broadcast_future(opcode::text, {}).get();
  s.stop();
  s.wait();
  std::printf("%d answer, %u members\n", answers, static_cast<unsigned>(report.members));
  return answers == 1 ? 0 : 1;
}

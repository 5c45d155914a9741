// An echo server: a coroutine for each connection. usage: echo_server [ADDRESS:PORT]
#include <ringcast/ringcast.hpp>

using namespace ringcast;

static task<void> echo(request& req) {
  if (!req.is_websocket_upgrade()) co_return req.respond(status::bad_request, "this endpoint speaks WebSocket");
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive()) // ends with the close code and reason
    co_await ws.send(*message);                // same opcode; suspends only while the peer is slow
}

int main(int argc, char** argv) {
  server s{{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}}};
  s.get("/echo", echo);
  return s.run();
}

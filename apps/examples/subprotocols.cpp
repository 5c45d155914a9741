// One of two subprotocols is agreed on, in the server's order of preference. usage: subprotocols [ADDRESS:PORT]
#include <ringcast/ringcast.hpp>

#include <string>

using namespace ringcast;

static task<void> speak(request& req) {
  const std::string offered{req.header("Sec-WebSocket-Protocol")};
  websocket ws = co_await req.upgrade({.subprotocols = {"chat.v2", "chat.v1"}});
  if (ws.subprotocol().empty()) {
    ws.close(1008, "none of the offered subprotocols is spoken here: " + offered);
    co_return;
  }
  co_await ws.send_text("this is " + std::string{ws.subprotocol()});
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

int main(int argc, char** argv) {
  server s{{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}}};
  s.get("/speak", speak);
  return s.run();
}

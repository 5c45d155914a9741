// A room that remembers: who joins hears the last 20 messages first, then what is said, each with its number and without a hole or a repetition.
// usage: chat_history [ADDRESS:PORT], then ws://.../chat/ROOM, and with ?since=EPOCH:NUMBER to go on where one was
#include <ringcast/ringcast.hpp>

#include <string>

using namespace ringcast;

static task<void> chat(request& req) {
  websocket ws = co_await req.upgrade();
  replay_options replay{.last = 20, .after = parse_position(req.query("since"))};
  seat here = co_await req.server().room(req.path("room")).join("", ws, {.numbered = true, .replay = replay});
  if (!here) co_return;
  co_await ws.send_text(text_of_epoch(here.joined().at.epoch) + (here.joined().resumed ? " resumed" : "")); // in front of the past
  while (auto message = co_await ws.receive()) here.broadcast(message->op, message->payload);
}

int main(int argc, char** argv) {
  server s{{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}, .history = {.messages = 100}}};
  s.get("/chat/{room}", chat);
  return s.run();
}

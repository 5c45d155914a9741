// Chat rooms: "NAME joined", "NAME: text", "NAME left". usage: chat_room [ADDRESS:PORT], then ws://.../chat/ROOM?name=NAME
#include <ringcast/ringcast.hpp>

#include <string>

using namespace ringcast;

static task<void> chat(request& req) {
  const std::string name = req.query("name");
  if (name.empty()) co_return req.respond(status::bad_request, "a name is needed: ?name=NAME");
  websocket ws = co_await req.upgrade();
  room lobby = req.server().room(req.path("room"));
  {
    seat here = co_await lobby.join(name, ws); // leaves by itself
    lobby.broadcast(name + " joined");
    while (auto message = co_await ws.receive()) {
      const std::string_view text = message->text();
      // "@NAME text" is for one member alone.
      if (const auto space = text.find(' '); text.starts_with('@') && space != text.npos)
        lobby.send_to(text.substr(1, space - 1), name + " whispers: " + std::string{text.substr(space + 1)});
      else
        lobby.broadcast(name + ": " + std::string{text});
    }
  }
  lobby.broadcast(name + " left");
}

static task<void> members(request& req) { req.respond(status::ok, std::to_string(co_await req.server().room(req.path("room")).count())); }

int main(int argc, char** argv) {
  server s{{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}}};
  s.get("/chat/{room}", chat);
  s.get("/members/{room}", members);
  return s.run();
}

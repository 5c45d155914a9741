// An echo server whose endpoint is written in one face of the library or the other, so that bench/ab can show what the coroutine costs:
//
//   bench/ab --scenario echo-20-200 event='build/release/bench-echo-faces --face event' coroutine='build/release/bench-echo-faces --face coroutine'
#include "engine/base/log.hpp"
#include <ringcast/ringcast.hpp>

#include <CLI/CLI.hpp>
#include <string>

using namespace ringcast;
using namespace ringcast::engine;

static task<void> echo(request& req) {
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

int main(int argc, char** argv) {
  CLI::App app{"an echo server in one face of the library"};
  server_options options;
  std::string face = "event", log = "error";
  app.add_option("--listen", options.listen);
  app.add_option("--shards", options.shards);
  app.add_option("--log-level", log, "debug, info, warning, error or off");
  app.add_option("--face", face)->check(CLI::IsMember({"event", "coroutine"}));
  CLI11_PARSE(app, argc, argv);
  set_log_level(parse_log_level(log).value_or(log_level::error));
  server s{options};
  if (face == "coroutine")
    s.get("/echo", echo);
  else
    s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& message) { ws.send(message); }});
  return s.run();
}

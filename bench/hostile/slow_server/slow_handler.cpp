// bench-slow-handler: a program of a user of the library, with what honest clients ask for, and /slow, whose handler takes a second for each message.
#include "engine/base/log.hpp"
#include <ringcast/ringcast.hpp>

#include <CLI/CLI.hpp>
#include <chrono>
#include <string>

using namespace ringcast;
using namespace ringcast::engine;

static task<void> echo(request& req) {
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

static task<void> broadcast(request& req) {
  websocket ws = co_await req.upgrade();
  room here = req.server().room(req.path("room"));
  seat own = co_await here.join({}, ws);
  while (auto message = co_await ws.receive()) here.broadcast(message->op, message->payload);
}

static task<void> slow(request& req) {
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive()) {
    if (co_await sleep_for(std::chrono::seconds{1}) == sleep_result::stopped) co_return;
    co_await ws.send(*message); // it is still there: the view lives until the next receive()
  }
}

int main(int argc, char** argv) {
  CLI::App app{"a server of which one handler is slow", "bench-slow-handler"};
  server_options options;
  tls_certificate own;
  app.add_option("--listen", options.listen);
  app.add_option("--listen-tls", options.listen_tls);
  app.add_option("--tls-cert", own.chain_file);
  app.add_option("--tls-key", own.key_file);
  app.add_option("--shards", options.shards);
  CLI11_PARSE(app, argc, argv);
  if (!own.chain_file.empty()) options.tls.certificates = {own};
  set_log_level(log_level::warning);
  server s{options};
  s.get("/echo", echo);
  s.get("/broadcast/{room}", broadcast);
  s.get("/slow", slow);
  return s.run();
}

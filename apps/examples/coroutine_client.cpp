// A client as a coroutine, which stays connected: sends a message a second and prints the answers. usage: coroutine_client URL [COUNT]
#include <ringcast/coroutine_client.hpp>
#include <ringcast/sleep.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

using namespace ringcast;
using namespace std::chrono_literals;

static task<void> talk(std::string url, int count) {
  coroutine_client c{url, {.reconnect = {.max_attempts = 10, .initial_delay = 200ms}}};
  if (const auto open = co_await c.connect({.deadline = 30s}); !open) {
    std::fprintf(stderr, "no connection: %s\n", open.error().reason.c_str());
    co_return;
  }
  for (int i = 1; i <= count; ++i) {
    (void)co_await c.send_text("message " + std::to_string(i));
    // A lost connection is made again meanwhile; only its end, or the deadline, ends the wait.
    const auto answer = co_await c.receive({.deadline = 5s});
    if (answer) std::printf("%.*s\n", static_cast<int>(answer->text().size()), answer->text().data());
    if (!answer && answer.error().why == client_end::kind::closed) break;
    if (i < count) co_await sleep_for(1s);
  }
  co_await c.close(1000, "done");
}

int main(int argc, char** argv) {
  client_loop loop;
  loop.run([&] { return talk(argc > 1 ? argv[1] : "ws://127.0.0.1:8080/echo", argc > 2 ? std::atoi(argv[2]) : 3); });
}

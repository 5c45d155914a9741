// A client with events: sends each line of standard input to an echo server and prints what comes back. usage: event_client URL
#include <ringcast/client.hpp>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <string>

using namespace ringcast;

int main(int argc, char** argv) {
  std::atomic<int> unanswered{0};
  std::atomic<bool> over{false};
  client c{argc > 1 ? argv[1] : "ws://127.0.0.1:8080/echo", {.reconnect = {.max_attempts = 5}}}; // ends first, and no callback comes after that
  c.on_message([&](const message_view& m) {
    std::printf("%.*s\n", static_cast<int>(m.text().size()), m.text().data());
    --unanswered;
    unanswered.notify_one();
  });
  c.on_error([](const client_error& e) { std::fprintf(stderr, "error: %.*s\n", static_cast<int>(e.text.size()), e.text.data()); });
  c.on_reconnecting([](unsigned attempt, std::chrono::milliseconds delay) {
    std::fprintf(stderr, "attempt %u follows in %lld ms\n", attempt, static_cast<long long>(delay.count()));
  });
  c.on_reconnected([] { std::fprintf(stderr, "connected again\n"); });
  c.on_close([&](std::uint16_t code, std::string_view, bool clean) {
    std::fprintf(stderr, "closed with %u%s\n", code, clean ? "" : ", without a closing handshake");
    over = true;
    over.notify_one();
    unanswered = 0;
    unanswered.notify_one();
  });
  c.start();
  for (std::string line; std::getline(std::cin, line);) {
    ++unanswered;
    if (c.send_text(line) != send_status::queued) --unanswered; // it waits in the queue while there is no connection
  }
  for (int left = unanswered; left > 0; left = unanswered) unanswered.wait(left);
  if (c.disconnect(1000, "the input has ended") == send_status::queued) over.wait(false);
}

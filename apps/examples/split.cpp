// Sending and receiving at the same time: a worker thread counts for every connection while a coroutine receives.
// usage: split [ADDRESS:PORT]
#include <ringcast/ringcast.hpp>

#include <chrono>
#include <string>
#include <thread>

using namespace ringcast;

static task<void> both_ways(request& req) {
  auto [to, from] = (co_await req.upgrade()).split();
  std::thread([to] { // any thread; a sender may be copied, and survives its connection
    for (int i = 0; i < 5 && to.send_text("count " + std::to_string(i)).value == send_status::queued; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  })
      .detach();
  while (auto message = co_await from.receive()) to.send_text("you said: " + std::string{message->text()});
}

int main(int argc, char** argv) {
  server s{{.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"}}};
  s.get("/split", both_ways);
  return s.run();
}

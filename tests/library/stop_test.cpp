// stop() while other threads publish as fast as they can, with shards that are busy: it ends, and whatever was called queued is heard first.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <latch>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t close_timeout_ms = 10'000;
constexpr int publisher_count = 3;

// A room on one shard whose thread waits in a callback until it is let go, so that nobody takes what comes through its inbox.
struct busy_server {
  std::latch is_busy{1}, may_go_on{1};
  server s{{.listen = {"127.0.0.1:0"},
            .shards = 1,
            .limits = {.send_queue_bytes_max = 64u << 20, .close_timeout_ms = close_timeout_ms},
            .coalesce_wait_us = 0}};
  busy_server() {
    s.events("/room", {.on_upgrade = [](upgrade_request_view& u) { u.take_seat("room"); }});
    s.events("/busy", {.on_message = [this](websocket_ref, const message_view&) {
               is_busy.count_down();
               may_go_on.wait();
             }});
    BOOST_REQUIRE(s.start());
  }
};

} // namespace

BOOST_AUTO_TEST_SUITE(stopping_from_threads)

BOOST_AUTO_TEST_CASE(a_stop_with_a_full_inbox_ends_and_loses_nothing_that_was_called_queued) {
  busy_server busy;
  wire_client member{busy.s.addresses().front()}, blocker{busy.s.addresses().front()};
  BOOST_REQUIRE(member.upgrade("/room").starts_with("HTTP/1.1 101"));
  BOOST_REQUIRE(blocker.upgrade("/busy").starts_with("HTTP/1.1 101"));
  blocker.send(opcode::text, "x");
  busy.is_busy.wait();

  std::atomic<int> full{0};
  std::vector<int> queued(publisher_count);
  std::vector<std::thread> publishers;
  for (int t = 0; t < publisher_count; ++t)
    publishers.emplace_back([&, t] {
      room r = busy.s.room("room");
      bool was_full = false;
      for (int number = 0;;) {
        const send_status status = r.broadcast(std::to_string(t) + ' ' + std::to_string(number) + ' ' + std::string(1000, 'x'));
        if (status == send_status::closed) return;
        if (status == send_status::queued) {
          queued[static_cast<std::size_t>(t)] = ++number;
        } else {
          if (!was_full) ++full;
          was_full = true;
          std::this_thread::yield();
        }
      }
    });
  while (full < publisher_count) std::this_thread::sleep_for(1ms);
  BOOST_TEST((busy.s.room("room").broadcast(std::string(4000, 'x')) == send_status::dropped));
  busy.s.stop();
  busy.s.stop(); // any number of times
  busy.may_go_on.count_down();

  std::map<int, int> heard;
  bool in_order = true;
  std::string last;
  while (!(last = member.text()).starts_with("<")) {
    const int thread = last[0] - '0';
    in_order = in_order && std::stoi(last.substr(2)) == heard[thread];
    ++heard[thread];
  }
  BOOST_TEST(last == "<close 1001>");
  member.close(1001);
  BOOST_TEST(blocker.text() == "<close 1001>");
  blocker.close(1001);
  busy.s.wait();
  for (std::thread& t : publishers) t.join();
  BOOST_TEST(in_order);
  BOOST_TEST(std::accumulate(queued.begin(), queued.end(), 0) > 1'000);
  for (int t = 0; t < publisher_count; ++t) BOOST_TEST(heard[t] == queued[static_cast<std::size_t>(t)]);
}

BOOST_AUTO_TEST_SUITE_END()

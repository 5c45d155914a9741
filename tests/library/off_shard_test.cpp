// Work beside the shards: run_on, post, events and channels between handlers and other threads, and who holds a shard up.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

task<void> echo(request& req) {
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

// The lines of the log, as long as it lives.
class log_lines {
 public:
  log_lines() {
    set_log_taker([this](log_level, std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(line);
    });
  }
  ~log_lines() { set_log_taker(nullptr); }
  // Waits for one, since the log has a thread of its own.
  [[nodiscard]] std::string with(std::string_view part) {
    for (int i = 0; i < 500; ++i) {
      {
        const std::lock_guard lock(mutex_);
        for (const std::string& line : lines_)
          if (line.find(part) != std::string::npos) return line;
      }
      std::this_thread::sleep_for(10ms);
    }
    return {};
  }
  [[nodiscard]] std::size_t count(std::string_view part) {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count_if(lines_, [&](const std::string& line) { return line.find(part) != std::string::npos; }));
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

} // namespace

BOOST_AUTO_TEST_SUITE(off_shard)

// Counted and not timed: what the others are answered is answered before the work is allowed to end.
BOOST_AUTO_TEST_CASE(others_are_answered_while_the_work_of_one_handler_is_not_done) {
  std::latch begun{1}, go_on{1};
  thread_pool pool{{.threads = 1}}; // ends before what its work refers to
  running server{[&](auto& s) {
                   s.get("/echo", echo);
                   s.get("/work", [&](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade();
                     while (auto message = co_await ws.receive()) {
                       const auto length = co_await run_on(pool, [&begun, &go_on, text = std::string{message->text()}] {
                         begun.count_down();
                         go_on.wait();
                         return text.size();
                       });
                       co_await ws.send_text(std::to_string(length.value()));
                     }
                   });
                 },
                 {.shards = 1}};
  wire_client worker{server.address()}, other{server.address()};
  (void)worker.upgrade("/work");
  (void)other.upgrade("/echo");
  worker.send(opcode::text, "seven b");
  begun.wait();
  for (int i = 0; i < 200; ++i) {
    other.send(opcode::text, std::to_string(i));
    BOOST_REQUIRE(other.text() == std::to_string(i));
  }
  go_on.count_down();
  BOOST_TEST(worker.text() == "7");
}

BOOST_AUTO_TEST_CASE(a_stop_ends_the_wait_for_work_that_goes_on) {
  std::latch begun{1}, go_on{1};
  thread_pool pool{{.threads = 1}}; // ends before what its work refers to
  std::atomic<bool> was_stopped{false};
  {
    running server{[&](auto& s) {
      s.get("/work", [&](request& req) -> task<void> {
        const auto done = co_await run_on(pool, [&] {
          begun.count_down();
          go_on.wait();
        });
        was_stopped = !done && done.error() == work_end::stopped;
        req.respond(status::service_unavailable, "not now");
      });
    }};
    wire_client c{server.address()};
    c.send_bytes("GET /work HTTP/1.1\r\nHost: t\r\n\r\n");
    begun.wait();
  } // the server has ended, and the work has not
  BOOST_TEST(was_stopped.load());
  go_on.count_down();
}

BOOST_AUTO_TEST_CASE(a_posted_function_runs_on_its_shard_in_order) {
  log_lines log;
  server idle{{.listen = {"127.0.0.1:0"}}};
  BOOST_TEST((idle.post(0, [] {}) == send_status::not_started));
  BOOST_TEST(!idle.this_shard().has_value());
  running server{[](auto& s) { s.get("/echo", echo); }, {.shards = 2}};
  std::vector<int> order;
  std::atomic<std::uint32_t> where{99};
  std::latch done{2};
  for (int i = 0; i < 100; ++i) BOOST_TEST((server.s.post(1, [&order, i] { order.push_back(i); }) == send_status::queued));
  BOOST_TEST((server.s.post(1, [] { throw std::runtime_error("from a posted function"); }) == send_status::queued));
  BOOST_TEST((server.s.post(1, [&] {
    where = server.s.this_shard().value();
    spawn([](std::latch& l) -> task<void> {
      co_await sleep_for(1ms);
      l.count_down();
    }(done));
    done.count_down();
  }) == send_status::queued));
  done.wait();
  BOOST_TEST(where.load() == 1u);
  BOOST_REQUIRE(order.size() == 100u);
  for (int i = 0; i < 100; ++i) BOOST_TEST(order[static_cast<std::size_t>(i)] == i);
  const std::string line = log.with("from a posted function");
  BOOST_TEST((line.find("off_shard_test.cpp:") != std::string::npos), line);
  BOOST_CHECK_THROW((void)server.s.post(2, [] {}), std::out_of_range);
  server.s.stop();
  server.s.wait();
  BOOST_TEST((server.s.post(1, [] {}) == send_status::closed));
}

// A thread that is no shard feeds a coroutine, and the other way round; the handlers are on two shards.
BOOST_AUTO_TEST_CASE(an_event_and_a_channel_join_handlers_and_threads) {
  event opened;
  channel<std::string> to_thread{4};
  running server{[&](auto& s) {
    s.get("/ask", [&](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      channel<std::string> answers{1};
      if (co_await opened.wait() != wait_result::done) co_return;
      while (auto message = co_await ws.receive()) {
        (void)co_await to_thread.send(std::string{message->text()});
        co_await ws.send_text("sent");
      }
    });
  }};
  std::vector<std::string> heard;
  std::jthread other([&] {
    while (auto next = to_thread.blocking_receive()) heard.push_back(*next);
  });
  wire_client a{server.address()}, b{server.address()};
  (void)a.upgrade("/ask");
  (void)b.upgrade("/ask");
  a.send(opcode::text, "x");
  BOOST_TEST(!a.receive(50).has_value()); // nobody has opened yet
  opened.set();
  BOOST_TEST(a.text() == "sent");
  for (int i = 0; i < 50; ++i) {
    b.send(opcode::text, std::to_string(i));
    BOOST_REQUIRE(b.text() == "sent");
  }
  to_thread.close();
  other.join();
  BOOST_TEST(heard.size() == 51u);
}

BOOST_AUTO_TEST_CASE(whoever_holds_a_shard_up_is_named_in_the_log_if_it_is_asked_for) {
  log_lines log;
  const auto hold = [](websocket_ref ws, const message_view& m) {
    std::this_thread::sleep_for(20ms);
    ws.send(m);
  };
  running server{[&](auto& s) {
                   s.get("/echo", echo);
                   s.get("/blocks", [](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade();
                     while (auto message = co_await ws.receive()) {
                       std::this_thread::sleep_for(20ms);
                       co_await ws.send(*message);
                     }
                   });
                   s.events("/blocks-too", {.on_message = hold});
                 },
                 {.shards = 1, .slow_handler_ms = 10}};
  wire_client quick{server.address()}, slow{server.address()}, slow_too{server.address()};
  (void)quick.upgrade("/echo");
  (void)slow.upgrade("/blocks");
  (void)slow_too.upgrade("/blocks-too");
  quick.send(opcode::text, "x");
  (void)quick.text();
  for (int i = 0; i < 5; ++i) {
    slow.send(opcode::text, "x");
    BOOST_TEST(slow.text() == "x");
  }
  const std::string line = log.with("held its shard");
  BOOST_TEST(line.find("off_shard_test.cpp:") != std::string::npos);
  BOOST_TEST(line.find("the coroutine") != std::string::npos);
  BOOST_TEST(log.count("held its shard") == 1u); // one a second
  std::this_thread::sleep_for(1s);
  slow_too.send(opcode::text, "x");
  BOOST_TEST(slow_too.text() == "x");
  BOOST_TEST((log.with("on_message registered").find("4 more like it") != std::string::npos));
}

BOOST_AUTO_TEST_SUITE_END()

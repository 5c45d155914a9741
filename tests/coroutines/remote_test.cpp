// Waits that other threads end: events, channels and work on other threads, at the worst moments.
#include "engine/coroutine/scheduler.hpp"
#include "manual_shard.hpp"
#include <ringcast/channel.hpp>
#include <ringcast/event.hpp>
#include <ringcast/run_on.hpp>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <latch>
#include <memory>
#include <poll.h>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

// Holds what it is given until the test runs it, on whichever thread.
struct held_executor {
  std::vector<std::function<void()>> jobs;
  void operator()(std::function<void()> job) { jobs.push_back(std::move(job)); }
  void run_elsewhere() {
    std::thread([this] {
      for (auto& job : jobs) job();
      jobs.clear();
    }).join();
  }
};

template <class T> std::string word_of(const std::expected<T, work_end>& result) {
  if (result) return "done";
  return result.error() == work_end::refused ? "refused" : result.error() == work_end::timed_out ? "timed out" : "stopped";
}

template <class T> std::string word_of(const std::expected<T, channel_end>& result) {
  if (result) return "done";
  return result.error() == channel_end::closed ? "closed" : result.error() == channel_end::timed_out ? "timed out" : "stopped";
}

} // namespace

BOOST_AUTO_TEST_SUITE(an_event)

BOOST_AUTO_TEST_CASE(that_is_set_on_another_thread_ends_every_wait_and_every_later_one_at_once) {
  manual_shard shard;
  event happened;
  std::vector<wait_result> ends;
  const auto waits = [](event e, std::vector<wait_result>& seen) -> task<void> { seen.push_back(co_await e.wait()); };
  shard->spawn(waits(happened, ends));
  shard->spawn(waits(happened, ends));
  shard.settle();
  BOOST_TEST(ends.empty());
  std::thread([happened] { happened.set(); }).join();
  BOOST_TEST(ends.empty()); // nothing runs on the other thread
  BOOST_TEST(shard->has_ready());
  shard.settle();
  shard->spawn(waits(happened, ends));
  shard.settle();
  BOOST_TEST((ends == std::vector{wait_result::done, wait_result::done, wait_result::done}));
  happened.reset();
  shard->spawn(waits(happened, ends));
  shard.settle();
  BOOST_TEST(ends.size() == 3u);
}

BOOST_AUTO_TEST_CASE(is_waited_for_until_the_deadline_the_stop_or_the_end_of_the_shard) {
  manual_shard shard;
  event never;
  std::stop_source source;
  std::vector<wait_result> ends;
  const auto waits = [](event e, wait_limits limits, std::vector<wait_result>& seen) -> task<void> {
    seen.push_back(co_await e.wait(std::move(limits)));
  };
  shard->spawn(waits(never, {.deadline = 10ms}, ends));
  shard->spawn(waits(never, {.stop = source.get_token()}, ends));
  shard->spawn(waits(never, {}, ends));
  shard.settle();
  shard.advance(20ms);
  BOOST_TEST((ends == std::vector{wait_result::timed_out}));
  source.request_stop();
  shard.settle();
  shard->stop();
  shard.settle();
  BOOST_TEST((ends == std::vector{wait_result::timed_out, wait_result::stopped, wait_result::stopped}));
  never.set(); // nobody is there any more
}

BOOST_AUTO_TEST_CASE(touches_no_coroutine_that_was_destroyed_meanwhile) {
  manual_shard shard;
  event late, unseen;
  const auto waits = [](event e) -> task<void> { (void)co_await e.wait(); };
  shard->spawn(waits(late));
  shard->spawn(waits(unseen));
  shard.settle();
  std::thread([unseen] { unseen.set(); }).join(); // told, and not yet taken by the shard
  shard.end();
  std::thread([late] { late.set(); }).join();
  BOOST_TEST(shard.timers().armed_count() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_channel)

BOOST_AUTO_TEST_CASE(keeps_the_order_of_a_sender_and_the_bound_in_both_directions) {
  manual_shard shard;
  channel<int> numbers{2};
  std::vector<int> got;
  int sent = 0;
  shard->spawn([](channel<int> to, int& n) -> task<void> {
    for (int i = 0; i < 6; ++i, ++n) (void)co_await to.send(i);
  }(numbers, sent));
  shard.settle();
  BOOST_TEST(sent == 2); // the third waits
  BOOST_TEST(numbers.size() == 2u);
  BOOST_TEST(!numbers.try_send(99));
  std::thread([&] {
    for (int i = 0; i < 3; ++i) got.push_back(*numbers.blocking_receive({.deadline = 10s}));
  }).join();
  shard.settle();
  shard->spawn([](channel<int> from, std::vector<int>& to) -> task<void> {
    while (auto next = co_await from.receive()) to.push_back(*next);
  }(numbers, got));
  shard.settle();
  BOOST_TEST((got == std::vector{0, 1, 2, 3, 4, 5}));
  numbers.close();
  shard.settle();
  BOOST_TEST(shard->task_count() == 0u);
  BOOST_TEST(!numbers.try_send(7));
}

BOOST_AUTO_TEST_CASE(that_is_closed_gives_what_is_left_and_then_says_so) {
  manual_shard shard;
  channel<std::string> words{1};
  std::vector<std::string> seen;
  const auto sends = [](channel<std::string> to, std::string what, std::vector<std::string>& out) -> task<void> {
    out.push_back(what + " " + word_of(co_await to.send(what)));
  };
  shard->spawn(sends(words, "first", seen));
  shard->spawn(sends(words, "second", seen));
  shard.settle();
  words.close();
  shard.settle();
  BOOST_TEST((seen == std::vector<std::string>{"first done", "second closed"}), boost::test_tools::per_element());
  BOOST_TEST(words.try_receive().value() == "first");
  BOOST_TEST(word_of(words.blocking_receive()) == "closed");
}

BOOST_AUTO_TEST_CASE(ends_a_wait_at_a_deadline_and_at_a_stop_and_loses_nothing_by_it) {
  manual_shard shard;
  channel<int> numbers{1};
  std::vector<std::string> seen;
  const auto receives = [](channel<int> from, wait_limits limits, std::vector<std::string>& out) -> task<void> {
    out.push_back(word_of(co_await from.receive(std::move(limits))));
  };
  std::stop_source source;
  shard->spawn(receives(numbers, {.deadline = 5ms}, seen));
  shard->spawn(receives(numbers, {.stop = source.get_token()}, seen));
  shard.settle();
  shard.advance(10ms);
  source.request_stop();
  shard.settle();
  BOOST_TEST((seen == std::vector<std::string>{"timed out", "stopped"}), boost::test_tools::per_element());
  BOOST_TEST(numbers.try_send(1));
  shard->spawn([](channel<int> to, std::vector<std::string>& out) -> task<void> {
    out.push_back(word_of(co_await to.send(2, {.deadline = 5ms})));
  }(numbers, seen));
  shard.settle();
  shard.advance(10ms);
  BOOST_TEST(seen.back() == "timed out");
  BOOST_TEST(numbers.try_receive().value() == 1);
  BOOST_TEST(!numbers.try_receive().has_value()); // the 2 was not sent
}

BOOST_AUTO_TEST_CASE(gives_what_was_on_its_way_to_a_destroyed_coroutine_to_the_next) {
  channel<std::unique_ptr<int>> values{4};
  {
    manual_shard shard;
    shard->spawn([](channel<std::unique_ptr<int>> from) -> task<void> { (void)co_await from.receive(); }(values));
    shard.settle();
    std::thread([values] { (void)values.try_send(std::make_unique<int>(7)); }).join();
    BOOST_TEST(values.size() == 0u); // handed over already
    shard.end();
  }
  BOOST_TEST(values.size() == 1u);
  BOOST_TEST(**values.try_receive() == 7);
}

// Four threads and four coroutines on two shards' threads, in both directions: each value comes once, and those of one sender in their order.
BOOST_AUTO_TEST_CASE(between_threads_and_shards_loses_nothing_and_repeats_nothing, *boost::unit_test::label("stress")) {
  constexpr int per_sender = 20'000, senders = 4;
  channel<int> numbers{16};
  std::vector<std::vector<int>> got(2 + 2);
  std::vector<std::thread> all;
  std::atomic<int> lost{0}; // wake-ups
  const auto serve = [&lost](auto&& start) {
    timer_wheel timers(now_ms());
    doorbell bell;
    scheduler shard(timers, &bell);
    shard.attach();
    start(shard);
    while (shard.task_count() > 0) {
      shard.run_ready();
      timers.expire(now_ms(), [](timer_node& node) { waiter::on_timer(node); });
      bell.prepare_sleep();
      if (!shard.has_ready() && shard.task_count() > 0) {
        pollfd readable{bell.fd(), POLLIN, 0};
        if (::poll(&readable, 1, 20'000) <= 0) ++lost; // checked by the thread of the test, since Boost.Test belongs to it
        bell.awake();
        bell.acknowledge();
      }
      bell.awake();
    }
  };
  std::latch sent{senders};
  for (int s = 0; s < 2; ++s)
    all.emplace_back([&, s] {
      for (int i = 0; i < per_sender; ++i) (void)numbers.blocking_send(s * per_sender + i);
      sent.count_down();
    });
  all.emplace_back([&] {
    serve([&](scheduler& shard) {
      for (int s = 2; s < 4; ++s)
        shard.spawn([](channel<int> to, int first, std::latch& done) -> task<void> {
          for (int i = 0; i < per_sender; ++i) (void)co_await to.send(first + i);
          done.count_down();
        }(numbers, s * per_sender, sent));
    });
  });
  for (std::size_t r = 0; r < 2; ++r)
    all.emplace_back([&, r] {
      while (auto next = numbers.blocking_receive()) got[r].push_back(*next);
    });
  all.emplace_back([&] {
    serve([&](scheduler& shard) {
      for (std::size_t r = 2; r < 4; ++r)
        shard.spawn([](channel<int> from, std::vector<int>& to) -> task<void> {
          while (auto next = co_await from.receive()) to.push_back(*next);
        }(numbers, got[r]));
    });
  });
  sent.wait();
  numbers.close();
  for (auto& each : all) each.join();
  BOOST_TEST(lost == 0);
  std::vector<int> times(senders * per_sender);
  for (const auto& one : got) {
    std::vector<int> last(senders, -1);
    for (const int number : one) {
      ++times[static_cast<std::size_t>(number)];
      int& before = last[static_cast<std::size_t>(number / per_sender)];
      BOOST_REQUIRE(number > before);
      before = number;
    }
  }
  BOOST_TEST(std::ranges::count(times, 1) == senders * per_sender);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(work_on_another_thread)

BOOST_AUTO_TEST_CASE(brings_its_result_and_what_it_throws_back_to_its_shard) {
  manual_shard shard;
  thread_pool pool{{.threads = 2}};
  std::vector<std::string> seen;
  std::atomic<int> ended{0};
  const std::thread::id here = std::this_thread::get_id();
  shard->spawn([](thread_pool& on, std::vector<std::string>& out, std::thread::id own, std::atomic<int>& ends) -> task<void> {
    const auto where = co_await run_on(on, [] { return std::this_thread::get_id(); });
    out.push_back(where.value() != own && std::this_thread::get_id() == own ? "there and back" : "elsewhere");
    try {
      (void)co_await run_on(on, []() -> int { throw std::runtime_error("no such file"); });
    } catch (const std::runtime_error& thrown) {
      out.push_back(thrown.what());
    }
    out.push_back(word_of(co_await run_on(on, [] {})));
    ++ends;
  }(pool, seen, here, ended));
  for (int i = 0; i < 5000 && ended == 0; ++i) {
    shard.settle();
    std::this_thread::sleep_for(1ms);
  }
  BOOST_TEST((seen == std::vector<std::string>{"there and back", "no such file", "done"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(that_is_refused_dropped_late_or_stopped_says_so) {
  manual_shard shard;
  held_executor executor;
  std::vector<std::string> seen;
  std::stop_source source;
  const auto asks = [](auto& on, wait_limits limits, std::vector<std::string>& out) -> task<void> {
    out.push_back(word_of(co_await run_on(on, [] { return 1; }, std::move(limits))));
  };
  const auto refuses = [](std::function<void()>) { return false; };
  shard->spawn(asks(refuses, {}, seen));
  shard.settle();
  shard->spawn(asks(executor, {}, seen));
  shard.settle();
  executor.jobs.clear(); // let go of without a call
  shard.settle();
  shard->spawn(asks(executor, {.deadline = 5ms}, seen));
  shard.settle();
  shard.advance(10ms);
  shard->spawn(asks(executor, {.stop = source.get_token()}, seen));
  shard.settle();
  source.request_stop();
  shard.settle();
  shard->spawn(asks(executor, {}, seen));
  shard.settle();
  shard->stop();
  shard.settle();
  BOOST_TEST((seen == std::vector<std::string>{"refused", "refused", "timed out", "stopped", "stopped"}), boost::test_tools::per_element());
  executor.run_elsewhere(); // and touches nobody
}

BOOST_AUTO_TEST_CASE(that_nobody_waits_for_is_told_so_or_not_begun) {
  manual_shard shard;
  held_executor executor;
  std::latch running{1};
  std::atomic<bool> told{false}, begun{false};
  thread_pool pool{{.threads = 1}};
  std::stop_source source;
  shard->spawn([](thread_pool& on, std::latch& l, std::atomic<bool>& t, std::stop_token stop) -> task<void> {
    (void)co_await run_on(on,
                          [&l, &t](std::stop_token unwanted) {
                            l.count_down();
                            while (!unwanted.stop_requested()) std::this_thread::yield();
                            t = true;
                          },
                          {.stop = stop});
  }(pool, running, told, source.get_token()));
  shard->spawn([](held_executor& on, std::atomic<bool>& b, std::stop_token stop) -> task<void> {
    (void)co_await run_on(on, [&b] { b = true; }, {.stop = stop});
  }(executor, begun, source.get_token()));
  shard.settle();
  running.wait();
  source.request_stop();
  shard.settle();
  BOOST_TEST(shard->task_count() == 0u);
  executor.run_elsewhere();
  BOOST_TEST(!begun.load());
  for (int i = 0; i < 5000 && !told; ++i) std::this_thread::sleep_for(1ms);
  BOOST_TEST(told.load());
}

BOOST_AUTO_TEST_CASE(touches_no_coroutine_that_was_destroyed_meanwhile) {
  held_executor executor;
  std::vector<std::string> log;
  {
    manual_shard shard;
    shard->spawn([](held_executor& on, std::vector<std::string>& to) -> task<void> {
      const traced frame{to, "frame"};
      (void)co_await run_on(on, [] { return std::string(1000, 'x'); });
    }(executor, log));
    shard.settle();
    shard.end();
  }
  BOOST_TEST((log == std::vector<std::string>{"~frame"}));
  executor.run_elsewhere();
}

BOOST_AUTO_TEST_CASE(beyond_the_bound_of_a_pool_is_refused) {
  std::latch begun{1}, go_on{1};
  thread_pool pool{{.threads = 1, .queued_max = 2}}; // ends before what its work refers to
  BOOST_TEST(pool.submit([&] {
    begun.count_down();
    go_on.wait();
  }));
  begun.wait();
  BOOST_TEST(pool.submit([] {}));
  BOOST_TEST(pool.submit([] { throw 1; })); // is logged, and the pool goes on
  BOOST_TEST(!pool.submit([] {}));
  BOOST_TEST(pool.queued() == 2u);
  go_on.count_down();
}

BOOST_AUTO_TEST_SUITE_END()

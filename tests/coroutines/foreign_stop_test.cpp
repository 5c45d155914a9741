// Stop tokens that are used on another thread than the shard's, at the worst moments.
#include "engine/coroutine/scheduler.hpp"
#include "manual_shard.hpp"
#include <ringcast/detail/clock.hpp>
#include <ringcast/sleep.hpp>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <poll.h>
#include <stop_token>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(a_stop_from_another_thread)

BOOST_AUTO_TEST_CASE(is_taken_at_the_next_turn) {
  manual_shard shard;
  std::stop_source source;
  bool stopped = false;
  shard->spawn(
      [](std::stop_token stop, bool& s) -> task<void> { s = co_await sleep_for(1h, stop) == sleep_result::stopped; }(source.get_token(), stopped));
  shard.settle();
  std::thread([&] { source.request_stop(); }).join();
  BOOST_TEST(shard->has_ready());
  shard.settle();
  BOOST_TEST(stopped);
}

BOOST_AUTO_TEST_CASE(that_nobody_took_before_the_frame_went_is_forgotten) {
  manual_shard shard;
  std::stop_source source;
  shard->spawn([](std::stop_token stop) -> task<void> { (void)co_await sleep_for(1h, stop); }(source.get_token()));
  shard->spawn([](std::stop_token stop) -> task<void> { (void)co_await sleep_for(1h, stop); }(source.get_token()));
  shard.settle();
  std::thread([&] { source.request_stop(); }).join();
  shard.end();
  BOOST_TEST(shard.timers().armed_count() == 0u);
}

// A shard with a real clock sleeps in poll() while another thread stops its tasks one by one, some of them just when
// their time is over anyway. Each sleep ends exactly once, and the shard is woken for each.
BOOST_AUTO_TEST_CASE(races_with_the_time_that_is_over, *boost::unit_test::label("stress")) {
  constexpr std::size_t task_number = 20'000;
  constexpr std::size_t at_once = 64;
  std::vector<std::stop_source> sources(task_number);
  std::atomic<std::size_t> started{0};
  std::atomic<bool> lost{false};
  std::size_t stopped = 0;
  std::size_t elapsed = 0;
  std::thread stopper([&] {
    for (std::size_t i = 0; i < task_number && !lost.load(); ++i) {
      while (started.load(std::memory_order_acquire) <= i && !lost.load()) std::this_thread::yield();
      if (i % 3 == 0) std::this_thread::yield();
      sources[i].request_stop();
    }
  });
  {
    timer_wheel timers(now_ms());
    doorbell bell;
    scheduler shard(timers, &bell);
    shard.attach();
    const auto sleeper = [](std::stop_token stop, std::size_t number, std::size_t& s, std::size_t& e) -> task<void> {
      // Some nearly an hour, some a millisecond, some nothing: the stop comes before, at, or after the end.
      const auto duration = number % 2 != 0 ? std::chrono::milliseconds(3'000'000) : std::chrono::milliseconds(number % 4);
      ++(co_await sleep_for(duration, stop) == sleep_result::stopped ? s : e);
    };
    std::size_t next = 0;
    while ((stopped + elapsed < task_number) && !lost.load()) {
      while (next < task_number && shard.task_count() < at_once) {
        shard.spawn(sleeper(sources[next].get_token(), next, stopped, elapsed));
        ++next;
      }
      shard.run_ready();
      started.store(next, std::memory_order_release);
      timers.expire(now_ms(), [](timer_node& node) { waiter::on_timer(node); });
      bell.prepare_sleep();
      if (!shard.has_ready() && stopped + elapsed < task_number) {
        const std::uint64_t until = timers.next_deadline_ms();
        const std::uint64_t now = now_ms();
        const int wait_ms = until <= now ? 0 : static_cast<int>(std::min<std::uint64_t>(until - now, 10'000));
        pollfd waiting{bell.fd(), POLLIN, 0};
        if (::poll(&waiting, 1, wait_ms) == 0 && wait_ms == 10'000) lost = true;
      }
      bell.awake();
      bell.acknowledge();
    }
    BOOST_TEST(shard.task_count() == 0u);
    BOOST_TEST(timers.armed_count() == 0u);
  }
  stopper.join();
  BOOST_TEST(!lost.load());
  BOOST_TEST(stopped + elapsed == task_number);
  BOOST_TEST(stopped >= task_number / 2);
  BOOST_TEST(elapsed > 0u);
}

BOOST_AUTO_TEST_SUITE_END()

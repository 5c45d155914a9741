// Tasks that are joined, cancelled, waited for together, and bounded in time.
#include "engine/coroutine/scheduler.hpp"
#include "manual_shard.hpp"
#include <ringcast/mutex.hpp>
#include <ringcast/sleep.hpp>
#include <ringcast/when.hpp>

#include <boost/test/unit_test.hpp>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

using words = std::vector<std::string>;

// Says in a list that it is over, and how.
task<int> after(std::chrono::milliseconds time, int value, words& log) {
  const bool elapsed = co_await sleep_for(time) == sleep_result::elapsed;
  log.push_back(std::to_string(value) + (elapsed ? " elapsed" : " stopped"));
  co_return value;
}

task<int> throws_after(std::chrono::milliseconds time, std::string what) {
  co_await sleep_for(time);
  throw std::runtime_error(what);
}

} // namespace

BOOST_AUTO_TEST_SUITE(a_handle)

BOOST_AUTO_TEST_CASE(joins_a_task_and_what_it_threw_once) {
  manual_shard shard;
  words log;
  shard->spawn([](words& out) -> task<void> {
    const task_handle fine = spawn([](words& o) -> task<void> { (void)co_await after(10ms, 1, o); }(out));
    const task_handle bad = spawn([]() -> task<void> { (void)co_await throws_after(5ms, "no"); }());
    out.push_back(co_await fine.join({.deadline = 2ms}) == wait_result::timed_out ? "not yet" : "?");
    out.push_back(co_await fine.join() == wait_result::done && fine.is_done() ? "joined" : "?");
    try {
      (void)co_await bad.join(); // it has ended before
    } catch (const std::runtime_error& thrown) {
      out.push_back(thrown.what());
    }
    out.push_back(co_await task_handle{}.join() == wait_result::done ? "nobody" : "?");
  }(log));
  shard.settle();
  for (int i = 0; i < 20; ++i) shard.advance(1ms);
  BOOST_TEST((log == words{"not yet", "1 elapsed", "joined", "no", "nobody"}), boost::test_tools::per_element());
  BOOST_TEST(shard.exceptions.empty());
}

BOOST_AUTO_TEST_CASE(that_nobody_joins_leaves_the_exception_to_the_log) {
  manual_shard shard;
  shard->spawn([]() -> task<void> {
    (void)spawn([]() -> task<void> { (void)co_await throws_after(1ms, "dropped at once"); }());
    const task_handle kept = spawn([]() -> task<void> { (void)co_await throws_after(1ms, "never joined"); }());
    co_await sleep_for(5ms);
  }());
  shard.settle();
  for (int i = 0; i < 10; ++i) shard.advance(1ms);
  BOOST_TEST((shard.exceptions == words{"dropped at once", "never joined"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(cancels_every_wait_now_and_later_but_no_lock) {
  manual_shard shard;
  words log;
  mutex lock;
  shard->spawn([](mutex& m, words& out) -> task<void> {
    auto held = co_await m.scoped_lock();
    const task_handle other = spawn([](mutex& mine, words& o) -> task<void> {
      (void)co_await after(1h, 1, o);
      (void)co_await after(1h, 2, o); // as a task that it awaits
      const auto guard = co_await mine.scoped_lock();
      o.push_back(guard ? "has the lock" : "?");
    }(m, out));
    co_await sleep_for(1ms);
    other.cancel();
    co_await sleep_for(1ms);
    out.push_back("lets go");
    held.unlock();
    (void)co_await other.join();
    other.cancel(); // of a task that is done
  }(lock, log));
  shard.settle();
  for (int i = 0; i < 10; ++i) shard.advance(1ms);
  BOOST_TEST((log == words{"1 stopped", "2 stopped", "lets go", "has the lock"}), boost::test_tools::per_element());
  BOOST_TEST(shard->task_count() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(several_tasks)

BOOST_AUTO_TEST_CASE(all_of_them_give_their_results_in_the_order_of_the_call) {
  manual_shard shard;
  words log;
  shard->spawn([](words& out) -> task<void> {
    auto [three, word, nothing] = co_await when_all(
        after(3ms, 3, out), []() -> task<std::string> { co_return "at once"; }(),
        [](words& o) -> task<void> { (void)co_await after(1ms, 1, o); }(out));
    static_assert(std::is_same_v<decltype(nothing), std::monostate>);
    out.push_back(std::to_string(three) + " " + word);
    std::vector<task<int>> many;
    for (int i = 0; i < 3; ++i) many.push_back(after(std::chrono::milliseconds(3 - i), i, out));
    for (const int value : co_await when_all(std::move(many))) out.push_back(std::to_string(value));
    (void)co_await when_all();
  }(log));
  shard.settle();
  for (int i = 0; i < 10; ++i) shard.advance(1ms);
  BOOST_TEST((log == words{"1 elapsed", "3 elapsed", "3 at once", "2 elapsed", "1 elapsed", "0 elapsed", "0", "1", "2"}),
             boost::test_tools::per_element());
  BOOST_TEST(shard->task_count() == 0u);
}

BOOST_AUTO_TEST_CASE(one_of_which_throws_are_cancelled_and_waited_for) {
  manual_shard shard;
  words log;
  shard->spawn([](words& out) -> task<void> {
    try {
      (void)co_await when_all(after(1h, 1, out), throws_after(2ms, "no"), after(1h, 2, out));
    } catch (const std::runtime_error& thrown) {
      out.push_back(thrown.what());
    }
  }(log));
  shard.settle();
  for (int i = 0; i < 5; ++i) shard.advance(1ms);
  BOOST_TEST((log == words{"1 stopped", "2 stopped", "no"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_first_of_them_wins_and_the_others_are_cancelled_and_waited_for) {
  manual_shard shard;
  words log;
  shard->spawn([](words& out) -> task<void> {
    const auto first = co_await when_any(after(1h, 1, out), after(2ms, 2, out), [](words& o) -> task<void> { (void)co_await after(1h, 3, o); }(out));
    out.push_back("index " + std::to_string(first.index()) + " value " + std::to_string(std::get<1>(first)));
    try {
      (void)co_await when_any(throws_after(1ms, "no"), after(1h, 4, out));
    } catch (const std::runtime_error& thrown) {
      out.push_back(thrown.what());
    }
  }(log));
  shard.settle();
  for (int i = 0; i < 10; ++i) shard.advance(1ms);
  BOOST_TEST((log == words{"2 elapsed", "1 stopped", "3 stopped", "index 1 value 2", "4 stopped", "no"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(one_with_a_limit_is_cancelled_when_it_is_over) {
  manual_shard shard;
  words log;
  shard->spawn([](words& out) -> task<void> {
    const auto quick = co_await with_timeout(5ms, after(1ms, 1, out));
    out.push_back(quick ? "value " + std::to_string(*quick) : "?");
    const auto slow = co_await with_timeout(5ms, after(1h, 2, out));
    out.push_back(!slow && slow.error() == wait_result::timed_out ? "timed out" : "?");
    const auto nothing = co_await with_timeout(5ms, []() -> task<void> { co_return; }());
    out.push_back(nothing ? "done" : "?");
    try {
      (void)co_await with_timeout(5ms, throws_after(1ms, "no"));
    } catch (const std::runtime_error& thrown) {
      out.push_back(thrown.what());
    }
  }(log));
  shard.settle();
  for (int i = 0; i < 20; ++i) shard.advance(1ms);
  BOOST_TEST((log == words{"1 elapsed", "value 1", "2 stopped", "timed out", "done", "no"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(are_cancelled_with_who_waits_for_them_and_stopped_with_the_shard) {
  manual_shard shard;
  words log;
  const auto waits = [](words& out) -> task<void> {
    const auto [a, b] = co_await when_all(after(1h, 1, out), after(1h, 2, out));
    out.push_back(std::to_string(a + b));
  };
  shard->spawn([](auto work, words& out) -> task<void> {
    const task_handle all = spawn(work(out));
    co_await sleep_for(1ms);
    all.cancel();
    (void)co_await all.join();
    out.push_back("joined");
    co_await work(out);
  }(waits, log));
  shard.settle();
  for (int i = 0; i < 3; ++i) shard.advance(1ms);
  shard->stop();
  shard.settle();
  BOOST_TEST((log == words{"1 stopped", "2 stopped", "3", "joined", "1 stopped", "2 stopped", "3"}), boost::test_tools::per_element());
  BOOST_TEST(shard->task_count() == 0u);
}

BOOST_AUTO_TEST_CASE(go_with_the_frame_that_waits_for_them) {
  manual_shard shard;
  words log;
  shard->spawn([](words& out) -> task<void> {
    const traced parent{out, "parent"};
    (void)co_await when_all(
        [](words& o) -> task<void> {
          const traced child{o, "child"};
          co_await sleep_for(1h);
        }(out),
        after(1h, 1, out));
  }(log));
  shard.settle();
  BOOST_TEST(shard->task_count() == 3u);
  shard.end();
  BOOST_TEST((log == words{"~child", "~parent"}), boost::test_tools::per_element());
  BOOST_TEST(shard.timers().armed_count() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

// The lock of a shard's coroutines: exclusion, order, limits, and every way in which a waiter can go away.
#include "manual_shard.hpp"
#include <ringcast/mutex.hpp>
#include <ringcast/sleep.hpp>

#include <boost/test/unit_test.hpp>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

// Takes the lock, notes its number, holds it for `hold`.
task<void> visit(mutex& m, int number, std::chrono::milliseconds hold, std::vector<int>& order) {
  auto guard = co_await m.scoped_lock();
  BOOST_REQUIRE(static_cast<bool>(guard));
  order.push_back(number);
  if (hold != 0ms) co_await sleep_for(hold);
}

task<void> visit_within(mutex& m, wait_limits limits, std::optional<wait_result>& result) {
  auto guard = co_await m.scoped_lock(std::move(limits));
  BOOST_REQUIRE_EQUAL(static_cast<bool>(guard), guard.result() == wait_result::done);
  result = guard.result();
}

} // namespace

BOOST_TEST_DONT_PRINT_LOG_VALUE(ringcast::wait_result)

BOOST_AUTO_TEST_SUITE(a_mutex)

BOOST_AUTO_TEST_CASE(lets_one_in_at_a_time_in_the_order_of_asking) {
  manual_shard shard;
  mutex m;
  std::vector<int> order;
  for (int i = 0; i < 20; ++i) shard->spawn(visit(m, i, 10ms, order));
  shard.settle();
  for (int i = 0; i < 20; ++i) {
    BOOST_TEST(order.size() == static_cast<std::size_t>(i) + 1);
    BOOST_TEST(m.is_locked());
    shard.advance(10ms);
  }
  for (int i = 0; i < 20; ++i) BOOST_TEST(order[static_cast<std::size_t>(i)] == i);
  BOOST_TEST(!m.is_locked());
}

BOOST_AUTO_TEST_CASE(does_not_suspend_when_it_is_free) {
  manual_shard shard;
  mutex m;
  std::vector<int> order;
  shard->spawn([](mutex& lock, std::vector<int>& o) -> task<void> {
    for (int i = 0; i < 100; ++i) co_await visit(lock, i, 0ms, o);
  }(m, order));
  BOOST_TEST(shard.turn() == 1u);
  BOOST_TEST(order.size() == 100u);
  BOOST_TEST(!shard->has_ready());
}

BOOST_AUTO_TEST_CASE(try_lock_never_waits_and_never_passes_those_who_do) {
  manual_shard shard;
  mutex m;
  auto held = m.try_lock();
  BOOST_TEST(static_cast<bool>(held));
  BOOST_TEST(!m.try_lock());
  std::vector<int> order;
  shard->spawn(visit(m, 1, 0ms, order));
  shard.settle();
  held.unlock();
  BOOST_TEST(!held);
  BOOST_TEST(!m.try_lock()); // it is the waiter's already
  shard.settle();
  BOOST_TEST(order.size() == 1u);
  BOOST_TEST(static_cast<bool>(m.try_lock()));
}

BOOST_AUTO_TEST_CASE(a_guard_moves_and_lets_go_once) {
  manual_shard shard;
  mutex m;
  {
    mutex::guard outer;
    {
      auto inner = m.try_lock();
      outer = std::move(inner);
    }
    BOOST_TEST(m.is_locked());
    mutex::guard last(std::move(outer));
    BOOST_TEST(m.is_locked());
  }
  BOOST_TEST(!m.is_locked());
}

BOOST_AUTO_TEST_CASE(a_deadline_ends_the_wait_and_the_place_in_the_queue) {
  manual_shard shard;
  mutex m;
  auto held = m.try_lock();
  std::optional<wait_result> impatient;
  std::vector<int> order;
  shard->spawn(visit_within(m, {.deadline = 10ms}, impatient));
  shard->spawn(visit(m, 2, 0ms, order));
  shard.settle();
  shard.advance(10ms);
  BOOST_REQUIRE(impatient.has_value());
  BOOST_TEST(*impatient == wait_result::timed_out);
  held.unlock();
  shard.settle();
  BOOST_TEST(order.size() == 1u);
  BOOST_TEST(!m.is_locked());
}

BOOST_AUTO_TEST_CASE(limits_that_are_used_up_still_take_a_free_lock_and_never_wait_for_one_that_is_not) {
  manual_shard shard;
  mutex m;
  std::stop_source source;
  source.request_stop();
  std::optional<wait_result> free_lock, held_lock, late;
  shard->spawn(visit_within(m, {.stop = source.get_token()}, free_lock));
  shard.settle();
  auto held = m.try_lock();
  shard->spawn(visit_within(m, {.stop = source.get_token()}, held_lock));
  shard->spawn(visit_within(m, {.deadline = -1ms}, late));
  BOOST_TEST(shard.turn() == 2u);
  BOOST_TEST(*free_lock == wait_result::done);
  BOOST_TEST(*held_lock == wait_result::stopped);
  BOOST_TEST(*late == wait_result::timed_out);
}

BOOST_AUTO_TEST_CASE(a_stop_after_the_hand_over_comes_too_late) {
  manual_shard shard;
  mutex m;
  std::stop_source source;
  auto held = m.try_lock();
  std::optional<wait_result> result;
  shard->spawn(visit_within(m, {.deadline = 1ms, .stop = source.get_token()}, result));
  shard.settle();
  held.unlock();
  source.request_stop();
  shard.advance(5ms);
  BOOST_REQUIRE(result.has_value());
  BOOST_TEST(*result == wait_result::done);
  BOOST_TEST(!m.is_locked());
}

BOOST_AUTO_TEST_CASE(a_stop_before_the_hand_over_gives_the_lock_to_the_next) {
  manual_shard shard;
  mutex m;
  std::stop_source source;
  auto held = m.try_lock();
  std::optional<wait_result> result;
  std::vector<int> order;
  shard->spawn(visit_within(m, {.stop = source.get_token()}, result));
  shard->spawn(visit(m, 2, 0ms, order));
  shard.settle();
  source.request_stop();
  held.unlock();
  shard.settle();
  BOOST_TEST(*result == wait_result::stopped);
  BOOST_TEST(order.size() == 1u);
}

BOOST_AUTO_TEST_CASE(the_end_of_the_shard_does_not_break_into_a_lock) {
  manual_shard shard;
  mutex m;
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) shard->spawn(visit(m, i, 1h, order));
  shard.settle();
  shard->stop(); // the sleeping holder ends, then each waiter gets the lock in its turn
  shard.settle();
  BOOST_TEST(order.size() == 3u);
  BOOST_TEST(shard->task_count() == 0u);
  BOOST_TEST(!m.is_locked());
}

BOOST_AUTO_TEST_CASE(destroyed_while_others_wait_it_sends_them_away_and_empties_the_guard) {
  manual_shard shard;
  auto m = std::make_unique<mutex>();
  auto held = m->try_lock();
  std::optional<wait_result> first, second;
  shard->spawn(visit_within(*m, {}, first));
  shard->spawn(visit_within(*m, {.deadline = 1h}, second));
  shard.settle();
  m.reset();
  BOOST_TEST(!held);
  held.unlock();
  shard.settle();
  BOOST_TEST(*first == wait_result::stopped);
  BOOST_TEST(*second == wait_result::stopped);
}

BOOST_AUTO_TEST_CASE(destroyed_after_the_hand_over_it_takes_the_lock_back) {
  manual_shard shard;
  auto m = std::make_unique<mutex>();
  auto held = m->try_lock();
  std::optional<wait_result> result;
  shard->spawn(visit_within(*m, {}, result));
  shard.settle();
  held.unlock();
  m.reset();
  shard.settle();
  BOOST_TEST(*result == wait_result::stopped);
}

BOOST_AUTO_TEST_CASE(a_frame_that_is_destroyed_while_it_waits_or_just_after_the_hand_over_blocks_nobody) {
  for (const bool handed_over : {false, true}) {
    manual_shard shard;
    mutex m;
    auto held = m.try_lock();
    std::optional<wait_result> result;
    shard->spawn(visit_within(m, {.deadline = 1h}, result));
    shard->spawn(visit_within(m, {}, result));
    shard.settle();
    if (handed_over) held.unlock();
    shard.end();
    held.unlock();
    BOOST_TEST(!result.has_value());
    BOOST_TEST(!m.is_locked());
    BOOST_TEST(shard.timers().armed_count() == 0u);
  }
}

BOOST_AUTO_TEST_SUITE_END()

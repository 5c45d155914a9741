// The semaphore of a shard's coroutines: never more than its permits, in order, and none is ever lost.
#include "manual_shard.hpp"
#include "random_seed.hpp"
#include <ringcast/semaphore.hpp>
#include <ringcast/sleep.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

BOOST_TEST_DONT_PRINT_LOG_VALUE(ringcast::wait_result)

BOOST_AUTO_TEST_SUITE(a_semaphore)

BOOST_AUTO_TEST_CASE(lets_in_as_many_as_it_has_permits_in_the_order_of_asking) {
  manual_shard shard;
  semaphore seats(3);
  int inside = 0;
  int most = 0;
  std::vector<int> order;
  const auto guest = [](semaphore& s, int number, int& in, int& top, std::vector<int>& list) -> task<void> {
    auto seat = co_await s.scoped_acquire();
    list.push_back(number);
    top = std::max(top, ++in);
    co_await sleep_for(std::chrono::milliseconds(1 + number % 4));
    --in;
  };
  for (int i = 0; i < 30; ++i) shard->spawn(guest(seats, i, inside, most, order));
  shard.settle();
  BOOST_TEST(inside == 3);
  BOOST_TEST(seats.available() == 0u);
  for (int i = 0; i < 200; ++i) shard.advance(1ms);
  BOOST_TEST(most == 3);
  BOOST_TEST(inside == 0);
  BOOST_TEST(order.size() == 30u);
  BOOST_TEST(std::is_sorted(order.begin(), order.end()));
  BOOST_TEST(seats.available() == 3u);
}

BOOST_AUTO_TEST_CASE(try_acquire_never_waits) {
  manual_shard shard;
  semaphore seats(2);
  auto a = seats.try_acquire();
  auto b = seats.try_acquire();
  BOOST_TEST((a && b));
  BOOST_TEST(!seats.try_acquire());
  a.release();
  a.release();
  BOOST_TEST(seats.available() == 1u);
  BOOST_TEST(static_cast<bool>(seats.try_acquire()));
}

BOOST_AUTO_TEST_CASE(with_no_permits_at_all_everybody_waits_for_the_limits) {
  manual_shard shard;
  semaphore none(0);
  std::optional<wait_result> result;
  shard->spawn(
      [](semaphore& s, std::optional<wait_result>& r) -> task<void> { r = (co_await s.scoped_acquire({.deadline = 50ms})).result(); }(none, result));
  shard.settle();
  shard.advance(49ms);
  BOOST_TEST(!result.has_value());
  shard.advance(1ms);
  BOOST_REQUIRE(result.has_value());
  BOOST_TEST(*result == wait_result::timed_out);
}

BOOST_AUTO_TEST_CASE(destroyed_while_permits_are_out_and_wanted_it_empties_them) {
  manual_shard shard;
  auto seats = std::make_unique<semaphore>(2);
  auto a = seats->try_acquire();
  auto b = seats->try_acquire();
  std::optional<wait_result> result;
  shard->spawn([](semaphore& s, std::optional<wait_result>& r) -> task<void> { r = (co_await s.scoped_acquire()).result(); }(*seats, result));
  shard.settle();
  seats.reset();
  shard.settle();
  BOOST_TEST(!a);
  BOOST_TEST(!b);
  BOOST_TEST(*result == wait_result::stopped);
}

// Guests with random patience, stop tokens and stays; after each step every permit is accounted for.
BOOST_AUTO_TEST_CASE(loses_no_permit_whatever_ends_the_waits) {
  for (const std::uint64_t seed : seeds(30)) {
    BOOST_TEST_CONTEXT("RINGCAST_SEED=" << seed) {
      dice random(seed);
      manual_shard shard;
      const std::size_t permits = 1 + random.upto(3);
      semaphore seats(permits);
      std::size_t inside = 0;
      std::vector<std::stop_source> sources(200);
      const auto guest = [](semaphore& s, wait_limits limits, std::chrono::milliseconds stay, std::size_t& in) -> task<void> {
        const std::stop_token stop = limits.stop;
        auto seat = co_await s.scoped_acquire(std::move(limits));
        if (!seat) co_return;
        ++in;
        (void)co_await sleep_for(stay, stop);
        --in;
      };
      for (std::size_t step = 0; step < sources.size(); ++step) {
        wait_limits limits{.stop = sources[step].get_token()};
        if (random.one_in(2)) limits.deadline = std::chrono::milliseconds(random.upto(20));
        shard->spawn(guest(seats, std::move(limits), std::chrono::milliseconds(random.upto(10)), inside));
        if (random.one_in(3)) sources[random.upto(step)].request_stop();
        if (random.one_in(2)) shard.turn();
        if (random.one_in(3)) shard.advance(std::chrono::milliseconds(random.upto(6)));
        shard.settle();
        BOOST_REQUIRE_EQUAL(seats.available() + inside, permits);
      }
      shard.advance(1s);
      for (int i = 0; i < 300; ++i) shard.advance(10ms);
      BOOST_TEST(shard->task_count() == 0u);
      BOOST_TEST(seats.available() == permits);
      BOOST_TEST(shard.timers().armed_count() == 0u);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

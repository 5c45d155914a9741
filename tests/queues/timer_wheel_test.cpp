// The timer wheel: against a model, over all its levels, with callbacks that arm and cancel, and a million nodes.
#include "allocation_count.hpp"
#include "engine/base/timer_wheel.hpp"
#include "random_seed.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;

BOOST_AUTO_TEST_SUITE(timer_wheel_of_a_shard)

BOOST_AUTO_TEST_CASE(it_does_what_a_sorted_list_of_deadlines_does) {
  for (const std::uint64_t seed : seeds(80)) {
    BOOST_TEST_CONTEXT("RINGCAST_SEED=" << seed) {
      dice random(seed);
      // Some starts lie just before the end of a block of a high level, where most can go wrong.
      std::uint64_t now = random.one_in(2) ? random.upto(1'000'000'000) : (std::uint64_t{1} << (6 * (1 + random.upto(6)))) - 3;
      timer_wheel wheel(now);
      constexpr std::size_t node_count = 40;
      std::vector<timer_node> nodes(node_count);
      std::vector<std::uint64_t> due(node_count, timer_wheel::never); // the model: when each must expire
      std::vector<std::uint64_t> not_before(node_count, 0);
      const auto arm = [&](std::size_t i) {
        static constexpr std::uint64_t scales[] = {0, 3, 70, 5'000, 300'000, 20'000'000, 2'000'000'000};
        const std::uint64_t scale = scales[random.upto(6)];
        const std::uint64_t deadline = random.one_in(10) ? now - std::min(now, random.upto(100)) : now + random.upto(scale);
        wheel.arm(nodes[i], deadline);
        not_before[i] = deadline;
        due[i] = std::max(deadline, now + 1);
      };
      for (int step = 0; step < 1500; ++step) {
        const std::size_t i = random.upto(node_count - 1);
        switch (random.upto(3)) {
        case 0: arm(i); break;
        case 1:
          wheel.cancel(nodes[i]);
          due[i] = timer_wheel::never;
          break;
        default: {
          static constexpr std::uint64_t steps[] = {0, 1, 1, 64, 1'000, 70'000, 10'000'000};
          now += random.upto(steps[random.upto(6)]);
          const std::size_t work_max = random.one_in(3) ? 1 + random.upto(3) : 1'000;
          const auto on_expired = [&](timer_node& node) {
            const auto k = static_cast<std::size_t>(&node - nodes.data());
            BOOST_REQUIRE(!node.armed());
            BOOST_REQUIRE_NE(due[k], timer_wheel::never);
            BOOST_REQUIRE_LE(not_before[k], now);
            due[k] = timer_wheel::never;
            // What a callback may do: arm itself or another, cancel another.
            const std::size_t other = random.upto(node_count - 1);
            if (random.one_in(6)) arm(k);
            if (random.one_in(6)) arm(other);
            if (random.one_in(6)) {
              wheel.cancel(nodes[other]);
              due[other] = timer_wheel::never;
            }
          };
          int calls = 0;
          do {
            wheel.expire(now, on_expired, work_max);
            BOOST_REQUIRE_LT(++calls, 10'000);
          } while (wheel.next_deadline_ms() <= now);
        }
        }
        std::size_t armed = 0;
        std::uint64_t first = timer_wheel::never;
        for (std::size_t k = 0; k < node_count; ++k) {
          BOOST_REQUIRE_EQUAL(nodes[k].armed(), due[k] != timer_wheel::never);
          armed += nodes[k].armed();
          first = std::min(first, due[k]);
        }
        BOOST_REQUIRE_EQUAL(wheel.armed_count(), armed);
        BOOST_REQUIRE_LE(wheel.next_deadline_ms(), first);
        BOOST_REQUIRE_GT(first, now);
        BOOST_REQUIRE_EQUAL(wheel.next_deadline_ms() == timer_wheel::never, armed == 0);
      }
      for (timer_node& node : nodes) wheel.cancel(node);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_loop_that_waits_for_the_next_deadline_meets_each_exactly) {
  for (const std::uint64_t delay : {1ull, 63ull, 64ull, 65ull, 4'095ull, 4'096ull, 60'000ull, 3'600'000ull, 86'400'000ull, 31'536'000'000ull}) {
    BOOST_TEST_CONTEXT("delay " << delay) {
      std::uint64_t now = 123'456'789;
      timer_wheel wheel(now);
      timer_node node;
      wheel.arm(node, now + delay);
      const std::uint64_t deadline = now + delay;
      int wakes = 0;
      while (node.armed()) {
        BOOST_REQUIRE_GT(wheel.next_deadline_ms(), now);
        now = wheel.next_deadline_ms();
        BOOST_REQUIRE_LE(now, deadline);
        wheel.expire(now, [&](timer_node&) { BOOST_TEST(now == deadline); });
        ++wakes;
      }
      BOOST_TEST(wakes <= 10);
      BOOST_TEST(wheel.next_deadline_ms() == timer_wheel::never);
    }
  }
}

BOOST_AUTO_TEST_CASE(expiry_is_in_the_order_of_deadlines_even_after_a_long_gap) {
  dice random(5);
  timer_wheel wheel(1000);
  std::vector<timer_node> nodes(5000);
  for (timer_node& node : nodes) wheel.arm(node, 1001 + random.upto(500'000));
  std::uint64_t last = 0;
  std::size_t count = 0;
  while (wheel.armed_count() != 0) {
    count += wheel.expire(
        600'000,
        [&](timer_node& node) {
          BOOST_REQUIRE_GE(node.deadline_ms, last);
          last = node.deadline_ms;
        },
        7);
  }
  BOOST_TEST(count == nodes.size());
}

BOOST_AUTO_TEST_CASE(a_callback_that_arms_for_now_does_not_loop) {
  timer_wheel wheel(0);
  timer_node node;
  wheel.arm(node, 10);
  int calls = 0;
  wheel.expire(10, [&](timer_node& n) { ++calls, wheel.arm(n, 10); });
  BOOST_TEST(calls == 1);
  BOOST_TEST(wheel.next_deadline_ms() == 11u);
  wheel.expire(11, [&](timer_node&) { ++calls; });
  BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE(a_callback_may_destroy_its_node_and_cancel_one_that_is_due) {
  timer_wheel wheel(0);
  auto dies = std::make_unique<timer_node>(std::uint8_t{1});
  auto cancelled = std::make_unique<timer_node>(std::uint8_t{2});
  wheel.arm(*dies, 5);
  wheel.arm(*cancelled, 5);
  std::size_t count = wheel.expire(5, [&](timer_node& node) {
    BOOST_TEST(+node.kind == 1u);
    wheel.cancel(*cancelled);
    cancelled.reset();
    dies.reset();
  });
  BOOST_TEST(count == 1u);
  BOOST_TEST(wheel.armed_count() == 0u);
}

BOOST_AUTO_TEST_CASE(never_disarms_and_time_that_stands_still_or_goes_back_does_nothing) {
  timer_wheel wheel(100);
  timer_node node;
  wheel.arm(node, 200);
  wheel.arm(node, timer_wheel::never);
  BOOST_TEST(!node.armed());
  wheel.arm(node, 150);
  BOOST_TEST(wheel.expire(100, [](timer_node&) {}) == 0u);
  BOOST_TEST(wheel.expire(40, [](timer_node&) {}) == 0u);
  BOOST_TEST(wheel.expire(150, [](timer_node&) {}) == 1u);
}

BOOST_AUTO_TEST_CASE(one_call_touches_no_more_nodes_than_it_was_allowed) {
  timer_wheel wheel(0);
  std::vector<timer_node> nodes(10'000);
  for (timer_node& node : nodes) wheel.arm(node, 100); // all in one slot of level 1: they move down, then expire
  std::size_t expired = 0;
  int calls = 0;
  while (wheel.next_deadline_ms() <= 100) {
    const std::size_t now = wheel.expire(100, [](timer_node&) {}, 100);
    BOOST_REQUIRE_LE(now, 100u);
    expired += now;
    ++calls;
  }
  BOOST_TEST(expired == nodes.size());
  BOOST_TEST(calls == 200);
}

BOOST_AUTO_TEST_CASE(a_million_nodes) {
  dice random(9);
  timer_wheel wheel(0);
  std::vector<timer_node> nodes(1'000'000);
  const std::size_t before = allocation_count();
  for (timer_node& node : nodes) wheel.arm(node, 1 + random.upto(100'000));
  for (std::size_t i = 0; i < nodes.size(); i += 2) wheel.cancel(nodes[i]);
  std::size_t expired = 0;
  std::size_t early = 0;
  for (std::uint64_t now = 0; now <= 100'500; now += 500) {
    while (wheel.next_deadline_ms() <= now) {
      expired += wheel.expire(now, [&](timer_node& node) { early += node.deadline_ms > now; });
    }
  }
  BOOST_TEST(allocation_count() == before);
  BOOST_TEST(expired == nodes.size() / 2);
  BOOST_TEST(early == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

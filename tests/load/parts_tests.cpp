// The parts that both load generators stand on: what they count, when they send, and how they tell messages apart.
#include "apps/load/histogram.hpp"
#include "apps/load/ledger.hpp"
#include "apps/load/percentiles.hpp"
#include "apps/load/process_usage.hpp"
#include "apps/load/run/shared_order.hpp"
#include "apps/load/schedule.hpp"
#include "apps/load/tag.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <unistd.h>
#include <vector>

namespace ringcast::load {

BOOST_AUTO_TEST_SUITE(load_parts)

BOOST_AUTO_TEST_CASE(a_percentile_is_never_below_the_value_and_at_most_one_percent_above) {
  for (const std::int64_t value : {0LL, 1LL, 127LL, 128LL, 1'000LL, 123'456LL, 5'000'000'000LL, 3'600'000'000'000LL}) {
    histogram counted;
    counted.record(value);
    counted.record(value * 2 + 1'000);
    const auto found = static_cast<double>(counted.percentile_ns(0.5));
    BOOST_TEST(found >= static_cast<double>(value));
    BOOST_TEST(found <= static_cast<double>(value) * 1.01);
    BOOST_TEST(counted.percentile_ns(1.0) == static_cast<std::uint64_t>(value * 2 + 1'000));
  }
}

BOOST_AUTO_TEST_CASE(the_share_that_a_percentile_names_is_rounded_up) {
  histogram counted;
  for (int i = 1; i <= 100; ++i) counted.record(i);
  BOOST_TEST(counted.percentile_ns(0.99) == 99U);
  BOOST_TEST(counted.percentile_ns(0.991) == 100U); // 99.1 values: the hundredth has to be in.
  BOOST_TEST(counted.percentile_ns(0.5) == 50U);
}

BOOST_AUTO_TEST_CASE(two_histograms_added_are_as_one_that_saw_everything) {
  histogram first;
  histogram second;
  histogram both;
  for (int i = 0; i < 1000; ++i) {
    (i % 3 ? first : second).record(i * i);
    both.record(i * i);
  }
  first.add(second);
  BOOST_TEST(json_of(first) == json_of(both));
  BOOST_TEST(first.total() == 1000U);
  first.clear();
  BOOST_TEST(first.total() == 0U);
  BOOST_TEST(first.percentile_ns(0.99) == 0U);
}

BOOST_AUTO_TEST_CASE(what_is_below_nothing_counts_as_nothing_and_what_is_too_long_stays_the_largest) {
  histogram counted;
  counted.record(-5);
  BOOST_TEST(counted.max_ns() == 0U);
  counted.record(std::int64_t{1} << 60);
  BOOST_TEST(counted.max_ns() == std::uint64_t{1} << 60);
  BOOST_TEST(counted.total() == 2U);
}

BOOST_AUTO_TEST_CASE(the_ledger_tells_gaps_late_ones_and_repetitions_apart) {
  ledger book{2};
  BOOST_TEST((book.take(1, 0) == arrival::in_order));
  BOOST_TEST((book.take(1, 3) == arrival::after_gap));
  BOOST_TEST(book.expects(1) == 4U);
  BOOST_TEST((book.take(1, 1) == arrival::late));
  BOOST_TEST((book.take(1, 1) == arrival::repeated));
  BOOST_TEST((book.take(1, 3) == arrival::repeated));
  BOOST_TEST((book.take(1, 2) == arrival::late));
  BOOST_TEST((book.take(1, 4) == arrival::in_order));
  BOOST_TEST((book.take(0, 0) == arrival::in_order)); // The other pair knows nothing of that.
}

BOOST_AUTO_TEST_CASE(message_k_is_due_at_k_divided_by_the_rate) {
  const schedule plan{1'000, 300};
  BOOST_TEST(plan.is_open_loop());
  BOOST_TEST(plan.due_ns(0) == 1'000);
  BOOST_TEST(plan.due_ns(300) == 1'000 + 1'000'000'000); // A second's messages are exactly as many as were asked for.
  BOOST_TEST(plan.due_ns(3'000'000) == 1'000 + 10'000'000'000'000);
  BOOST_TEST(!schedule(1'000, 0).is_open_loop());
}

BOOST_AUTO_TEST_CASE(a_tag_that_was_written_is_read_and_a_damaged_one_is_not) {
  std::array<std::byte, tag_bytes> payload{};
  const message_tag tag{.sender = 1'679'615, .number = 0x7fff'ffff, .ticks = 2'821'109'907'455};
  write_tag(payload.data(), tag);
  const auto read = read_tag(payload);
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST(read->sender == tag.sender);
  BOOST_TEST(read->number == tag.number);
  BOOST_TEST(read->ticks == tag.ticks);
  for (std::size_t i = 0; i < payload.size(); ++i) {
    auto damaged = payload;
    damaged[i] = std::byte{'!'};
    BOOST_TEST(!read_tag(damaged).has_value());
  }
  BOOST_TEST(!read_tag(std::span{payload}.first(tag_bytes - 1)).has_value());
}

BOOST_AUTO_TEST_CASE(sizes_follow_from_sender_and_number_and_reach_both_ends) {
  std::vector<bool> seen(11);
  for (std::uint32_t number = 0; number < 1000; ++number) {
    const std::size_t size = size_of_message(3, number, 20, 30);
    BOOST_REQUIRE(size >= 20U);
    BOOST_REQUIRE(size <= 30U);
    BOOST_TEST(size == size_of_message(3, number, 20, 30));
    seen[size - 20] = true;
  }
  for (const bool each : seen) BOOST_TEST(each);
}

BOOST_AUTO_TEST_CASE(what_this_process_used_is_known_and_nobody_uses_nothing) {
  const auto usage = usage_of(::getpid());
  BOOST_REQUIRE(usage.has_value());
  BOOST_TEST(usage->private_bytes > 0);
  BOOST_TEST(cpu_ns_of(::getpid()).value_or(0) > 0);
  BOOST_TEST(memory_of(::getpid()).anonymous_bytes > 0);
  BOOST_TEST(cpu_ns_of(0).value_or(-1) == 0);
  BOOST_TEST(cpu_ticks_of(0).user_ns == 0);
  BOOST_TEST(cpu_schedstat_ns_of(0) == 0);
  BOOST_TEST(!usage_of(999'999'999).has_value());
}

BOOST_AUTO_TEST_CASE(an_order_is_what_the_first_heard_and_is_remembered_for_a_million_places) {
  shared_order order;
  const heard_message first{.sender = shared_order::senders_max - 1, .number = UINT32_MAX}, other{.sender = 0, .number = 0};
  BOOST_TEST((order.take(0, first) == first));
  BOOST_TEST((order.take(0, first) == first));
  BOOST_TEST((order.take(0, other) == first));
  BOOST_TEST((order.take(1, other) == other));
  // One lap further the place belongs to another message, and who comes to the first one now is not judged.
  constexpr std::uint64_t lap = shared_order::positions;
  BOOST_TEST((order.take(lap, other) == other));
  BOOST_TEST(!order.take(0, first).has_value());
  BOOST_TEST((order.take(1, first) == other));
  // Also where the laps begin anew.
  for (std::uint64_t n = 2; n < 10'000; ++n) {
    const heard_message here{.sender = 7, .number = static_cast<std::uint32_t>(n)};
    BOOST_TEST((order.take(n * lap, here) == here));
    BOOST_TEST((order.take(n * lap, other) == here));
    BOOST_TEST(!order.take((n - 1) * lap, other).has_value());
  }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::load

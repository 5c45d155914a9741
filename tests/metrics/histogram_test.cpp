// Histograms of durations, and the sums of what shards tell.
#include <ringcast/statistics.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

using namespace ringcast;

BOOST_AUTO_TEST_SUITE(statistics_values)

BOOST_AUTO_TEST_CASE(a_value_at_the_end_of_a_bucket_is_in_it_and_the_next_one_is_not) {
  for (std::size_t bucket = 0; bucket + 1 < duration_histogram::bucket_count; ++bucket) {
    duration_histogram h;
    h.record(duration_histogram::end_ns(bucket));
    h.record(duration_histogram::end_ns(bucket) + 1);
    BOOST_TEST(h.count_of(bucket) == 1u);
    BOOST_TEST(h.count_of(bucket + 1) == 1u);
  }
}

BOOST_AUTO_TEST_CASE(the_smallest_and_the_largest_values_have_a_bucket) {
  duration_histogram h;
  h.record(0);
  h.record(UINT64_MAX);
  BOOST_TEST(h.count_of(0) == 1u);
  BOOST_TEST(h.count_of(duration_histogram::bucket_count - 1) == 1u);
}

BOOST_AUTO_TEST_CASE(a_bucket_is_at_most_a_quarter_wide) {
  for (std::size_t bucket = 1; bucket + 1 < duration_histogram::bucket_count; ++bucket) {
    const std::uint64_t begin = duration_histogram::end_ns(bucket - 1), end = duration_histogram::end_ns(bucket);
    BOOST_TEST(end > begin);
    BOOST_TEST((end - begin) * 4 <= begin);
  }
}

BOOST_AUTO_TEST_CASE(quantiles_are_those_of_the_sorted_values_to_a_quarter) {
  std::mt19937_64 draw{11};
  std::vector<std::uint64_t> values;
  duration_histogram h;
  for (int i = 0; i < 10'000; ++i) {
    values.push_back(1'500 + draw() % 5'000'000);
    h.record(values.back());
  }
  std::ranges::sort(values);
  for (const double share : {.01, .5, .9, .99, 1.}) {
    const std::uint64_t exact = values[static_cast<std::size_t>(share * 10'000) - 1];
    BOOST_TEST(h.quantile_ns(share) >= exact);
    BOOST_TEST(h.quantile_ns(share) <= exact + exact / 4);
  }
  BOOST_TEST(duration_histogram{}.quantile_ns(.5) == 0u);
}

BOOST_AUTO_TEST_CASE(two_histograms_add_up_to_the_one_that_had_seen_both) {
  duration_histogram one, other, both;
  for (std::uint64_t ns = 1; ns < 10'000'000'000; ns = ns * 3 + 1) {
    (ns % 2 == 0 ? one : other).record(ns, 7);
    both.record(ns, 7);
  }
  one.add(other);
  BOOST_TEST(std::memcmp(&one, &both, sizeof one) == 0);
  BOOST_TEST(both.count() > 0u);
}

// Every number is 8 bytes: with each of them 1 a sum of two has a 2 everywhere, and a field that add() forgets a 1.
BOOST_AUTO_TEST_CASE(no_field_is_forgotten_when_shards_are_added) {
  static_assert(std::is_trivially_copyable_v<shard_statistics>);
  std::vector<std::uint64_t> ones(sizeof(shard_statistics) / 8, 1);
  server_statistics two;
  two.shards.resize(2);
  for (shard_statistics& each : two.shards) std::memcpy(static_cast<void*>(&each), ones.data(), sizeof each);
  const shard_statistics sum = two.total();
  std::memcpy(ones.data(), &sum, sizeof sum);
  for (std::size_t i = 0; i < ones.size(); ++i) BOOST_TEST(ones[i] == 2u, "the number at " << i * 8);
}

BOOST_AUTO_TEST_CASE(close_codes_of_programs_share_a_place_however_many_they_use) {
  BOOST_TEST(name_of_close_code_place(close_code_place(1000)) == "1000");
  BOOST_TEST(name_of_close_code_place(close_code_place(1015)) == "1015");
  for (const int code : {0, 999, 1016, 2999, 3000, 3999})
    BOOST_TEST(name_of_close_code_place(close_code_place(static_cast<std::uint16_t>(code))) == "3xxx");
  for (const int code : {4000, 4999, 65535}) BOOST_TEST(name_of_close_code_place(close_code_place(static_cast<std::uint16_t>(code))) == "4xxx");
}

BOOST_AUTO_TEST_SUITE_END()

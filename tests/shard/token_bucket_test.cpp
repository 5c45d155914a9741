#include "engine/base/token_bucket.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

// How many of these pass one after the other at a time.
int passing(token_bucket& bucket, const rate_limit& limit, std::uint64_t now_ms, int tries) {
  int passed = 0;
  for (; tries > 0 && bucket.has(limit, now_ms, 1); --tries, ++passed) bucket.take(limit, now_ms, 1);
  return passed;
}

} // namespace

BOOST_AUTO_TEST_SUITE(token_buckets)

BOOST_AUTO_TEST_CASE(a_bucket_gives_its_burst_at_once_and_its_rate_behind_it) {
  for (const std::uint64_t per_s : {1u, 3u, 7u, 1000u}) {
    const rate_limit limit{.per_s = per_s, .burst = 5};
    token_bucket bucket;
    BOOST_TEST(passing(bucket, limit, 1'000'000, 10) == 5);
    // Each comes back when its time is over, and not a millisecond before.
    std::uint64_t at = 1'000'000;
    for (std::uint64_t i = 1; i <= 20; ++i) {
      const std::uint64_t due = 1'000'000 + (i * 1000 + per_s - 1) / per_s;
      BOOST_TEST(bucket.ms_until(limit, at, 1) == due - at);
      if (due - 1 > at) BOOST_TEST(passing(bucket, limit, due - 1, 1) == 0);
      at = due;
      BOOST_TEST(passing(bucket, limit, at, 1) == 1, "the " << i << "th at " << per_s << " a second");
    }
  }
}

BOOST_AUTO_TEST_CASE(a_bucket_is_full_after_its_time_and_never_fuller) {
  const rate_limit limit{.per_s = 10, .burst = 4};
  token_bucket bucket;
  BOOST_TEST(passing(bucket, limit, 50, 9) == 4);
  BOOST_TEST(bucket.ms_until(limit, 50, 4) == 400u);
  BOOST_TEST(bucket.ms_until(limit, 50, 1000) == 400u); // more than fits: until it is full
  BOOST_TEST(passing(bucket, limit, 449, 9) == 3);
  BOOST_TEST(passing(bucket, limit, 1'000'000'000, 9) == 4);
}

BOOST_AUTO_TEST_CASE(without_a_burst_it_is_what_a_second_brings) {
  const rate_limit limit{.per_s = 6};
  token_bucket bucket;
  BOOST_TEST(passing(bucket, limit, 1, 100) == 6);
}

BOOST_AUTO_TEST_CASE(what_is_owed_is_paid_first) {
  const rate_limit limit{.per_s = 100, .burst = 10};
  token_bucket bucket;
  bucket.take(limit, 5, 60);
  BOOST_TEST(bucket.ms_until(limit, 5, 1) == 510u);
  BOOST_TEST(!bucket.has(limit, 514, 1));
  BOOST_TEST(bucket.has(limit, 515, 1));
}

BOOST_AUTO_TEST_CASE(a_clock_that_is_behind_brings_nothing_and_takes_nothing) {
  const rate_limit limit{.per_s = 10, .burst = 2};
  token_bucket bucket;
  BOOST_TEST(passing(bucket, limit, 1000, 5) == 2);
  BOOST_TEST(passing(bucket, limit, 500, 5) == 0);
  BOOST_TEST(passing(bucket, limit, 1100, 5) == 1);
}

BOOST_AUTO_TEST_CASE(limits_of_any_size_and_none_at_all) {
  const rate_limit none{};
  const rate_limit huge{.per_s = UINT64_MAX, .burst = UINT64_MAX};
  token_bucket bucket;
  bucket.take(none, 1, UINT64_MAX);
  BOOST_TEST(bucket.has(none, 1, UINT64_MAX));
  BOOST_TEST(bucket.ms_until(none, 1, 5) == 0u);
  bucket.take(huge, 1, UINT64_MAX);
  BOOST_TEST(!bucket.has(huge, 1, 1));
  BOOST_TEST(bucket.ms_until(huge, 1, 1) == 1u);
  BOOST_TEST(bucket.has(huge, 1001, token_bucket::tokens_max));
}

BOOST_AUTO_TEST_CASE(whoever_waits_is_let_go_on_ten_times_a_second_at_most) {
  BOOST_TEST(token_bucket::portion_of({.per_s = 1}) == 1u);
  BOOST_TEST(token_bucket::portion_of({.per_s = 1000}) == 100u);
  BOOST_TEST(token_bucket::portion_of({.per_s = 1000, .burst = 7}) == 7u);
}

BOOST_AUTO_TEST_SUITE_END()

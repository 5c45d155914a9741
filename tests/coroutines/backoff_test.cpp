// The delays between attempts to reconnect.
#include "engine/client/backoff.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <limits>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

BOOST_TEST_DONT_PRINT_LOG_VALUE(std::chrono::milliseconds)

BOOST_AUTO_TEST_SUITE(the_backoff)

BOOST_AUTO_TEST_CASE(without_jitter_doubles_up_to_the_maximum) {
  backoff b({.initial_delay = 100ms, .max_delay = 1s, .multiplier = 2, .jitter = reconnect_policy::jitter_kind::none}, 1);
  for (const milliseconds expected : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) BOOST_TEST((b.next() == expected));
  BOOST_TEST(b.attempts() == 6u);
  b.reset();
  BOOST_TEST(b.attempts() == 0u);
  BOOST_TEST((b.next() == 100ms));
}

BOOST_AUTO_TEST_CASE(with_full_jitter_is_spread_evenly_from_zero_to_the_bound) {
  std::array<int, 10> tenths{};
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    backoff b({.initial_delay = 999ms, .max_delay = 1h}, seed);
    const auto delay = b.next();
    BOOST_REQUIRE(delay.has_value());
    BOOST_REQUIRE(*delay >= 0ms);
    BOOST_REQUIRE(*delay <= 999ms);
    ++tenths[static_cast<std::size_t>(delay->count() / 100)];
  }
  for (const int count : tenths) {
    BOOST_TEST(count > 1800);
    BOOST_TEST(count < 2200);
  }
}

BOOST_AUTO_TEST_CASE(the_bound_of_the_jitter_grows) {
  milliseconds longest{0};
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    backoff b({.initial_delay = 100ms, .max_delay = 10s}, seed);
    for (const milliseconds bound : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 10000ms, 10000ms}) {
      const auto delay = b.next();
      BOOST_REQUIRE(*delay <= bound);
      longest = std::max(longest, *delay);
    }
  }
  BOOST_TEST((longest > 9s));
}

BOOST_AUTO_TEST_CASE(the_same_seed_gives_the_same_delays) {
  backoff a({}, 42), b({}, 42), c({}, 43);
  bool differs = false;
  for (int i = 0; i < 20; ++i) {
    const auto delay = a.next();
    BOOST_TEST((delay == b.next()));
    differs = differs || delay != c.next();
  }
  BOOST_TEST(differs);
}

BOOST_AUTO_TEST_CASE(ends_after_the_last_attempt_and_begins_again_after_a_success) {
  backoff b({.max_attempts = 3}, 1);
  for (int i = 0; i < 3; ++i) BOOST_TEST(b.next().has_value());
  BOOST_TEST(!b.next().has_value());
  BOOST_TEST(!b.next().has_value());
  b.reset();
  BOOST_TEST(b.next().has_value());
  BOOST_TEST(!backoff({.enabled = false}, 1).next().has_value());
  BOOST_TEST(!backoff({.max_attempts = 0}, 1).next().has_value());
}

BOOST_AUTO_TEST_CASE(waits_at_least_as_long_as_the_server_asked) {
  backoff b({.initial_delay = 10ms, .max_delay = 20ms}, 1);
  BOOST_TEST((b.next(5s) == 5s));
  BOOST_TEST((*b.next() <= 20ms));
}

// RFC 6455 7.4.1 with the registry of IANA: 1013, try again later.
BOOST_AUTO_TEST_CASE(that_was_asked_for_patience_begins_at_the_initial_delay_and_grows) {
  milliseconds shortest{1h}, longest{0};
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    backoff b({.initial_delay = 100ms, .max_delay = 1s}, seed);
    for (const milliseconds bound : {200ms, 400ms, 800ms, 1000ms, 1000ms}) {
      const auto delay = b.next(0ms, backoff::from::initial_delay);
      BOOST_REQUIRE(*delay >= 100ms);
      BOOST_REQUIRE(*delay <= bound);
      shortest = std::min(shortest, *delay);
      longest = std::max(longest, *delay);
    }
  }
  BOOST_TEST((shortest < 110ms)); // not all at once
  BOOST_TEST((longest > 990ms));
  backoff plain({.initial_delay = 100ms, .jitter = reconnect_policy::jitter_kind::none}, 1);
  for (const milliseconds expected : {100ms, 200ms, 400ms}) BOOST_TEST((plain.next(0ms, backoff::from::initial_delay) == expected));
  backoff small({.initial_delay = 5s, .max_delay = 1s}, 1);
  BOOST_TEST((small.next(0ms, backoff::from::initial_delay) == 1s));
}

BOOST_AUTO_TEST_CASE(survives_every_number) {
  using limits = std::numeric_limits<double>;
  for (const double multiplier : {limits::infinity(), limits::max(), limits::quiet_NaN(), -1.0, 0.0, 1.0}) {
    for (const milliseconds delay : {milliseconds::max(), milliseconds::min(), 0ms, 1ms}) {
      for (const auto jitter : {reconnect_policy::jitter_kind::none, reconnect_policy::jitter_kind::full}) {
        backoff b({.initial_delay = delay, .max_delay = milliseconds::max(), .multiplier = multiplier, .jitter = jitter}, 1);
        for (int i = 0; i < 2000; ++i) {
          const auto next = b.next(0ms, i % 2 == 0 ? backoff::from::zero : backoff::from::initial_delay);
          BOOST_REQUIRE(next.has_value());
          BOOST_REQUIRE(*next >= 0ms);
          BOOST_REQUIRE(*next <= 24h * 365);
        }
      }
    }
  }
  backoff zero({.initial_delay = 5s, .max_delay = -1ms}, 1);
  BOOST_TEST((zero.next() == 0ms));
}

BOOST_AUTO_TEST_SUITE_END()

#include "engine/shard/idle_spin.hpp"

#include <boost/test/unit_test.hpp>

using ringcast::engine::idle_spin;

namespace {

// Lives through one pause of this length, looking every 100 ns; returns how long was looked.
std::uint64_t pause(idle_spin& spin, std::uint64_t& now_ns, std::uint64_t pause_ns) {
  const std::uint64_t end = now_ns + pause_ns;
  std::uint64_t looked = 0;
  bool awake = true;
  while (now_ns < end) {
    if (awake && spin.look_again(now_ns))
      looked += 100;
    else
      awake = false;
    now_ns += 100;
  }
  spin.on_found();
  return looked;
}

} // namespace

BOOST_AUTO_TEST_SUITE(idle_spins)

BOOST_AUTO_TEST_CASE(with_a_limit_of_nothing_each_pause_is_slept_through) {
  idle_spin spin{0};
  std::uint64_t now = 1'000'000;
  for (int i = 0; i < 1000; ++i) BOOST_TEST(pause(spin, now, 500) == 0);
}

BOOST_AUTO_TEST_CASE(short_pauses_are_looked_through_after_a_trial) {
  idle_spin spin{10'000};
  std::uint64_t now = 1'000'000;
  for (int i = 0; i < 31; ++i) BOOST_TEST(pause(spin, now, 3'000) == 0);
  for (int i = 0; i < 1000; ++i) BOOST_TEST(pause(spin, now, 3'000) == 3'000);
}

BOOST_AUTO_TEST_CASE(long_pauses_cost_one_look_in_thirty_two) {
  idle_spin spin{10'000};
  std::uint64_t now = 1'000'000, looked = 0;
  for (int i = 0; i < 3200; ++i) looked += pause(spin, now, 60'000);
  BOOST_TEST(looked >= 100 * 10'000);
  BOOST_TEST(looked <= 100 * 10'300);
}

BOOST_AUTO_TEST_CASE(a_shard_that_becomes_idle_stops_looking_and_one_that_is_busy_again_looks_again) {
  idle_spin spin{10'000};
  std::uint64_t now = 1'000'000, looked = 0;
  for (int i = 0; i < 200; ++i) looked = pause(spin, now, 3'000);
  BOOST_TEST(looked == 3'000);
  looked = 0;
  for (int i = 0; i < 31; ++i) looked += pause(spin, now, 1'000'000);
  BOOST_TEST(looked > 0);
  BOOST_TEST(looked <= 10 * 10'200);
  for (int i = 0; i < 64; ++i) looked = pause(spin, now, 3'000);
  BOOST_TEST(looked == 3'000);
}

BOOST_AUTO_TEST_CASE(where_half_of_the_pauses_are_long_nothing_is_looked_at_for_long) {
  idle_spin spin{10'000};
  std::uint64_t now = 1'000'000, looked = 0;
  for (int i = 0; i < 1000; ++i) {
    looked += pause(spin, now, 3'000);
    looked += pause(spin, now, 60'000);
  }
  BOOST_TEST(looked < 2000 * 1'000);
}

BOOST_AUTO_TEST_SUITE_END()

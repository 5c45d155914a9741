#include "engine/shard/connection_timers.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::engine;

BOOST_AUTO_TEST_SUITE(connection_timers_by_themselves)

namespace {

struct timers_at_ten_seconds {
  turn_clock clock{.ms = 10'000};
  timer_wheel wheel{clock.ms};
  connection_timers timers{wheel, clock};
  connection c;
  [[nodiscard]] std::uint64_t deadline_ms() const { return c.timer.deadline_ms; }
  ~timers_at_ten_seconds() { timers.cancel(c); }
};

} // namespace

BOOST_FIXTURE_TEST_CASE(a_timer_counts_from_the_time_of_the_turn, timers_at_ten_seconds) {
  timers.arm(c, 500);
  BOOST_TEST(deadline_ms() == 10'500u);
  clock.ms = 11'000;
  timers.arm(c, 500);
  BOOST_TEST(deadline_ms() == 11'500u);
}

BOOST_FIXTURE_TEST_CASE(look_within_only_ever_makes_it_earlier, timers_at_ten_seconds) {
  timers.look_within(c, 1'000);
  BOOST_TEST(deadline_ms() == 11'000u);
  timers.look_within(c, 2'000);
  BOOST_TEST(deadline_ms() == 11'000u);
  timers.look_within(c, 300);
  BOOST_TEST(deadline_ms() == 10'300u);
}

BOOST_AUTO_TEST_SUITE_END()

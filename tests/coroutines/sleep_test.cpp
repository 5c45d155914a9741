// Sleeping and deadlines: never early, ended by a stop token at any moment, no overflow.
#include "manual_shard.hpp"
#include <ringcast/sleep.hpp>
#include <ringcast/wait.hpp>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <optional>
#include <stop_token>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

task<void> sleep_once(std::chrono::nanoseconds duration, std::stop_token stop, std::optional<sleep_result>& result) {
  result = co_await sleep_for(duration, stop);
}

} // namespace

BOOST_TEST_DONT_PRINT_LOG_VALUE(ringcast::sleep_result)

BOOST_AUTO_TEST_SUITE(sleeping)

BOOST_AUTO_TEST_CASE(lasts_at_least_its_time_and_to_the_millisecond) {
  manual_shard shard;
  std::optional<sleep_result> result;
  shard->spawn(sleep_once(30s, {}, result));
  shard.settle();
  shard.advance(29'999ms);
  BOOST_TEST(!result.has_value());
  shard.advance(1ms);
  BOOST_REQUIRE(result.has_value());
  BOOST_TEST(*result == sleep_result::elapsed);
  BOOST_TEST(shard->task_count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_part_of_a_millisecond_is_rounded_up) {
  manual_shard shard;
  std::optional<sleep_result> result;
  shard->spawn(sleep_once(1001us, {}, result));
  shard.settle();
  shard.advance(1ms);
  BOOST_TEST(!result.has_value());
  shard.advance(1ms);
  BOOST_TEST(result.has_value());
}

BOOST_AUTO_TEST_CASE(no_time_at_all_still_lets_the_others_run) {
  manual_shard shard;
  shard.advance(400us); // in the middle of a millisecond, where rounding up would wait
  std::optional<sleep_result> result;
  shard->spawn(sleep_once(0s, {}, result));
  shard.turn();
  BOOST_TEST(!result.has_value());
  shard.turn();
  BOOST_REQUIRE(result.has_value());
  BOOST_TEST(*result == sleep_result::elapsed);
}

BOOST_AUTO_TEST_CASE(a_stop_token_ends_it_at_once_but_not_inside_request_stop) {
  manual_shard shard;
  std::stop_source source;
  std::optional<sleep_result> result;
  shard->spawn(sleep_once(1h, source.get_token(), result));
  shard.settle();
  source.request_stop();
  BOOST_TEST(!result.has_value());
  shard.settle();
  BOOST_REQUIRE(result.has_value());
  BOOST_TEST(*result == sleep_result::stopped);
  BOOST_TEST(shard.timers().armed_count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_stop_token_that_was_used_before_ends_it_too) {
  manual_shard shard;
  std::stop_source source;
  source.request_stop();
  std::optional<sleep_result> result;
  shard->spawn(sleep_once(1h, source.get_token(), result));
  shard.settle();
  BOOST_REQUIRE(result.has_value());
  BOOST_TEST(*result == sleep_result::stopped);
}

BOOST_AUTO_TEST_CASE(a_stop_after_the_time_is_over_changes_nothing) {
  manual_shard shard;
  std::stop_source source;
  std::optional<sleep_result> result;
  shard->spawn(sleep_once(0s, source.get_token(), result));
  shard.turn(); // its time is over, it has not been resumed
  source.request_stop();
  shard.settle();
  BOOST_REQUIRE(result.has_value());
  BOOST_TEST(*result == sleep_result::elapsed);
}

BOOST_AUTO_TEST_CASE(until_never_ends_only_by_a_stop) {
  manual_shard shard;
  std::stop_source source;
  std::optional<sleep_result> result;
  shard->spawn([](std::stop_token stop, std::optional<sleep_result>& r) -> task<void> {
    r = co_await sleep_until(deadline{}, stop);
  }(source.get_token(), result));
  shard.settle();
  shard.advance(24h * 365);
  BOOST_TEST(!result.has_value());
  source.request_stop();
  shard.settle();
  BOOST_TEST(result.has_value());
}

BOOST_AUTO_TEST_CASE(many_sleepers_wake_in_the_order_of_their_times) {
  manual_shard shard;
  std::vector<int> woken;
  for (int i = 50; i > 0; --i) {
    shard->spawn([](int ms, std::vector<int>& list) -> task<void> {
      co_await sleep_for(std::chrono::milliseconds(ms * 10));
      list.push_back(ms);
    }(i, woken));
  }
  shard.settle();
  shard.advance(10s);
  BOOST_TEST(woken.size() == 50u);
  BOOST_TEST(std::is_sorted(woken.begin(), woken.end()));
}

BOOST_AUTO_TEST_CASE(a_deadline_of_any_length_is_sound) {
  manual_shard shard; // the clock stands at 5000 ms
  BOOST_TEST(deadline().is_never());
  BOOST_TEST(deadline(1500us).ms() == 5002u);
  BOOST_TEST(deadline(std::chrono::duration<double>(0.25)).ms() == 5250u);
  BOOST_TEST(deadline(-5s).has_passed());
  BOOST_TEST(deadline(std::chrono::hours::max()).is_never());
  BOOST_TEST(deadline(std::chrono::nanoseconds::max()).is_never());
  BOOST_TEST(deadline(std::chrono::hours::min()).has_passed());
  BOOST_TEST(deadline(24h * 365 * 200).ms() == 5000u + 200ull * 365 * 24 * 3600 * 1000);
  BOOST_TEST(!deadline(1ms).has_passed());
  shard.advance(400us);
  BOOST_TEST(deadline(0s).has_passed());
  BOOST_TEST(deadline(-1ns).has_passed());
  BOOST_TEST(!deadline(1ns).has_passed());
  BOOST_TEST(deadline(1ms).ms() == 5002u);
}

BOOST_AUTO_TEST_SUITE_END()

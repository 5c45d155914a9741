// A task with every kind of await, stopped and destroyed at each of its await points.
#include "manual_shard.hpp"
#include <ringcast/mutex.hpp>
#include <ringcast/semaphore.hpp>
#include <ringcast/sleep.hpp>

#include <boost/test/unit_test.hpp>
#include <stop_token>
#include <string>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;
using strings = std::vector<std::string>;

namespace {

constexpr int await_points = 6;

struct stage {
  mutex lock;
  semaphore seats{1};
  strings log;
  int reached = 0;
};

task<bool> nested(stage& s, std::stop_token stop) {
  traced local(s.log, "nested");
  auto seat = co_await s.seats.scoped_acquire({.deadline = 1h, .stop = stop});
  if (!seat) co_return false;
  s.reached = 4;
  co_return co_await sleep_for(10ms, stop) == sleep_result::elapsed;
}

// Each await point is reached by moving the clock 10 ms, and leaves early when it was stopped.
task<void> all_kinds(stage& s, std::stop_token stop) {
  traced first(s.log, "first");
  s.reached = 1;
  if (co_await sleep_for(10ms, stop) == sleep_result::stopped) co_return;
  traced second(s.log, "second");
  s.reached = 2;
  auto guard = co_await s.lock.scoped_lock({.stop = stop});
  if (!guard) co_return;
  s.reached = 3;
  if (!co_await nested(s, stop)) co_return;
  s.reached = 5;
  auto seat = co_await s.seats.scoped_acquire({.deadline = deadline(1h), .stop = stop});
  if (!seat) co_return;
  if (co_await sleep_until(deadline(10ms), stop) == sleep_result::stopped) co_return;
  s.reached = await_points;
}

// Holds what the other wants, so that its awaits really suspend.
task<void> holder(stage& s) {
  {
    auto guard = co_await s.lock.scoped_lock();
    (void)co_await sleep_for(20ms);
  }
  auto seat = co_await s.seats.scoped_acquire();
  (void)co_await sleep_for(10ms);
}

void check_all_is_back(stage& s, manual_shard& shard) {
  BOOST_TEST(!s.lock.is_locked());
  BOOST_TEST(s.seats.available() == 1u);
  BOOST_TEST(shard.timers().armed_count() == 0u);
  std::size_t entered = 0;
  for (const char* name : {"~first", "~second", "~nested"}) {
    entered += static_cast<std::size_t>(std::count(s.log.begin(), s.log.end(), name));
  }
  BOOST_TEST(entered == s.log.size());
  BOOST_TEST(!s.log.empty());
}

} // namespace

BOOST_AUTO_TEST_SUITE(cancellation)

BOOST_AUTO_TEST_CASE(undisturbed_it_reaches_its_end) {
  manual_shard shard;
  stage s;
  shard->spawn(holder(s));
  shard->spawn(all_kinds(s, {}));
  shard.settle();
  for (int i = 0; i < 10; ++i) shard.advance(10ms);
  BOOST_TEST(s.reached == await_points);
  check_all_is_back(s, shard);
}

BOOST_AUTO_TEST_CASE(a_stop_at_every_await_point_leaves_everything_in_its_place) {
  int different_points = 0;
  int last = -1;
  for (int steps = 0; steps < 8; ++steps) {
    BOOST_TEST_CONTEXT("stopped after " << steps << " steps") {
      manual_shard shard;
      stage s;
      std::stop_source source;
      shard->spawn(holder(s));
      shard->spawn(all_kinds(s, source.get_token()));
      shard.settle();
      for (int i = 0; i < steps; ++i) shard.advance(10ms);
      const int at = s.reached;
      different_points += std::exchange(last, at) != at;
      source.request_stop();
      shard.settle();
      BOOST_TEST(s.reached == at);
      BOOST_TEST(shard->task_count() <= 1u); // the holder goes its own way
      shard->stop();
      shard.settle();
      BOOST_TEST(shard->task_count() == 0u);
      check_all_is_back(s, shard);
    }
  }
  BOOST_TEST(different_points >= 4);
}

BOOST_AUTO_TEST_CASE(the_end_of_the_shard_at_every_await_point_leaves_everything_in_its_place) {
  for (const bool in_the_middle_of_a_turn : {false, true}) {
    for (int steps = 0; steps < 8; ++steps) {
      BOOST_TEST_CONTEXT("destroyed after " << steps << " steps") {
        manual_shard shard;
        stage s;
        std::stop_source source;
        shard->spawn(holder(s));
        shard->spawn(all_kinds(s, source.get_token()));
        shard.settle();
        for (int i = 0; i < steps; ++i) shard.advance(10ms);
        if (in_the_middle_of_a_turn) source.request_stop(); // ready, and never resumed
        shard.end();
        check_all_is_back(s, shard);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

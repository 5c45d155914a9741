// The scheduler: fairness, exceptions with their place, what happens to tasks that outlive their shard.
#include "allocation_count.hpp"
#include "engine/base/log.hpp"
#include "engine/coroutine/scheduler.hpp"
#include "manual_shard.hpp"
#include <ringcast/mutex.hpp>
#include <ringcast/sleep.hpp>

#include <boost/test/unit_test.hpp>
#include <memory>
#include <stdexcept>
#include <string>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;
using strings = std::vector<std::string>;

namespace {

// What the program logs while this exists.
class captured_log {
 public:
  captured_log() {
    set_log_taker([this](log_level level, std::string_view line) {
      text_ += level == log_level::error ? "error: " : "";
      text_ += std::string{line} + "\n";
    });
  }
  ~captured_log() { set_log_taker({}); }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

task<void> sleeper(strings& log) {
  traced outer(log, "sleeper");
  co_await sleep_for(1h);
  log.push_back("woke");
}

struct reposting {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const { scheduler::current()->post(handle); }
  void await_resume() const noexcept {}
};

} // namespace

BOOST_AUTO_TEST_SUITE(the_scheduler)

BOOST_AUTO_TEST_CASE(is_that_of_the_thread_while_it_lives) {
  BOOST_TEST(scheduler::current() == nullptr);
  {
    manual_shard shard;
    BOOST_TEST(scheduler::current() == &*shard);
  }
  BOOST_TEST(scheduler::current() == nullptr);
}

BOOST_AUTO_TEST_CASE(starts_spawned_tasks_at_the_next_turn_in_order) {
  manual_shard shard;
  strings log;
  const auto say = [](strings& l, std::string word) -> task<void> {
    l.push_back(word);
    co_return;
  };
  spawn(say(log, "one"));
  shard->spawn(say(log, "two"));
  BOOST_TEST(log.empty());
  BOOST_TEST(shard->has_ready());
  BOOST_TEST(shard->task_count() == 2u);
  BOOST_TEST(shard.turn() == 2u);
  BOOST_TEST(log == (strings{"one", "two"}), boost::test_tools::per_element());
  BOOST_TEST(shard->task_count() == 0u);
  BOOST_TEST(!shard->has_ready());
}

BOOST_AUTO_TEST_CASE(one_turn_ends_although_a_coroutine_is_always_ready) {
  manual_shard shard;
  int rounds = 0;
  shard->spawn([](int& n) -> task<void> {
    for (;; ++n) co_await reposting{};
  }(rounds));
  for (int i = 0; i < 5; ++i) shard.turn();
  BOOST_TEST(rounds == 4);
  BOOST_TEST(shard->has_ready());
}

BOOST_AUTO_TEST_CASE(hands_on_an_exception_with_the_place_of_the_spawn_and_goes_on) {
  manual_shard shard;
  std::source_location place;
  std::string text;
  shard->on_exception([&](std::exception_ptr exception, const std::source_location& where) {
    place = where;
    try {
      std::rethrow_exception(exception);
    } catch (const std::exception& e) {
      text = e.what();
    }
  });
  bool other_ran = false;
  const auto bad = []() -> task<void> {
    co_await sleep_for(1ms);
    throw std::runtime_error("not my day");
  };
  const auto good = [](bool& ran) -> task<void> {
    co_await sleep_for(2ms);
    ran = true;
  };
  const unsigned line = __LINE__ + 1;
  shard->spawn(bad());
  shard->spawn(good(other_ran));
  shard.settle();
  shard.advance(5ms);
  BOOST_TEST(text == "not my day");
  BOOST_TEST(place.line() == line);
  BOOST_TEST(std::string(place.file_name()).ends_with("scheduler_test.cpp"));
  BOOST_TEST(other_ran);
  BOOST_TEST(shard->task_count() == 0u);
}

BOOST_AUTO_TEST_CASE(logs_an_exception_when_nobody_else_takes_it) {
  captured_log log;
  timer_wheel timers(0);
  scheduler s(timers);
  s.attach();
  s.spawn([]() -> task<void> {
    throw std::runtime_error("into the log");
    co_return;
  }());
  s.run_ready();
  BOOST_TEST(log.text().find("scheduler_test.cpp") != std::string::npos);
  BOOST_TEST(log.text().find("into the log") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(tells_the_places_of_live_tasks) {
  manual_shard shard;
  strings log;
  shard->spawn(sleeper(log));
  const unsigned line = __LINE__ - 1;
  shard.settle();
  std::vector<unsigned> lines;
  shard->for_each_task([&](const std::source_location& where) { lines.push_back(where.line()); });
  BOOST_TEST(lines == std::vector<unsigned>{line}, boost::test_tools::per_element());
  shard.end(); // before the log that its task writes to
}

BOOST_AUTO_TEST_CASE(stop_lets_sleepers_run_to_their_end) {
  manual_shard shard;
  strings log;
  sleep_result result{};
  shard->spawn([](strings& l, sleep_result& r) -> task<void> {
    traced local(l, "local");
    r = co_await sleep_for(1h);
    // A later sleep of the same task ends too, but lets the others run in between.
    while (co_await sleep_for(1h) != sleep_result::stopped) {
    }
    l.push_back("ends");
  }(log, result));
  shard.settle();
  shard->stop();
  BOOST_TEST(shard->is_stopping());
  BOOST_TEST(log.empty()); // nothing runs inside stop()
  shard.settle();
  BOOST_TEST((result == sleep_result::stopped));
  BOOST_TEST(log == (strings{"ends", "~local"}), boost::test_tools::per_element());
  BOOST_TEST(shard->task_count() == 0u);
  BOOST_TEST(shard.timers().armed_count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_task_that_ignores_stop_does_not_hang_a_turn) {
  manual_shard shard;
  int rounds = 0;
  shard->spawn([](int& n) -> task<void> {
    for (;; ++n) (void)co_await sleep_for(1s);
  }(rounds));
  shard.settle();
  shard->stop();
  for (int i = 0; i < 3; ++i) shard.turn();
  BOOST_TEST(rounds == 3);
}

BOOST_AUTO_TEST_CASE(destroys_and_names_what_outlives_it) {
  strings log;
  std::string named;
  const unsigned line = __LINE__ + 5;
  {
    captured_log lines;
    manual_shard shard;
    strings& l = log;
    shard->spawn(sleeper(l));
    shard->spawn([](strings& l2) -> task<void> {
      traced first(l2, "first");
      co_await sleeper(l2);
    }(log));
    shard.settle();
    // One that was never started.
    shard->spawn(sleeper(l));
    shard.end();
    BOOST_TEST(shard.timers().armed_count() == 0u);
    named = lines.text();
  }
  BOOST_TEST(log == (strings{"~sleeper", "~sleeper", "~first"}), boost::test_tools::per_element());
#ifndef NDEBUG
  BOOST_TEST(named.find("a task outlives its shard: spawned at ") != std::string::npos);
  BOOST_TEST(named.find("scheduler_test.cpp:" + std::to_string(line)) != std::string::npos);
#else
  (void)line;
  BOOST_TEST(named.empty());
#endif
}

BOOST_AUTO_TEST_CASE(a_destructor_that_spawns_while_the_shard_ends_leaves_nothing_behind) {
  strings log;
  struct spawns_at_the_end {
    strings& l;
    ~spawns_at_the_end() { spawn(sleeper(l)); }
  };
  {
    captured_log quiet;
    manual_shard shard;
    shard->spawn([](strings& l) -> task<void> {
      spawns_at_the_end last{l};
      co_await sleep_for(1h);
    }(log));
    shard.settle();
    shard.end();
  }
  BOOST_TEST(log.empty());
}

BOOST_AUTO_TEST_CASE(waiting_and_waking_allocate_nothing_once_warm) {
  manual_shard shard;
  mutex m;
  int turns = 0;
  const auto player = [](mutex& lock, int& n) -> task<void> {
    while (n < 1000) {
      auto guard = co_await lock.scoped_lock();
      ++n;
      if (co_await sleep_for(1ms) == sleep_result::stopped) co_return;
    }
  };
  for (int i = 0; i < 3; ++i) shard->spawn(player(m, turns));
  shard.settle();
  for (int i = 0; i < 10; ++i) shard.advance(1ms);
  const std::size_t before = allocation_count();
  for (int i = 0; i < 500; ++i) shard.advance(1ms);
  BOOST_TEST(allocation_count() == before);
  BOOST_TEST(turns > 500);
  shard->stop();
  shard.settle();
  BOOST_TEST(shard->task_count() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

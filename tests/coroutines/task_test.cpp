// task<T>: lazy, move-only, values and exceptions, the order of destruction, and flat stacks.
#include "allocation_count.hpp"
#include "manual_shard.hpp"
#include <ringcast/sleep.hpp>
#include <ringcast/task.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

using namespace ringcast;
using namespace ringcast::engine;
using strings = std::vector<std::string>;

namespace {

task<int> forty_two() { co_return 42; }
task<std::unique_ptr<int>> move_only() { co_return std::make_unique<int>(7); }
task<void> throws() {
  throw std::runtime_error("from the depth");
  co_return;
}
task<int> throws_instead_of_int() {
  co_await throws();
  co_return 1;
}

// Where the stack is, seen from a function of its own.
[[gnu::noinline]] std::uintptr_t stack_here() { return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)); }

} // namespace

BOOST_AUTO_TEST_SUITE(a_task)

BOOST_AUTO_TEST_CASE(gives_its_value_also_one_that_only_moves) {
  manual_shard shard;
  int number = 0;
  std::unique_ptr<int> owned;
  shard->spawn([](int& n, std::unique_ptr<int>& o) -> task<void> {
    n = co_await forty_two();
    o = co_await move_only();
  }(number, owned));
  shard.settle();
  BOOST_TEST(number == 42);
  BOOST_REQUIRE(owned);
  BOOST_TEST(*owned == 7);
}

BOOST_AUTO_TEST_CASE(gives_its_exception_to_who_awaits_it) {
  manual_shard shard;
  std::string caught;
  shard->spawn([](std::string& text) -> task<void> {
    try {
      co_await throws_instead_of_int();
    } catch (const std::runtime_error& e) {
      text = e.what();
    }
  }(caught));
  shard.settle();
  BOOST_TEST(caught == "from the depth");
  BOOST_TEST(shard.exceptions.empty());
}

BOOST_AUTO_TEST_CASE(does_not_start_before_it_is_awaited_and_needs_not_start_at_all) {
  manual_shard shard;
  strings log;
  const auto work = [](strings& l, std::unique_ptr<traced> argument) -> task<void> {
    l.push_back("started");
    (void)argument;
    co_return;
  };
  {
    task<void> never = work(log, std::make_unique<traced>(log, "argument"));
    BOOST_TEST(log.empty());
  }
  BOOST_TEST(log == strings{"~argument"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(moves_its_frame_and_leaves_an_empty_task) {
  manual_shard shard;
  task<int> first = forty_two();
  task<int> second = std::move(first);
  BOOST_TEST(!first);
  BOOST_TEST(static_cast<bool>(second));
  second = forty_two();
  int number = 0;
  shard->spawn([](task<int> t, int& n) -> task<void> { n = co_await std::move(t); }(std::move(second), number));
  shard.settle();
  BOOST_TEST(number == 42);
}

BOOST_AUTO_TEST_CASE(destroys_locals_then_arguments_then_goes_back) {
  manual_shard shard;
  strings log;
  const auto inner = [](strings& l, std::unique_ptr<traced>) -> task<void> {
    traced a(l, "inner a");
    traced b(l, "inner b");
    co_await sleep_for(std::chrono::milliseconds(5));
    l.push_back("inner ends");
  };
  shard->spawn([](strings& l, auto run) -> task<void> {
    traced outer(l, "outer");
    co_await run(l, std::make_unique<traced>(l, "argument"));
    l.push_back("outer goes on");
  }(log, inner));
  shard.settle();
  BOOST_TEST(log.empty());
  shard.advance(std::chrono::milliseconds(5));
  const strings expected{"inner ends", "~inner b", "~inner a", "~argument", "outer goes on", "~outer"};
  // The argument goes with the frame, which the temporary task in the co_await expression owns: before the next line.
  BOOST_TEST(log == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_million_awaits_that_complete_at_once_need_no_stack) {
  manual_shard shard;
  std::uintptr_t lowest = UINTPTR_MAX;
  std::uintptr_t highest = 0;
  const auto one = [](std::uintptr_t& low, std::uintptr_t& high) -> task<int> {
    const std::uintptr_t here = stack_here();
    low = std::min(low, here);
    high = std::max(high, here);
    co_return 1;
  };
  long sum = 0;
  shard->spawn([](auto run, long& total, std::uintptr_t& low, std::uintptr_t& high) -> task<void> {
    for (int i = 0; i < 1'000'000; ++i) total += co_await run(low, high);
  }(one, sum, lowest, highest));
  shard.settle();
  BOOST_TEST(sum == 1'000'000);
  BOOST_TEST(highest - lowest < 4096u);
}

BOOST_AUTO_TEST_CASE(costs_one_allocation_which_is_its_frame) {
  manual_shard shard;
  std::size_t used = 0;
  shard->spawn([](std::size_t& count) -> task<void> {
    const std::size_t before = allocation_count();
    for (int i = 0; i < 100; ++i) co_await forty_two();
    count = allocation_count() - before;
  }(used));
  shard.settle();
  BOOST_TEST(used <= 100u);
}

BOOST_AUTO_TEST_SUITE_END()

#include "manual_shard.hpp"

#include <ringcast/detail/clock.hpp>
#include <ringcast/detail/waiter.hpp>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <ctime>

namespace {
std::atomic<std::uint64_t> manual_ns{0}; // 0: the real clock
}

extern "C" int __real_clock_gettime(clockid_t clock, timespec* out);
extern "C" int __wrap_clock_gettime(clockid_t clock, timespec* out) {
  const std::uint64_t ns = manual_ns.load(std::memory_order_relaxed);
  if (ns == 0 || clock != CLOCK_MONOTONIC) return __real_clock_gettime(clock, out);
  out->tv_sec = static_cast<time_t>(ns / 1'000'000'000);
  out->tv_nsec = static_cast<long>(ns % 1'000'000'000);
  return 0;
}

manual_clock::manual_clock(std::uint64_t start_ns) { manual_ns = start_ns; }
manual_clock::~manual_clock() { manual_ns = 0; }
void manual_clock::advance(std::chrono::nanoseconds by) { manual_ns += static_cast<std::uint64_t>(by.count()); }

manual_shard::manual_shard() : clock_(5'000'000'000), timers_(ringcast::engine::now_ms()) {
  scheduler_.emplace(timers_);
  scheduler_->attach();
  scheduler_->on_exception([this](std::exception_ptr exception, const std::source_location&) {
    try {
      std::rethrow_exception(exception);
    } catch (const std::exception& e) {
      exceptions.push_back(e.what());
    }
  });
}

void manual_shard::settle() {
  for (int turns = 0; scheduler_->has_ready(); ++turns) {
    BOOST_REQUIRE_LT(turns, 100'000);
    scheduler_->run_ready();
  }
}

void manual_shard::advance(std::chrono::nanoseconds by) {
  clock_.advance(by);
  const auto on_expired = [](ringcast::engine::timer_node& node) {
    BOOST_REQUIRE_EQUAL(+node.kind, ringcast::engine::waiter::timer_kind);
    ringcast::engine::waiter::on_timer(node);
  };
  while (timers_.next_deadline_ms() <= ringcast::engine::now_ms()) timers_.expire(ringcast::engine::now_ms(), on_expired);
  settle();
}

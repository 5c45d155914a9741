// A shard that is nothing but a clock, a timer wheel and a scheduler, turned by the test. While one exists, the
// monotonic clock of the whole program stands where the test has put it.
#pragma once

#include "engine/base/timer_wheel.hpp"
#include "engine/coroutine/scheduler.hpp"
#include "engine/mesh/doorbell.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

class manual_clock {
 public:
  explicit manual_clock(std::uint64_t start_ns);
  ~manual_clock();
  void advance(std::chrono::nanoseconds by);
};

class manual_shard {
 public:
  manual_shard();
  // Ends the shard's scheduler, and with it every task that is still alive.
  void end() { scheduler_.reset(); }

  // Runs what is ready, and what that makes ready, until nothing is.
  void settle();
  // One call of run_ready().
  std::size_t turn() { return scheduler_->run_ready(); }
  // Moves the clock, expires timers, settles.
  void advance(std::chrono::nanoseconds by);

  ringcast::engine::scheduler& operator*() { return *scheduler_; }
  ringcast::engine::scheduler* operator->() { return &*scheduler_; }
  ringcast::engine::timer_wheel& timers() { return timers_; }

  // What left a spawned task, as text.
  std::vector<std::string> exceptions;

 private:
  manual_clock clock_;
  ringcast::engine::timer_wheel timers_;
  std::optional<ringcast::engine::scheduler> scheduler_;
};

// Says in a list that it was destroyed.
struct traced {
  traced(std::vector<std::string>& l, std::string n) : log(l), name(std::move(n)) {}
  traced(const traced&) = delete;
  traced& operator=(const traced&) = delete;
  ~traced() { log.push_back("~" + name); }
  std::vector<std::string>& log;
  std::string name;
};

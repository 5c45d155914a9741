// Sleeping in a coroutine of a shard: `co_await sleep_for(30s)`. On the threads of shards only, which is asserted; nothing is allocated.
#pragma once

#include <ringcast/detail/waiter.hpp>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <stop_token>
#include <utility>

namespace ringcast {

enum class sleep_result : std::uint8_t {
  elapsed, // the time is over
  stopped, // the stop token was used, or the shard is stopping: the coroutine should return soon
};

class [[nodiscard]] sleep_awaiter : engine::waiter {
 public:
  explicit sleep_awaiter(wait_limits limits) noexcept : limits_(std::move(limits)) {}

  // It always suspends, even when the time is over or the shard is stopping: a loop that ignores the result must still
  // let the others run.
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    const bool over = is_over(limits_, at_stop::ends);
    const wait_result reason = finish();
    wait(handle, limits_, at_stop::ends);
    if (over && is_waiting()) complete(reason);
  }
  sleep_result await_resume() noexcept { return finish() == wait_result::stopped ? sleep_result::stopped : sleep_result::elapsed; }

 private:
  wait_limits limits_;
};

// Suspends the coroutine for at least `duration`, to the millisecond. Only on a shard's thread; nothing is allocated.
template <class Rep, class Period>
[[nodiscard]] sleep_awaiter sleep_for(std::chrono::duration<Rep, Period> duration, std::stop_token stop = {}) noexcept {
  return sleep_awaiter({.deadline = duration, .stop = std::move(stop)});
}

// The same until a point in time. A deadline that is never ends only by the stop token or with the shard.
[[nodiscard]] inline sleep_awaiter sleep_until(deadline when, std::stop_token stop = {}) noexcept {
  return sleep_awaiter({.deadline = when, .stop = std::move(stop)});
}

} // namespace ringcast

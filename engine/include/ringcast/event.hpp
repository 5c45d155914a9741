// Something that has happened, told from any thread to coroutines of any shard:
//
//   event loaded;
//   std::thread([loaded] { load(); loaded.set(); }).detach();
//   if (co_await loaded.wait({.deadline = 5s}) == wait_result::done) ...
//
// A value: copies are the same event, which lives as long as one of them. Every coroutine goes on on its own shard. Nothing is allocated by a wait.
#pragma once

#include <ringcast/detail/waiter.hpp>

#include <coroutine>
#include <memory>
#include <utility>

namespace ringcast {

namespace engine {
class event_state;
}

class event {
 public:
  event();

  // Any thread: whoever waits goes on, and whoever waits later does not begin to, until it is reset.
  void set() const noexcept;
  void reset() const noexcept;
  [[nodiscard]] bool is_set() const noexcept;

  class [[nodiscard]] wait_awaiter : engine::remote_waiter {
   public:
    wait_awaiter(std::shared_ptr<engine::event_state> state, wait_limits limits) noexcept : state_(std::move(state)), limits_(std::move(limits)) {}
    ~wait_awaiter();
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) noexcept;
    wait_result await_resume() noexcept;

   private:
    std::shared_ptr<engine::event_state> state_;
    wait_limits limits_;
    wait_result result_ = wait_result::done;
    bool waited_ = false;
  };

  // On a shard's thread: done, timed_out, or stopped (also when the server stops, or the task is cancelled).
  [[nodiscard]] wait_awaiter wait(wait_limits limits = {}) const noexcept { return {state_, std::move(limits)}; }

 private:
  std::shared_ptr<engine::event_state> state_;
};

} // namespace ringcast

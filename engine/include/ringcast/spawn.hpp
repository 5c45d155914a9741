// Starting a coroutine that nobody awaits, and what may be done to it later.
#pragma once

#include <ringcast/detail/waiter.hpp>
#include <ringcast/task.hpp>

#include <coroutine>
#include <memory>
#include <source_location>
#include <utility>

namespace ringcast {

namespace engine {
struct spawned_state;
}

// A spawned task, for the coroutines and callbacks of its own shard. A value that may be dropped: the task goes on without it. Empty, it is of a
// task that is done.
class task_handle {
 public:
  task_handle() noexcept = default;

  // Whether it has returned, thrown, or been destroyed with its shard.
  [[nodiscard]] bool is_done() const noexcept;
  // Whatever it waits for ends with `stopped` (websocket_end::stopped, sleep_result::stopped, ...), now and later, but for locks and semaphores; it
  // should return soon, as when the server stops, and nothing forces it. It goes for what it awaits, too, and for its when_all() and when_any().
  void cancel() const noexcept;

  class [[nodiscard]] join_awaiter : engine::waiter {
   public:
    join_awaiter(std::shared_ptr<engine::spawned_state> state, wait_limits limits) noexcept : state_(std::move(state)), limits_(std::move(limits)) {}
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    wait_result await_resume();

   private:
    std::shared_ptr<engine::spawned_state> state_;
    wait_limits limits_;
  };
  // Waits until it is done, and throws what it threw. timed_out and stopped: it goes on.
  [[nodiscard]] join_awaiter join(wait_limits limits = {}) const noexcept { return {state_, std::move(limits)}; }

 private:
  friend class engine::scheduler;
  explicit task_handle(std::shared_ptr<engine::spawned_state> state) noexcept : state_(std::move(state)) {}

  std::shared_ptr<engine::spawned_state> state_;
};

// Starts the task in this turn of the calling thread's shard or client_loop; on another thread that is asserted. An exception that leaves it is
// for who joins it; where nobody has a handle, or nobody has joined by the last of them, it is logged with `where`. A task that has not returned
// when its shard ends is destroyed.
task_handle spawn(task<void> work, std::source_location where = std::source_location::current());

} // namespace ringcast

// Of the library's own; here because every awaitable that a program sees has one inside of itself. Not for programs.
//
// One suspended operation of a coroutine: what sleeping, locking and every other wait of a shard is built from.
//
// An awaiter inherits from it. await_suspend() calls wait(), after which exactly one of these ends the wait:
// complete() by whoever brings what was waited for, the deadline, the stop token, or the end of the shard. The
// coroutine is never resumed inside that call: it is put among the ready ones and resumed by scheduler::run_ready().
// await_resume() calls finish(), which says how the wait ended.
//
// It lives in the coroutine's frame, allocates nothing, and may be destroyed at any time (the frame of a coroutine that
// outlives its shard is destroyed while it waits). All of it belongs to the shard's thread, except that a stop token
// may fire on any. What other threads bring is a remote_waiter.
#pragma once

#include <ringcast/detail/intrusive_list.hpp>
#include <ringcast/detail/timer_node.hpp>
#include <ringcast/wait.hpp>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <source_location>
#include <stop_token>

namespace ringcast::engine {

class scheduler;

// The scheduler of the calling thread, or null on a thread that is no shard.
[[nodiscard]] scheduler* current_scheduler() noexcept;

// The lists that a waiter can be in: one of its scheduler (waiting or ready), one of what it waits for, and that of its task.
struct in_scheduler;
struct in_queue;
struct in_task;

class waiter;
using waiter_queue = intrusive_list<waiter, in_queue>;

// A spawned task as its waits know it: who is named, and who is cancelled. It goes with the task's frame.
struct task_root {
  explicit task_root(const std::source_location& place) noexcept : where(place) {}

  std::source_location where; // where it was spawned
  intrusive_list<waiter, in_task> waits;
  bool is_cancelled = false;
};

// The end of a wait that another thread has brought, on its way to the waiter's own (scheduler::queue_foreign_end).
struct foreign_end {
  waiter* who;
  wait_result result;
  foreign_end* next = nullptr;
  std::atomic<bool> is_queued{false};
};

class waiter : public list_link<in_scheduler>, public list_link<in_queue>, public list_link<in_task> {
 public:
  // timer_node::kind of a waiter's deadline. The shard that sees it expire calls on_timer().
  static constexpr std::uint8_t timer_kind = 255;
  static void on_timer(timer_node& node) noexcept;

  // Ends the wait. Only while is_waiting().
  void complete(wait_result result) noexcept;

  [[nodiscard]] bool is_waiting() const noexcept { return state_ == state::waiting; }

 protected:
  // Whether scheduler::stop() ends the wait too, and task_handle::cancel(). A sleep ends; a lock does not, because its holder will be ended
  // and let go, and nobody expects a lock() without limits to come back without the lock. What waits for a peer ends by its connection
  // when the server stops, and so only when it is cancelled.
  enum class at_stop : std::uint8_t { ends, waits_on, ends_if_cancelled };

  waiter() noexcept = default;
  ~waiter() { finish(); }

  // True when the limits are used up before the wait begins: await_ready() then returns true without waiting, and
  // finish() gives the reason.
  [[nodiscard]] bool is_over(const wait_limits& limits, at_stop when_stopped) noexcept;

  // Suspends `handle` here. For await_suspend().
  void wait(std::coroutine_handle<> handle, const wait_limits& limits, at_stop when_stopped) noexcept;

  // Ends the wait and resumes the coroutine within this call, instead of putting it among the ready ones: for what is
  // only there for the time of the call. The coroutine may destroy this. Only while is_waiting().
  void complete_now() noexcept;

  // For await_resume(): how the wait ended.
  wait_result finish() noexcept;

 private:
  friend class scheduler;
  friend class remote_waiter;

  enum class state : std::uint8_t { idle, waiting, ready };

  struct stop_request {
    waiter* who;
    void operator()() const noexcept { who->on_stop_request(); }
  };
  struct deadline_node : timer_node {
    explicit deadline_node(waiter& w) noexcept : timer_node(timer_kind), owner(&w) {}
    waiter* owner;
  };

  void on_stop_request() noexcept;
  [[nodiscard]] task_root* own_root() const noexcept;

  state state_ = state::idle;
  wait_result result_ = wait_result::done;
  at_stop at_stop_ = at_stop::waits_on;
  scheduler* scheduler_ = nullptr;
  task_root* root_ = nullptr; // whose coroutine waits; null if nobody spawned it. Valid while this is in its list
  std::coroutine_handle<> handle_;
  deadline_node deadline_{*this};
  foreign_end stop_end_{this, wait_result::stopped};
  std::optional<std::stop_callback<stop_request>> stop_callback_;
};

// A wait that another thread ends. What is waited for (the source) has a lock of its own and is there as long as this is. The rule that keeps
// every other thread from a coroutine that has gone: end_from_any_thread() is only called under the source's lock and while the source knows of
// this waiter, and await_resume() and the destructor first make the source forget it under that lock, and then call finish_remote().
struct in_source;

class remote_waiter : public waiter, public list_link<in_source> {
 public:
  // Any thread, under the source's lock, at most once a wait. The shard is woken if it sleeps.
  void end_from_any_thread() noexcept;

 protected:
  remote_waiter() noexcept = default;
  // The shard, without the lock.
  wait_result finish_remote() noexcept;

 private:
  foreign_end done_end_{this, wait_result::done};
};

using remote_waiter_queue = intrusive_list<remote_waiter, in_source>;

} // namespace ringcast::engine

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
// may fire on any.
#pragma once

#include <ringcast/detail/intrusive_list.hpp>
#include <ringcast/detail/timer_node.hpp>
#include <ringcast/wait.hpp>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <stop_token>

namespace ringcast::engine {

class scheduler;

// The scheduler of the calling thread, or null on a thread that is no shard.
[[nodiscard]] scheduler* current_scheduler() noexcept;

// The two lists that a waiter can be in: one of its scheduler (waiting or ready), and one of what it waits for.
struct in_scheduler;
struct in_queue;

class waiter : public list_link<in_scheduler>, public list_link<in_queue> {
 public:
  // timer_node::kind of a waiter's deadline. The shard that sees it expire calls on_timer().
  static constexpr std::uint8_t timer_kind = 255;
  static void on_timer(timer_node& node) noexcept;

  // Ends the wait. Only while is_waiting().
  void complete(wait_result result) noexcept;

  [[nodiscard]] bool is_waiting() const noexcept { return state_ == state::waiting; }

 protected:
  // Whether scheduler::stop() ends the wait too. A sleep ends; a lock does not, because its holder will be ended and
  // let go, and nobody expects a lock() without limits to come back without the lock.
  enum class at_stop : std::uint8_t { ends, waits_on };

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

  state state_ = state::idle;
  wait_result result_ = wait_result::done;
  at_stop at_stop_ = at_stop::waits_on;
  std::atomic<bool> stop_is_queued_{false}; // it is in scheduler::foreign_stops_
  scheduler* scheduler_ = nullptr;
  std::coroutine_handle<> handle_;
  deadline_node deadline_{*this};
  waiter* next_foreign_stop_ = nullptr;
  std::optional<std::stop_callback<stop_request>> stop_callback_;
};

using waiter_queue = intrusive_list<waiter, in_queue>;

} // namespace ringcast::engine

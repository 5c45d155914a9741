// The coroutines of one shard: those that are ready, those that wait, and the tasks that were spawned.
//
// It belongs to the shard, which calls run_ready() once a loop turn, has_ready() before it sleeps, and
// waiter::on_timer() for every expired timer of that kind. Everything here is for the shard's thread.
#pragma once

#include "engine/base/hold_watch.hpp"
#include "engine/base/timer_wheel.hpp"
#include "engine/mesh/doorbell.hpp"
#include <ringcast/detail/intrusive_list.hpp>
#include <ringcast/detail/waiter.hpp>
#include <ringcast/spawn.hpp>
#include <ringcast/task.hpp>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <vector>

namespace ringcast::engine {

// What handles know of a spawned task.
struct spawned_state {
  explicit spawned_state(scheduler& s, const std::source_location& place) noexcept : owner(s), where(place) {}
  ~spawned_state(); // nobody was told what it threw: it is logged

  scheduler& owner;          // as long as there is a root
  task_root* root = nullptr; // null: the task is done
  std::source_location where;
  std::exception_ptr thrown;
  bool was_told = false; // to who joined
  waiter_queue joining;
};

class scheduler {
 public:
  // Called with an exception that left a spawned task, and with the place where it was spawned. Must not throw.
  using exception_handler = std::function<void(std::exception_ptr, const std::source_location&)>;

  // `timers` is the shard's and outlives this. `bell` wakes the shard when another thread ends a wait;
  // without one the shard notices at its next turn.
  explicit scheduler(timer_wheel& timers, doorbell* bell = nullptr);

  // Destroys the frames of the tasks that are still alive, oldest first; a debug build names each with the place where
  // it was spawned. Call stop() and run until task_count() is 0 to avoid that.
  ~scheduler();
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;

  // The scheduler of the calling thread, or nullptr on a thread that is no shard.
  [[nodiscard]] static scheduler* current() noexcept;
  // Makes this the scheduler of the calling thread until it is destroyed. The shard calls it before anything else.
  void attach() noexcept;
  // Makes it the scheduler of the calling thread for the time of a scope.
  class scope {
   public:
    explicit scope(scheduler& s) noexcept;
    ~scope();
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;

   private:
    scheduler* before_;
  };

  // What the destructor does to the tasks, earlier. Only outside of run_ready().
  void destroy_tasks() noexcept;

  // Starts a task that nobody awaits, at the next run_ready().
  void spawn(task<void> work, std::source_location where = std::source_location::current());
  // The same with a handle.
  [[nodiscard]] task_handle spawn_joinable(task<void> work, std::source_location where);
  // For child_group: runs it at once, until it waits for the first time; it is named like the task that runs now.
  [[nodiscard]] task_handle start_child(task<void> work);
  // The frame of a task that waits goes. Nothing happens if it is done.
  static void destroy(const task_handle& task) noexcept;
  static void cancel(spawned_state& task) noexcept;
  // By default an exception is written to the log.
  void on_exception(exception_handler handler);

  // Resumes `handle` at the next run_ready(). It must still be suspended then: an operation that can be destroyed while
  // it waits is a waiter.
  void post(std::coroutine_handle<> handle) { post(handle, nullptr); }

  // A coroutine that keeps the thread for longer than the watch allows is said in the log, with the place where its task was spawned.
  // The watch outlives this; null: nobody looks at the clock.
  void set_watch(hold_watch* watch) noexcept { watch_ = watch; }

  // Resumes what was ready when it was called; what becomes ready meanwhile waits for the next call, so a coroutine
  // that always has something to do does not hold up the loop. Returns how many were resumed.
  std::size_t run_ready();
  // Whether run_ready() has something to do. Also the look between doorbell::prepare_sleep() and the wait.
  [[nodiscard]] bool has_ready() const noexcept;

  // Ends every sleep, and every later one as soon as it begins, with sleep_result::stopped. Tasks go on until they
  // return.
  void stop() noexcept;
  [[nodiscard]] bool is_stopping() const noexcept { return stopping_; }

  // Spawned tasks that have not ended.
  [[nodiscard]] std::size_t task_count() const noexcept { return task_count_; }
  // Calls visit(const std::source_location&) with the place where each of them was spawned, oldest first.
  template <class Visit> void for_each_task(Visit&& visit) const {
    tasks_.for_each([&](const root_promise& root) { visit(root.where); });
  }

  [[nodiscard]] timer_wheel& timers() noexcept { return timers_; }

 private:
  friend class waiter;
  friend class remote_waiter;
  friend struct spawned_state;

  // The coroutine around each spawned task: it has nobody to return to, is in the list of live tasks while it exists,
  // and destroys itself at its end.
  struct in_tasks;
  struct root_task;
  struct root_promise : list_link<in_tasks>, task_root {
    root_promise(scheduler& s, const task<void>& work, const std::source_location& place, const std::shared_ptr<spawned_state>& told) noexcept;
    ~root_promise();
    root_task get_return_object() noexcept;
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void unhandled_exception() const noexcept;
    void return_void() const noexcept {}

    scheduler& owner;
    std::shared_ptr<spawned_state> state; // null if nobody ever had a handle
  };
  struct root_task {
    using promise_type = root_promise;
    std::coroutine_handle<root_promise> frame;
  };
  static root_task run_root(scheduler& self, task<void> work, std::source_location where, std::shared_ptr<spawned_state> state);
  [[nodiscard]] std::coroutine_handle<root_promise> make_root(task<void> work, const std::source_location& where,
                                                              const std::shared_ptr<spawned_state>& state);

  struct posted_coroutine {
    std::coroutine_handle<> handle;
    task_root* root;
  };

  void report(const std::source_location& where) noexcept;
  void post(std::coroutine_handle<> handle, task_root* root);
  // Whatever runs in it belongs to the task of this root, if it has one.
  void resume(std::coroutine_handle<> handle, task_root* root);
  void queue_foreign_end(foreign_end& end) noexcept;
  void take_foreign_ends() noexcept;

  timer_wheel& timers_;
  doorbell* bell_;
  exception_handler on_exception_;
  intrusive_list<waiter, in_scheduler> waiting_;
  intrusive_list<waiter, in_scheduler> ready_;
  std::size_t ready_count_ = 0;
  std::vector<posted_coroutine> posted_;
  std::vector<posted_coroutine> running_; // the batch of posted_ that run_ready() is in
  task_root* running_root_ = nullptr;     // whose coroutine runs now
  hold_watch* watch_ = nullptr;
  intrusive_list<root_promise, in_tasks> tasks_;
  std::size_t task_count_ = 0;
  bool stopping_ = false;
  // Waits that other threads have ended: a stack that any thread pushes to and this one takes whole.
  std::atomic<foreign_end*> foreign_ends_{nullptr};
};

} // namespace ringcast::engine

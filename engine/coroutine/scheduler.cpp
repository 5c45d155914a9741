#include "engine/coroutine/scheduler.hpp"

#include "engine/base/log.hpp"
#include <ringcast/detail/assert.hpp>
#include <ringcast/detail/clock.hpp>

#include <utility>

namespace ringcast::engine {
namespace {

thread_local scheduler* attached = nullptr;

void log_exception(std::exception_ptr exception, const std::source_location& where) {
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const std::exception& e) {
    log_error("the task spawned at {}:{} ended with an exception: {}", where.file_name(), where.line(), e.what());
  } catch (...) {
    log_error("the task spawned at {}:{} ended with an exception that is no std::exception", where.file_name(), where.line());
  }
}

} // namespace

scheduler::scheduler(timer_wheel& timers, doorbell* bell) : timers_(timers), bell_(bell), on_exception_(log_exception) {}

scheduler::~scheduler() {
  destroy_tasks();
  if (attached == this) attached = nullptr;
}

void scheduler::destroy_tasks() noexcept {
  stopping_ = true;
#ifndef NDEBUG
  for_each_task([](const std::source_location& where) {
    log_warning("a task outlives its shard: spawned at {}:{} in {}", where.file_name(), where.line(), where.function_name());
  });
#endif
  // Destroying a frame runs the user's destructors, which may spawn, and may let go of locks and make others ready:
  // those are not resumed any more, only destroyed in their turn.
  scheduler* const before = std::exchange(attached, this);
  while (!tasks_.empty()) std::coroutine_handle<root_promise>::from_promise(tasks_.front()).destroy();
  posted_.clear();
  attached = before;
  // Every wait was in one of those frames, or in a coroutine that somebody else must destroy before its shard.
  RINGCAST_ASSERT(waiting_.empty() && ready_.empty() && ready_count_ == 0);
}

scheduler* scheduler::current() noexcept { return attached; }

void scheduler::attach() noexcept {
  RINGCAST_ASSERT(attached == nullptr || attached == this);
  attached = this;
}

scheduler::scope::scope(scheduler& s) noexcept : before_(std::exchange(attached, &s)) {}
scheduler::scope::~scope() { attached = before_; }

void scheduler::spawn(task<void> work, std::source_location where) {
  const auto root = make_root(std::move(work), where, nullptr);
  post(root, &root.promise());
}

task_handle scheduler::spawn_joinable(task<void> work, std::source_location where) {
  const auto state = std::make_shared<spawned_state>(*this, where);
  const auto root = make_root(std::move(work), where, state);
  post(root, &root.promise());
  return task_handle{state};
}

task_handle scheduler::start_child(task<void> work) {
  const std::source_location where = running_root_ != nullptr ? running_root_->where : std::source_location{};
  const auto state = std::make_shared<spawned_state>(*this, where);
  const auto root = make_root(std::move(work), where, state);
  resume(root, &root.promise());
  return task_handle{state};
}

void scheduler::destroy(const task_handle& task) noexcept {
  if (task.is_done()) return;
  std::coroutine_handle<root_promise>::from_promise(static_cast<root_promise&>(*task.state_->root)).destroy();
}

void scheduler::cancel(spawned_state& task) noexcept {
  if (task.root == nullptr) return;
  RINGCAST_ASSERT(current() == &task.owner);
  task.root->is_cancelled = true;
  // A wait that has ended stays in the list of its task until its coroutine goes on.
  task.root->waits.for_each([](const waiter& each) {
    if (each.is_waiting() && each.at_stop_ != waiter::at_stop::waits_on) const_cast<waiter&>(each).complete(wait_result::stopped);
  });
}

spawned_state::~spawned_state() {
  if (!thrown || was_told) return;
  scheduler* const here = scheduler::current();
  here != nullptr ? here->on_exception_(thrown, where) : log_exception(thrown, where);
}

void scheduler::on_exception(exception_handler handler) { on_exception_ = std::move(handler); }

void scheduler::post(std::coroutine_handle<> handle, task_root* root) { posted_.push_back({handle, root}); }

std::size_t scheduler::run_ready() {
  RINGCAST_ASSERT(attached == this && running_.empty());
  take_foreign_ends();
  const std::size_t waiters = ready_count_;
  running_.swap(posted_);
  std::size_t resumed = 0;
  for (; resumed < waiters && !ready_.empty(); ++resumed) {
    waiter& next = ready_.front();
    static_cast<list_link<in_scheduler>&>(next).unlink();
    --ready_count_;
    resume(next.handle_, next.own_root());
  }
  for (const posted_coroutine& next : running_) resume(next.handle, next.root);
  resumed += running_.size();
  running_.clear();
  return resumed;
}

// The root may be gone when the call returns: its place is copied before.
void scheduler::resume(std::coroutine_handle<> handle, task_root* root) {
  task_root* const before = std::exchange(running_root_, root);
  if (watch_ == nullptr) {
    handle.resume();
  } else {
    const std::source_location where = root != nullptr ? root->where : std::source_location{};
    const std::uint64_t began_ns = now_ns();
    handle.resume();
    watch_->look("the coroutine", where, began_ns);
  }
  running_root_ = before;
}

bool scheduler::has_ready() const noexcept {
  return ready_count_ != 0 || !posted_.empty() || foreign_ends_.load(std::memory_order_acquire) != nullptr;
}

void scheduler::stop() noexcept {
  stopping_ = true;
  // Those that wait on go round to the end of the list, and the first of them that comes again ends the walk.
  const waiter* first_kept = nullptr;
  while (!waiting_.empty() && &waiting_.front() != first_kept) {
    waiter& next = waiting_.front();
    if (next.at_stop_ == waiter::at_stop::ends) {
      next.complete(wait_result::stopped);
    } else {
      if (first_kept == nullptr) first_kept = &next;
      static_cast<list_link<in_scheduler>&>(next).unlink();
      waiting_.append(next);
    }
  }
}

scheduler::root_promise::root_promise(scheduler& s, const task<void>&, const std::source_location& place,
                                      const std::shared_ptr<spawned_state>& told) noexcept
    : task_root(place), owner(s), state(told) {
  if (state != nullptr) state->root = this;
  owner.tasks_.append(*this);
  ++owner.task_count_;
}

scheduler::root_promise::~root_promise() {
  --owner.task_count_;
  if (state == nullptr) return;
  state->root = nullptr;
  while (!state->joining.empty()) state->joining.front().complete(wait_result::done);
}

// For who joins it, if there can be somebody.
void scheduler::root_promise::unhandled_exception() const noexcept {
  if (state == nullptr || state.use_count() == 1) return owner.report(where);
  state->thrown = std::current_exception();
}

scheduler::root_task scheduler::root_promise::get_return_object() noexcept { return {std::coroutine_handle<root_promise>::from_promise(*this)}; }

// The parameters are also the promise's: it reads them in its constructor.
scheduler::root_task scheduler::run_root(scheduler&, task<void> work, std::source_location, std::shared_ptr<spawned_state>) {
  co_await std::move(work);
}

std::coroutine_handle<scheduler::root_promise> scheduler::make_root(task<void> work, const std::source_location& where,
                                                                    const std::shared_ptr<spawned_state>& state) {
  RINGCAST_ASSERT(work);
  return run_root(*this, std::move(work), where, state).frame;
}

void scheduler::report(const std::source_location& where) noexcept { on_exception_(std::current_exception(), where); }

void scheduler::queue_foreign_end(foreign_end& end) noexcept {
  end.is_queued.store(true, std::memory_order_relaxed);
  foreign_end* top = foreign_ends_.load(std::memory_order_relaxed);
  do {
    end.next = top;
  } while (!foreign_ends_.compare_exchange_weak(top, &end, std::memory_order_release, std::memory_order_relaxed));
  if (bell_ != nullptr) bell_->ring();
}

// In the order in which they came: whoever waited longest goes on first.
void scheduler::take_foreign_ends() noexcept {
  // The usual case costs a load of a line that nobody writes.
  if (foreign_ends_.load(std::memory_order_relaxed) == nullptr) return;
  foreign_end* newest = foreign_ends_.exchange(nullptr, std::memory_order_acquire);
  foreign_end* oldest = nullptr;
  while (newest != nullptr) oldest = std::exchange(newest, std::exchange(newest->next, oldest));
  while (oldest != nullptr) {
    foreign_end& end = *oldest;
    oldest = end.next; // before the flag: from then on its owner may destroy it
    end.is_queued.store(false, std::memory_order_relaxed);
    if (end.who->is_waiting()) end.who->complete(end.result);
  }
}

scheduler* current_scheduler() noexcept { return attached; }

} // namespace ringcast::engine

namespace ringcast {

task_handle spawn(task<void> work, std::source_location where) {
  engine::scheduler* const here = engine::current_scheduler();
  RINGCAST_ASSERT(here != nullptr);
  return here->spawn_joinable(std::move(work), where);
}

bool task_handle::is_done() const noexcept { return state_ == nullptr || state_->root == nullptr; }

void task_handle::cancel() const noexcept {
  if (state_ != nullptr) engine::scheduler::cancel(*state_);
}

bool task_handle::join_awaiter::await_ready() noexcept { return state_ == nullptr || state_->root == nullptr || is_over(limits_, at_stop::ends); }

void task_handle::join_awaiter::await_suspend(std::coroutine_handle<> handle) noexcept {
  state_->joining.append(*this);
  wait(handle, limits_, at_stop::ends);
}

wait_result task_handle::join_awaiter::await_resume() {
  const wait_result how = finish();
  if (state_ == nullptr) return wait_result::done;
  if (state_->root != nullptr) return how;
  if (state_->thrown) {
    state_->was_told = true;
    std::rethrow_exception(state_->thrown);
  }
  return wait_result::done;
}

} // namespace ringcast

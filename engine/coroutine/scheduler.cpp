#include "engine/coroutine/scheduler.hpp"

#include "engine/base/log.hpp"
#include <ringcast/detail/assert.hpp>

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
  RINGCAST_ASSERT(work);
  post(run_root(*this, std::move(work), where).frame);
}

void scheduler::on_exception(exception_handler handler) { on_exception_ = std::move(handler); }

void scheduler::post(std::coroutine_handle<> handle) { posted_.push_back(handle); }

std::size_t scheduler::run_ready() {
  RINGCAST_ASSERT(attached == this && running_.empty());
  take_foreign_stops();
  const std::size_t waiters = ready_count_;
  running_.swap(posted_);
  std::size_t resumed = 0;
  for (; resumed < waiters && !ready_.empty(); ++resumed) {
    waiter& next = ready_.front();
    static_cast<list_link<in_scheduler>&>(next).unlink();
    --ready_count_;
    next.handle_.resume();
  }
  for (const std::coroutine_handle<> handle : running_) handle.resume();
  resumed += running_.size();
  running_.clear();
  return resumed;
}

bool scheduler::has_ready() const noexcept {
  return ready_count_ != 0 || !posted_.empty() || foreign_stops_.load(std::memory_order_acquire) != nullptr;
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

scheduler::root_promise::root_promise(scheduler& s, const task<void>&, const std::source_location& place) noexcept : owner(s), where(place) {
  owner.tasks_.append(*this);
  ++owner.task_count_;
}

scheduler::root_promise::~root_promise() { --owner.task_count_; }

scheduler::root_task scheduler::root_promise::get_return_object() noexcept { return {std::coroutine_handle<root_promise>::from_promise(*this)}; }

// The parameters are also the promise's: it reads them in its constructor.
scheduler::root_task scheduler::run_root(scheduler&, task<void> work, std::source_location) { co_await std::move(work); }

void scheduler::report(const std::source_location& where) noexcept { on_exception_(std::current_exception(), where); }

void scheduler::queue_foreign_stop(waiter& w) noexcept {
  w.stop_is_queued_.store(true, std::memory_order_relaxed);
  waiter* top = foreign_stops_.load(std::memory_order_relaxed);
  do {
    w.next_foreign_stop_ = top;
  } while (!foreign_stops_.compare_exchange_weak(top, &w, std::memory_order_release, std::memory_order_relaxed));
  if (bell_ != nullptr) bell_->ring();
}

void scheduler::take_foreign_stops() noexcept {
  // The usual case costs a load of a line that nobody writes.
  if (foreign_stops_.load(std::memory_order_relaxed) == nullptr) return;
  waiter* next = foreign_stops_.exchange(nullptr, std::memory_order_acquire);
  while (next != nullptr) {
    waiter& w = *next;
    next = w.next_foreign_stop_; // before the flag: from then on its owner may destroy it
    w.stop_is_queued_.store(false, std::memory_order_relaxed);
    if (w.is_waiting()) w.complete(wait_result::stopped);
  }
}

scheduler* current_scheduler() noexcept { return attached; }

} // namespace ringcast::engine

namespace ringcast {

void spawn(task<void> work, std::source_location where) {
  engine::scheduler* const here = engine::current_scheduler();
  RINGCAST_ASSERT(here != nullptr);
  here->spawn(std::move(work), where);
}

} // namespace ringcast

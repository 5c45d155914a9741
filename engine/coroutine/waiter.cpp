#include <ringcast/detail/waiter.hpp>

#include "engine/coroutine/scheduler.hpp"
#include <ringcast/detail/assert.hpp>

namespace ringcast::engine {

bool waiter::is_over(const wait_limits& limits, at_stop when_stopped) noexcept {
  scheduler* const s = scheduler::current();
  RINGCAST_ASSERT(s != nullptr);
  const bool is_cancelled = s->running_root_ != nullptr && s->running_root_->is_cancelled;
  if (limits.stop.stop_requested() || (when_stopped == at_stop::ends && s->is_stopping()) || (when_stopped != at_stop::waits_on && is_cancelled)) {
    result_ = wait_result::stopped;
    return true;
  }
  if (limits.deadline.has_passed()) {
    result_ = wait_result::timed_out;
    return true;
  }
  return false;
}

void waiter::wait(std::coroutine_handle<> handle, const wait_limits& limits, at_stop when_stopped) noexcept {
  RINGCAST_ASSERT(state_ == state::idle);
  scheduler_ = scheduler::current();
  RINGCAST_ASSERT(scheduler_ != nullptr);
  handle_ = handle;
  at_stop_ = when_stopped;
  state_ = state::waiting;
  scheduler_->waiting_.append(*this);
  root_ = scheduler_->running_root_;
  if (root_ != nullptr) root_->waits.append(*this);
  scheduler_->timers_.arm(deadline_, limits.deadline.ms());
  // Last, because it may fire at once, here or on another thread.
  if (limits.stop.stop_possible()) stop_callback_.emplace(limits.stop, stop_request{this});
}

void waiter::complete(wait_result result) noexcept {
  RINGCAST_ASSERT(state_ == state::waiting);
  result_ = result;
  state_ = state::ready;
  static_cast<list_link<in_queue>&>(*this).unlink();
  static_cast<list_link<in_scheduler>&>(*this).unlink();
  scheduler_->timers_.cancel(deadline_);
  scheduler_->ready_.append(*this);
  ++scheduler_->ready_count_;
}

void waiter::complete_now() noexcept {
  RINGCAST_ASSERT(state_ == state::waiting);
  result_ = wait_result::done;
  task_root* const root = own_root();
  finish();
  scheduler_->resume(handle_, root);
}

wait_result waiter::finish() noexcept {
  if (state_ == state::idle) return result_;
  // From here on no stop request can begin; one that runs on another thread has ended when this returns. What it has
  // queued must be taken out before this object goes away. Taking may complete this very wait, and is then undone below
  // like any other.
  stop_callback_.reset();
  if (stop_end_.is_queued.load(std::memory_order_relaxed)) scheduler_->take_foreign_ends();
  scheduler_->timers_.cancel(deadline_);
  static_cast<list_link<in_queue>&>(*this).unlink();
  static_cast<list_link<in_task>&>(*this).unlink();
  auto& link = static_cast<list_link<in_scheduler>&>(*this);
  if (state_ == state::ready && link.linked()) --scheduler_->ready_count_;
  link.unlink();
  state_ = state::idle;
  return result_;
}

void waiter::on_timer(timer_node& node) noexcept { static_cast<deadline_node&>(node).owner->complete(wait_result::timed_out); }

void waiter::on_stop_request() noexcept {
  if (scheduler::current() != scheduler_) return scheduler_->queue_foreign_end(stop_end_);
  if (is_waiting()) complete(wait_result::stopped);
}

task_root* waiter::own_root() const noexcept { return static_cast<const list_link<in_task>&>(*this).linked() ? root_ : nullptr; }

void remote_waiter::end_from_any_thread() noexcept { scheduler_->queue_foreign_end(done_end_); }

wait_result remote_waiter::finish_remote() noexcept {
  if (done_end_.is_queued.load(std::memory_order_relaxed)) scheduler_->take_foreign_ends();
  return finish();
}

} // namespace ringcast::engine

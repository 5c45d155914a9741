#include <ringcast/run_on.hpp>

namespace ringcast::engine {

void remote_work::run() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (state_ != state::queued) return;
    state_ = state::running;
  }
  call(stop_.get_token());
  forget_work();
  end(state::done);
}

void remote_work::drop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (state_ != state::queued) return;
  }
  end(state::dropped);
}

void remote_work::end(state how) noexcept {
  const std::lock_guard lock(mutex_);
  state_ = how;
  if (waiting_ != nullptr) waiting_->end_from_any_thread();
}

bool remote_work::leave() noexcept {
  bool was_queued = false, was_running = false, is_done = false;
  {
    const std::lock_guard lock(mutex_);
    waiting_ = nullptr;
    was_queued = state_ == state::queued;
    was_running = state_ == state::running;
    is_done = state_ == state::done;
    if (was_queued) state_ = state::abandoned;
  }
  if (was_queued) forget_work();
  if (was_running) stop_.request_stop();
  return is_done;
}

} // namespace ringcast::engine

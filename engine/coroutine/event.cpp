#include <ringcast/event.hpp>

#include <mutex>

namespace ringcast {

namespace engine {

class event_state {
 public:
  void set() noexcept {
    const std::lock_guard lock(mutex_);
    is_set_ = true;
    while (!waiting_.empty()) {
      remote_waiter& next = waiting_.front();
      static_cast<list_link<in_source>&>(next).unlink();
      next.end_from_any_thread();
    }
  }
  void reset() noexcept {
    const std::lock_guard lock(mutex_);
    is_set_ = false;
  }
  [[nodiscard]] bool is_set() noexcept {
    const std::lock_guard lock(mutex_);
    return is_set_;
  }
  // False if it is set.
  template <class Wait> [[nodiscard]] bool wait_with(remote_waiter& who, Wait&& wait) {
    const std::lock_guard lock(mutex_);
    if (is_set_) return false;
    wait();
    waiting_.append(who);
    return true;
  }
  void forget(remote_waiter& who) noexcept {
    const std::lock_guard lock(mutex_);
    static_cast<list_link<in_source>&>(who).unlink();
  }

 private:
  std::mutex mutex_;
  bool is_set_ = false;
  remote_waiter_queue waiting_;
};

} // namespace engine

event::event() : state_(std::make_shared<engine::event_state>()) {}

void event::set() const noexcept { state_->set(); }
void event::reset() const noexcept { state_->reset(); }
bool event::is_set() const noexcept { return state_->is_set(); }

event::wait_awaiter::~wait_awaiter() {
  state_->forget(*this);
  (void)finish_remote();
}

// An event that is set is never timed out or stopped.
bool event::wait_awaiter::await_suspend(std::coroutine_handle<> handle) noexcept {
  if (state_->is_set()) return false;
  if (is_over(limits_, at_stop::ends)) {
    result_ = finish();
    return false;
  }
  waited_ = state_->wait_with(*this, [&] { wait(handle, limits_, at_stop::ends); });
  return waited_;
}

wait_result event::wait_awaiter::await_resume() noexcept {
  if (!waited_) return result_;
  state_->forget(*this);
  return finish_remote();
}

} // namespace ringcast

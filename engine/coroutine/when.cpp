#include <ringcast/when.hpp>

#include "engine/coroutine/scheduler.hpp"
#include <ringcast/detail/assert.hpp>

namespace ringcast::engine {

class child_group::wait_awaiter : waiter {
 public:
  using waiter::at_stop;

  wait_awaiter(child_group& group, goal what, wait_limits limits, at_stop when_stopped) noexcept
      : group_(group), goal_(what), limits_(std::move(limits)), at_stop_(when_stopped) {}
  ~wait_awaiter() { group_.waiting_ = nullptr; }

  bool await_ready() noexcept { return group_.reached(goal_) || is_over(limits_, at_stop_); }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    group_.waiting_ = this;
    wait(handle, limits_, at_stop_);
  }
  void await_resume() noexcept { (void)finish(); }

  void look() noexcept {
    if (is_waiting() && group_.reached(goal_)) complete(wait_result::done);
  }

 private:
  child_group& group_;
  goal goal_;
  wait_limits limits_;
  at_stop at_stop_;
};

child_group::~child_group() {
  for (const task_handle& child : children_) scheduler::destroy(child);
}

void child_group::start(task<void> child) {
  scheduler* const here = scheduler::current();
  RINGCAST_ASSERT(here != nullptr);
  ++running_;
  children_.push_back(here->start_child(std::move(child)));
}

void child_group::on_ended(std::size_t which, bool threw) noexcept {
  --running_;
  if (!first_) first_ = which;
  one_threw_ = one_threw_ || threw;
  if (waiting_ != nullptr) waiting_->look();
}

bool child_group::reached(goal what) const noexcept {
  if (running_ == 0) return true;
  switch (what) {
  case goal::first: return first_.has_value();
  case goal::failure_or_all: return one_threw_;
  case goal::all: break;
  }
  return false;
}

void child_group::cancel() noexcept {
  for (const task_handle& child : children_) child.cancel();
}

// Whatever ended the wait before this: nothing of the children may be left.
task<void> child_group::end() {
  if (running_ == 0) co_return;
  cancel();
  co_await wait_awaiter{*this, goal::all, {}, wait_awaiter::at_stop::waits_on};
}

task<void> child_group::all() {
  co_await wait_awaiter{*this, goal::failure_or_all, {}, wait_awaiter::at_stop::ends};
  co_await end();
}

task<std::size_t> child_group::any() {
  co_await wait_awaiter{*this, goal::first, {}, wait_awaiter::at_stop::ends};
  co_await end();
  co_return *first_;
}

task<bool> child_group::within(deadline limit) {
  co_await wait_awaiter{*this, goal::all, {.deadline = limit}, wait_awaiter::at_stop::ends};
  const bool timed_out = running_ > 0 && limit.has_passed();
  co_await end();
  co_return !timed_out;
}

} // namespace ringcast::engine

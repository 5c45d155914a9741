// A counting semaphore for the coroutines of one shard: at most so many at once.
//
// Waiters get permits in the order in which they came. The semaphore belongs to the shard that uses it first, which is
// asserted; a limit over all shards is a matter of `limits`, not of this. Nothing is allocated.
#pragma once

#include "engine/assert.hpp"
#include "engine/scheduler.hpp"
#include "engine/waiter.hpp"

#include <coroutine>
#include <cstddef>
#include <utility>

namespace ringcast {

class semaphore {
 public:
  // Holds one permit until it is destroyed. Move-only. Empty when the wait ended without one, which happens only with
  // limits, or when the semaphore was destroyed.
  class [[nodiscard]] permit {
   public:
    permit() noexcept = default;
    permit(permit&& other) noexcept : from_(std::exchange(other.from_, nullptr)), result_(other.result_) {}
    permit& operator=(permit&& other) noexcept {
      if (this != &other) {
        release();
        from_ = std::exchange(other.from_, nullptr);
        result_ = other.result_;
      }
      return *this;
    }
    ~permit() { release(); }

    [[nodiscard]] explicit operator bool() const noexcept { return from_ != nullptr; }
    // Why it is empty.
    [[nodiscard]] wait_result result() const noexcept { return result_; }
    // Gives it back before the end of the scope.
    void release() noexcept {
      if (semaphore* from = std::exchange(from_, nullptr)) from->give_back();
    }

   private:
    friend class semaphore;
    explicit permit(semaphore& from) noexcept : from_(&from), result_(wait_result::done) {}
    explicit permit(wait_result result) noexcept : result_(result) {}

    semaphore* from_ = nullptr;
    wait_result result_ = wait_result::stopped;
  };

  class [[nodiscard]] acquire_awaiter : waiter {
   public:
    acquire_awaiter(semaphore& from, wait_limits limits) noexcept : from_(from), limits_(std::move(limits)) {}
    // The frame may be destroyed between the hand-over and the resumption: the permit goes on to the next.
    ~acquire_awaiter() {
      if (was_given_but_not_taken()) from_.give_back();
    }

    bool await_ready() noexcept {
      if (!from_.take()) return is_over(limits_, at_stop::waits_on);
      return true;
    }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      from_.waiters_.append(*this);
      wait(handle, limits_, at_stop::waits_on);
    }
    permit await_resume() noexcept {
      const wait_result result = finish();
      return result == wait_result::done ? permit(from_) : permit(result);
    }

   private:
    semaphore& from_;
    wait_limits limits_;
  };

  explicit semaphore(std::size_t permits) noexcept : permits_(permits), available_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  // Coroutines that still wait are resumed with an empty permit. To destroy it while permits are out is a mistake.
  ~semaphore() {
    while (!waiters_.empty()) waiters_.front().complete(wait_result::stopped);
    RINGCAST_ASSERT(available_ == permits_);
  }

  // `auto seat = co_await s.scoped_acquire();` Does not suspend while permits are left. With limits, look at the
  // permit.
  [[nodiscard]] acquire_awaiter scoped_acquire(wait_limits limits = {}) noexcept { return {*this, std::move(limits)}; }

  // A permit if one is left, else an empty one. Never suspends.
  [[nodiscard]] permit try_acquire() noexcept { return take() ? permit(*this) : permit(wait_result::timed_out); }

  [[nodiscard]] std::size_t available() const noexcept { return available_; }

 private:
  bool take() noexcept {
    scheduler* const s = scheduler::current();
    if (owner_ == nullptr) owner_ = s;
    RINGCAST_ASSERT(s != nullptr && owner_ == s);
    if (available_ == 0) return false;
    --available_;
    return true;
  }
  void give_back() noexcept {
    if (waiters_.empty()) {
      ++available_;
    } else {
      waiters_.front().complete(wait_result::done); // the permit changes hands and is never available in between
    }
  }

  std::size_t permits_;
  std::size_t available_;
  scheduler* owner_ = nullptr;
  waiter_queue waiters_;
};

} // namespace ringcast

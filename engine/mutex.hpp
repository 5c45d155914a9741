// A lock for the coroutines of one shard: it protects what they share across a co_await.
//
// It is no lock between threads, and one shard's coroutines need none between two co_awaits. Waiters get it in the
// order in which they came: unlocking hands it to the first of them, nobody can come between. The mutex belongs to the
// shard that uses it first, which is asserted. Nothing is allocated.
#pragma once

#include "engine/assert.hpp"
#include "engine/scheduler.hpp"
#include "engine/waiter.hpp"

#include <coroutine>
#include <utility>

namespace ringcast {

class mutex {
 public:
  // Holds the lock until it is destroyed. Move-only. Empty when the wait ended without the lock, which happens only
  // with limits, or when the mutex was destroyed.
  class [[nodiscard]] guard {
   public:
    guard() noexcept = default;
    guard(guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)), result_(other.result_) {}
    guard& operator=(guard&& other) noexcept {
      if (this != &other) {
        unlock();
        mutex_ = std::exchange(other.mutex_, nullptr);
        result_ = other.result_;
      }
      return *this;
    }
    ~guard() { unlock(); }

    [[nodiscard]] explicit operator bool() const noexcept { return mutex_ != nullptr; }
    // Why it is empty.
    [[nodiscard]] wait_result result() const noexcept { return result_; }
    // Lets go before the end of the scope.
    void unlock() noexcept {
      if (mutex* held = std::exchange(mutex_, nullptr)) held->unlock();
    }

   private:
    friend class mutex;
    explicit guard(mutex& held) noexcept : mutex_(&held), result_(wait_result::done) {}
    explicit guard(wait_result result) noexcept : result_(result) {}

    mutex* mutex_ = nullptr;
    wait_result result_ = wait_result::stopped;
  };

  class [[nodiscard]] lock_awaiter : waiter {
   public:
    lock_awaiter(mutex& wanted, wait_limits limits) noexcept : mutex_(wanted), limits_(std::move(limits)) {}
    // The frame may be destroyed between the hand-over and the resumption: the lock goes on to the next.
    ~lock_awaiter() {
      if (was_given_but_not_taken()) mutex_.unlock();
    }

    bool await_ready() noexcept {
      if (!mutex_.take()) return is_over(limits_, at_stop::waits_on);
      return true;
    }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      mutex_.waiters_.append(*this);
      wait(handle, limits_, at_stop::waits_on);
    }
    guard await_resume() noexcept {
      const wait_result result = finish();
      return result == wait_result::done ? guard(mutex_) : guard(result);
    }

   private:
    mutex& mutex_;
    wait_limits limits_;
  };

  mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;
  // Coroutines that still wait are resumed with an empty guard. To destroy it while a guard holds it is a mistake.
  ~mutex() {
    while (!waiters_.empty()) waiters_.front().complete(wait_result::stopped);
    RINGCAST_ASSERT(!locked_);
  }

  // `auto guard = co_await m.scoped_lock();` Does not suspend when the mutex is free. With limits, look at the guard.
  [[nodiscard]] lock_awaiter scoped_lock(wait_limits limits = {}) noexcept { return {*this, std::move(limits)}; }

  // The lock if it is free, else an empty guard. Never suspends.
  [[nodiscard]] guard try_lock() noexcept { return take() ? guard(*this) : guard(wait_result::timed_out); }

  [[nodiscard]] bool is_locked() const noexcept { return locked_; }

 private:
  bool take() noexcept {
    scheduler* const s = scheduler::current();
    if (owner_ == nullptr) owner_ = s;
    RINGCAST_ASSERT(s != nullptr && owner_ == s);
    return !std::exchange(locked_, true);
  }
  void unlock() noexcept {
    if (waiters_.empty()) {
      locked_ = false;
    } else {
      waiters_.front().complete(wait_result::done); // it stays locked, for the next one
    }
  }

  bool locked_ = false;
  scheduler* owner_ = nullptr;
  waiter_queue waiters_;
};

} // namespace ringcast

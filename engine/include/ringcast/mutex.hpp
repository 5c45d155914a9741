// A lock for the coroutines of one shard: it protects what they share across a co_await.
//
// It is no lock between threads, and between two co_awaits the coroutines of a shard need none. It is a semaphore with
// one permit, and has its properties: waiters get it in the order in which they came, nobody can come between, nothing
// is allocated, and it may be destroyed while coroutines wait for it or hold it (their guards are then empty).
#pragma once

#include <ringcast/semaphore.hpp>

#include <utility>

namespace ringcast {

class mutex {
 public:
  // Holds the lock until it is destroyed. Move-only. Empty when the wait ended without the lock, which happens only
  // with limits, or when the mutex was destroyed.
  class [[nodiscard]] guard {
   public:
    guard() noexcept = default;

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(permit_); }
    // Why it is empty, or `done`.
    [[nodiscard]] wait_result result() const noexcept { return permit_.result(); }
    // Lets go before the end of the scope.
    void unlock() noexcept { permit_.release(); }

   private:
    friend class mutex;
    explicit guard(semaphore::permit permit) noexcept : permit_(std::move(permit)) {}

    semaphore::permit permit_;
  };

  class [[nodiscard]] lock_awaiter : public semaphore::acquire_awaiter {
   public:
    using acquire_awaiter::acquire_awaiter;
    guard await_resume() noexcept { return guard(acquire_awaiter::await_resume()); }
  };

  // `auto guard = co_await m.scoped_lock();` Does not suspend when the mutex is free. With limits, look at the guard.
  [[nodiscard]] lock_awaiter scoped_lock(wait_limits limits = {}) noexcept { return {one_, std::move(limits)}; }

  // The lock if it is free, else an empty guard. Never suspends.
  [[nodiscard]] guard try_lock() noexcept { return guard(one_.try_acquire()); }

  [[nodiscard]] bool is_locked() const noexcept { return one_.available() == 0; }

 private:
  semaphore one_{1};
};

} // namespace ringcast

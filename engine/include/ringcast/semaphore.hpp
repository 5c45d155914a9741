// A counting semaphore for the coroutines of one shard: at most so many at once.
//
// Waiters get permits in the order in which they came: a permit that is given back goes to the first of them and is
// never available in between. The semaphore belongs to the shard that uses it first, which is asserted; a limit over
// all shards is a matter of `limits`, not of this. Nothing is allocated.
//
// It may be destroyed at any time: coroutines that wait are resumed with an empty permit, and permits that are out
// become empty.
#pragma once

#include <ringcast/detail/assert.hpp>
#include <ringcast/detail/intrusive_list.hpp>
#include <ringcast/detail/waiter.hpp>

#include <coroutine>
#include <cstddef>
#include <utility>

namespace ringcast {

namespace engine {
struct in_holders;
}

class semaphore {
 public:
  // Holds one permit until it is destroyed. Move-only. Empty when the wait ended without one, which happens only with
  // limits, or when the semaphore was destroyed.
  class [[nodiscard]] permit : engine::list_link<engine::in_holders> {
   public:
    permit() noexcept = default;
    permit(permit&& other) noexcept { take_over(other); }
    permit& operator=(permit&& other) noexcept {
      if (this == &other) return *this;
      release();
      take_over(other);
      return *this;
    }
    ~permit() { release(); }

    [[nodiscard]] explicit operator bool() const noexcept { return from_ != nullptr; }
    // Why it is empty, or `done`.
    [[nodiscard]] wait_result result() const noexcept { return result_; }
    // Gives it back before the end of the scope.
    void release() noexcept {
      if (semaphore* from = let_go()) from->give_back();
    }

   private:
    friend class semaphore;
    template <class, class> friend class engine::intrusive_list;

    explicit permit(semaphore& from) noexcept { hold(from); }
    explicit permit(wait_result result) noexcept : result_(result) {}

    void hold(semaphore& from) noexcept {
      from_ = &from;
      result_ = wait_result::done;
      from.holders_.append(*this);
    }
    semaphore* let_go() noexcept {
      unlink();
      return std::exchange(from_, nullptr);
    }
    void take_over(permit& other) noexcept {
      result_ = other.result_;
      if (semaphore* from = other.let_go()) hold(*from);
    }

    semaphore* from_ = nullptr;
    wait_result result_ = wait_result::stopped;
  };

  class [[nodiscard]] acquire_awaiter : engine::waiter {
   public:
    acquire_awaiter(semaphore& from, wait_limits limits) noexcept : from_(from), limits_(std::move(limits)) {}

    bool await_ready() noexcept {
      permit_ = from_.try_acquire();
      return permit_ || is_over(limits_, at_stop::waits_on);
    }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      from_.waiters_.append(*this);
      wait(handle, limits_, at_stop::waits_on);
    }
    permit await_resume() noexcept {
      const wait_result result = finish();
      if (permit_) return std::move(permit_);
      // Without a permit and yet done: the semaphore was destroyed after it had handed one over.
      return permit(result == wait_result::done ? wait_result::stopped : result);
    }

   private:
    friend class semaphore;

    semaphore& from_;
    wait_limits limits_;
    permit permit_; // filled at the hand-over: should the frame be destroyed before it is resumed, it goes on to the next
  };

  explicit semaphore(std::size_t permits) noexcept : available_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  ~semaphore() {
    while (!waiters_.empty()) waiters_.front().complete(wait_result::stopped);
    while (!holders_.empty()) (void)holders_.front().let_go();
  }

  // `auto seat = co_await s.scoped_acquire();` Does not suspend while permits are left. With limits, look at the
  // permit.
  [[nodiscard]] acquire_awaiter scoped_acquire(wait_limits limits = {}) noexcept { return {*this, std::move(limits)}; }

  // A permit if one is left, else an empty one. Never suspends.
  [[nodiscard]] permit try_acquire() noexcept {
    engine::scheduler* const s = engine::current_scheduler();
    if (owner_ == nullptr) owner_ = s;
    RINGCAST_ASSERT(s != nullptr && owner_ == s);
    if (available_ == 0) return permit(wait_result::timed_out);
    --available_;
    return permit(*this);
  }

  [[nodiscard]] std::size_t available() const noexcept { return available_; }

 private:
  void give_back() noexcept {
    if (waiters_.empty()) {
      ++available_;
      return;
    }
    auto& next = static_cast<acquire_awaiter&>(waiters_.front());
    next.permit_.hold(*this);
    next.complete(wait_result::done);
  }

  std::size_t available_;
  engine::scheduler* owner_ = nullptr;
  engine::waiter_queue waiters_;
  engine::intrusive_list<permit, engine::in_holders> holders_;
};

} // namespace ringcast

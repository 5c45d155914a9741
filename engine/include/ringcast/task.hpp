// task<T>: a coroutine of a shard that starts when it is awaited and gives its T, or its exception, to who awaits it.
//
// It runs on the thread that awaits it. Control passes between a task and its awaiter by symmetric transfer, so a loop
// that awaits a million tasks which complete at once needs no more stack than one. To start a task that nobody awaits,
// give it to spawn() (spawn.hpp).
#pragma once

#include <ringcast/detail/assert.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>

namespace ringcast {

template <class T> class task;

// The part of a task's promise that does not depend on T.
class task_promise_base {
 public:
  // The frames of all tasks come from here, and this is the one place to count or to pool them.
  static void* operator new(std::size_t bytes) { return ::operator new(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { ::operator delete(frame, bytes); }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise> std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      return self.promise().continuation_;
    }
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() const noexcept { return {}; }

 protected:
  template <class> friend class task;

  std::coroutine_handle<> continuation_ = std::noop_coroutine();
};

template <class T> class task_promise : public task_promise_base {
 public:
  task<T> get_return_object() noexcept;
  void unhandled_exception() noexcept { result_.template emplace<2>(std::current_exception()); }

  template <class U>
    requires std::is_constructible_v<T, U>
  void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U>) {
    result_.template emplace<1>(std::forward<U>(value));
  }

  T take() {
    if (result_.index() == 2) std::rethrow_exception(std::get<2>(std::move(result_)));
    return std::get<1>(std::move(result_));
  }

 private:
  std::variant<std::monostate, T, std::exception_ptr> result_;
};

template <> class task_promise<void> : public task_promise_base {
 public:
  task<void> get_return_object() noexcept;
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }
  void return_void() const noexcept {}

  void take() {
    if (exception_) std::rethrow_exception(std::move(exception_));
  }

 private:
  std::exception_ptr exception_;
};

// Move-only. It owns the coroutine's frame: a task that is destroyed before its end destroys, in the usual order, what
// its coroutine holds.
template <class T = void> class [[nodiscard]] task {
  static_assert(!std::is_reference_v<T>, "return a pointer or a std::reference_wrapper");

 public:
  using promise_type = task_promise<T>;

  // Empty: it must not be awaited.
  task() noexcept = default;
  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~task() {
    if (frame_) frame_.destroy();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(frame_); }

  // co_await std::move(t): starts the task, suspends until it ends, then returns its value or throws its exception.
  // A task can be awaited once.
  auto operator co_await() && noexcept {
    struct awaiter {
      std::coroutine_handle<promise_type> frame;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
        frame.promise().continuation_ = awaiting;
        return frame;
      }
      T await_resume() const { return frame.promise().take(); }
    };
    RINGCAST_ASSERT(frame_ && !frame_.done());
    return awaiter{frame_};
  }

 private:
  friend promise_type;
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

template <class T> task<T> task_promise<T>::get_return_object() noexcept { return task<T>(std::coroutine_handle<task_promise>::from_promise(*this)); }

inline task<void> task_promise<void>::get_return_object() noexcept { return task<void>(std::coroutine_handle<task_promise>::from_promise(*this)); }

} // namespace ringcast

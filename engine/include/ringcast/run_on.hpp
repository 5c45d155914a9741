// Work off the shard, in a coroutine:
//
//   const auto row = co_await run_on(pool, [id] { return database.load(id); }); // the shard serves others meanwhile
//   if (!row) ...                                                               // refused, timed_out or stopped
//
// The work runs on a thread of the pool; its result, or what it throws, comes back, and the coroutine goes on on its own shard. The coroutine may
// end earlier than the work (a deadline, a stop, the end of its shard), so the work must own what it uses: captures by value, never by
// reference. Work that takes a std::stop_token is told by it that nobody waits any more; work that has not begun by then is not run at all.
#pragma once

#include <ringcast/detail/waiter.hpp>
#include <ringcast/thread_pool.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <variant>

namespace ringcast {

// Why there is no result.
enum class work_end : std::uint8_t {
  refused,   // it was not run: the pool is full or ends, or the executor has let go of it
  timed_out, // the deadline passed; the work may still run
  stopped,   // the stop token was used, the task was cancelled, or the server stops; the work may still run
};

namespace engine {

// A piece of work between the coroutine that waits for it and the thread that runs it; both hold it.
class remote_work {
 public:
  virtual ~remote_work() = default;

  // --- the thread ---
  void run() noexcept;
  // Nobody will run it any more.
  void drop() noexcept;

  // --- the coroutine ---
  // False if it is over already.
  template <class Wait> [[nodiscard]] bool wait_with(remote_waiter& who, Wait&& wait) {
    const std::lock_guard lock(mutex_);
    if (state_ == state::done || state_ == state::dropped) return false;
    waiting_ = &who;
    wait();
    return true;
  }
  // Whatever happens to the work from now on concerns nobody. Whether it was done.
  bool leave() noexcept;

 protected:
  remote_work() = default;
  virtual void call(const std::stop_token& stop) noexcept = 0;
  virtual void forget_work() noexcept = 0; // it is destroyed where it was run, or where it was given up

 private:
  enum class state : std::uint8_t { queued, running, done, dropped, abandoned };

  void end(state how) noexcept;

  std::mutex mutex_;
  state state_ = state::queued;
  remote_waiter* waiting_ = nullptr;
  std::stop_source stop_;
};

template <class Work>
using work_result =
    typename std::conditional_t<std::invocable<Work&, std::stop_token>, std::invoke_result<Work&, std::stop_token>, std::invoke_result<Work&>>::type;

template <class Work, class Result> class remote_call final : public remote_work {
 public:
  explicit remote_call(Work work) : work_(std::move(work)) {}

  // After leave() was true.
  Result take() {
    if (result_.index() == 2) std::rethrow_exception(std::get<2>(result_));
    if constexpr (!std::is_void_v<Result>) return std::move(std::get<1>(result_));
  }

 private:
  using kept = std::conditional_t<std::is_void_v<Result>, std::monostate, Result>;

  decltype(auto) invoke(const std::stop_token& stop) {
    if constexpr (std::invocable<Work&, std::stop_token>)
      return std::invoke(*work_, stop);
    else
      return std::invoke(*work_);
  }
  void call(const std::stop_token& stop) noexcept override {
    try {
      if constexpr (std::is_void_v<Result>) {
        invoke(stop);
        result_.template emplace<1>();
      } else {
        result_.template emplace<1>(invoke(stop));
      }
    } catch (...) {
      result_.template emplace<2>(std::current_exception());
    }
  }
  void forget_work() noexcept override { work_.reset(); }

  std::optional<Work> work_;
  std::variant<std::monostate, kept, std::exception_ptr> result_;
};

// What an executor is given. Its copies are one; when the last of them goes without a call, the work is dropped.
class work_ticket {
 public:
  explicit work_ticket(std::shared_ptr<remote_work> work) : held_(std::make_shared<holder>(std::move(work))) {}
  void operator()() const { held_->work->run(); }

 private:
  struct holder {
    explicit holder(std::shared_ptr<remote_work> held) : work(std::move(held)) {}
    holder(const holder&) = delete;
    holder& operator=(const holder&) = delete;
    ~holder() { work->drop(); }

    std::shared_ptr<remote_work> work;
  };
  std::shared_ptr<holder> held_;
};

} // namespace engine

template <class Work> class [[nodiscard]] run_on_awaiter : engine::remote_waiter {
 public:
  using result = engine::work_result<Work>;
  static_assert(!std::is_reference_v<result>, "return a value: what a reference leads to belongs to another thread");

  run_on_awaiter(std::function<bool(std::function<void()>)> submit, Work work, wait_limits limits)
      : submit_(std::move(submit)), work_(std::make_shared<engine::remote_call<Work, result>>(std::move(work))), limits_(std::move(limits)) {}
  run_on_awaiter(const run_on_awaiter&) = delete;
  run_on_awaiter& operator=(const run_on_awaiter&) = delete;
  ~run_on_awaiter() { (void)end_wait(); }

  bool await_ready() noexcept { return is_over(limits_, at_stop::ends); }
  bool await_suspend(std::coroutine_handle<> handle) {
    // Handed over first: an executor may run it at once, here, or throw.
    if (!submit_(engine::work_ticket{work_})) return false;
    return work_->wait_with(*this, [&] { wait(handle, limits_, at_stop::ends); });
  }
  std::expected<result, work_end> await_resume() {
    const bool done = end_wait();
    if (done) {
      if constexpr (!std::is_void_v<result>) return work_->take();
      work_->take();
      return {};
    }
    switch (result_) {
    case wait_result::timed_out: return std::unexpected(work_end::timed_out);
    case wait_result::stopped: return std::unexpected(work_end::stopped);
    case wait_result::done: break;
    }
    return std::unexpected(work_end::refused);
  }

 private:
  bool end_wait() noexcept {
    const bool done = work_->leave();
    result_ = finish_remote();
    return done;
  }

  std::function<bool(std::function<void()>)> submit_;
  std::shared_ptr<engine::remote_call<Work, result>> work_;
  wait_limits limits_;
  wait_result result_ = wait_result::done;
};

// On a shard's thread: std::expected<what the work returns, work_end>; what the work throws is thrown here. The pool outlives the call.
template <class Work> [[nodiscard]] run_on_awaiter<Work> run_on(thread_pool& pool, Work work, wait_limits limits = {}) {
  return {[&pool](std::function<void()> job) { return pool.submit(std::move(job)); }, std::move(work), std::move(limits)};
}

// The same on the program's own executor, which outlives the call: a callable that is given a std::function<void()> and has it called on some
// thread, once. If it returns a bool, false refuses the work; what it throws is thrown here, too.
template <class Executor, class Work>
  requires std::invocable<Executor&, std::function<void()>>
[[nodiscard]] run_on_awaiter<Work> run_on(Executor& executor, Work work, wait_limits limits = {}) {
  return {[&executor](std::function<void()> job) {
            if constexpr (std::convertible_to<std::invoke_result_t<Executor&, std::function<void()>>, bool>) {
              return static_cast<bool>(std::invoke(executor, std::move(job)));
            } else {
              std::invoke(executor, std::move(job));
              return true;
            }
          },
          std::move(work), std::move(limits)};
}

} // namespace ringcast

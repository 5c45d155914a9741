// A bounded queue between coroutines of any shards and other threads, in both directions:
//
//   channel<job> jobs{64};
//   co_await jobs.send(std::move(next));                // a coroutine waits while it is full
//   while (auto j = jobs.blocking_receive()) work(*j);  // a thread waits while it is empty
//
// A value: copies are the same channel, which lives as long as one of them. Each value is received once. Values of one sender come in the order in
// which they were sent, and who waits is served in the order in which it came. Every coroutine goes on on its own shard. close() ends it: what is
// in it is still received. Senders take turns with a mutex: it is a way between threads, not a hot path.
#pragma once

#include <ringcast/detail/waiter.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace ringcast {

// How a wait at a channel ended without what was waited for.
enum class channel_end : std::uint8_t {
  closed,    // final: and what was in it has been received
  timed_out, // the deadline passed; nothing was sent or received
  stopped,   // the stop token was used, the task was cancelled, or the server stops; nothing was sent or received
};

namespace engine {

// A coroutine that waits at a channel with its value, or for one. The slot belongs to the channel's lock.
template <class T> class channel_waiter : public remote_waiter {
 protected:
  template <class> friend class channel_state;

  std::optional<T> slot_; // what is to be sent, until it is taken; or what was received
  bool is_served_ = false;
};

template <class T> class channel_state {
 public:
  using waiter_type = channel_waiter<T>;

  explicit channel_state(std::size_t capacity) noexcept : capacity_(capacity) {}

  enum class outcome : std::uint8_t { done, must_wait, closed };

  // Takes the value unless it must wait.
  outcome try_send(std::optional<T>& value) {
    const std::lock_guard lock(mutex_);
    return send_locked(value);
  }
  outcome try_receive(std::optional<T>& value) {
    const std::lock_guard lock(mutex_);
    return receive_locked(value);
  }

  // As the two above; where it must wait the coroutine is suspended by wait() and served later.
  template <class Wait> outcome send_or_wait(waiter_type& who, Wait&& wait) {
    const std::lock_guard lock(mutex_);
    const outcome now = send_locked(who.slot_);
    if (now == outcome::must_wait) wait(), senders_.append(who);
    return now;
  }
  template <class Wait> outcome receive_or_wait(waiter_type& who, Wait&& wait) {
    const std::lock_guard lock(mutex_);
    const outcome now = receive_locked(who.slot_);
    if (now == outcome::must_wait) wait(), receivers_.append(who);
    return now;
  }

  outcome blocking_send(std::optional<T>& value, const wait_limits& limits) {
    return blocking([&] { return send_locked(value); }, limits);
  }
  outcome blocking_receive(std::optional<T>& value, const wait_limits& limits) {
    return blocking([&] { return receive_locked(value); }, limits);
  }

  // It does not wait any more. Whether it was served.
  bool forget(waiter_type& who) noexcept {
    const std::lock_guard lock(mutex_);
    static_cast<list_link<in_source>&>(who).unlink();
    return who.is_served_;
  }
  // What was received for a coroutine that has gone is the next one's: it stands in front of all others.
  void give_back(T&& value) {
    const std::lock_guard lock(mutex_);
    if (!receivers_.empty()) return serve(receivers_, [&](waiter_type& next) { next.slot_.emplace(std::move(value)); });
    values_.push_front(std::move(value));
    changed_.notify_all();
  }

  void close() noexcept {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    // Receivers only wait where nothing is left.
    while (!receivers_.empty()) end_front(receivers_);
    while (!senders_.empty()) end_front(senders_);
    changed_.notify_all();
  }
  [[nodiscard]] bool is_closed() noexcept {
    const std::lock_guard lock(mutex_);
    return is_closed_;
  }
  [[nodiscard]] std::size_t size() noexcept {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }

 private:
  outcome send_locked(std::optional<T>& value) {
    if (is_closed_) return outcome::closed;
    if (!receivers_.empty()) {
      serve(receivers_, [&](waiter_type& next) { next.slot_ = std::move(value); });
    } else {
      // One that waits is served first, so that nobody comes between.
      if (values_.size() >= capacity_ || !senders_.empty()) return outcome::must_wait;
      values_.push_back(std::move(*value));
      changed_.notify_all();
    }
    value.reset();
    return outcome::done;
  }

  outcome receive_locked(std::optional<T>& value) {
    if (values_.empty()) return is_closed_ ? outcome::closed : outcome::must_wait;
    value.emplace(std::move(values_.front()));
    values_.pop_front();
    while (!senders_.empty() && values_.size() < capacity_)
      serve(senders_, [&](waiter_type& next) { values_.push_back(std::move(*std::exchange(next.slot_, std::nullopt))); });
    changed_.notify_all();
    return outcome::done;
  }

  template <class Exchange> void serve(remote_waiter_queue& queue, Exchange&& exchange) {
    auto& next = static_cast<waiter_type&>(queue.front());
    exchange(next);
    next.is_served_ = true;
    end_front(queue);
  }
  static void end_front(remote_waiter_queue& queue) noexcept {
    remote_waiter& next = queue.front();
    static_cast<list_link<in_source>&>(next).unlink();
    next.end_from_any_thread();
  }

  // By steps, because a stop token has no condition variable and a deadline is one of another clock.
  template <class Try> outcome blocking(Try&& attempt, const wait_limits& limits) {
    constexpr std::chrono::milliseconds step{20};
    std::unique_lock lock(mutex_);
    while (true) {
      const outcome now = attempt();
      if (now != outcome::must_wait || limits.deadline.has_passed() || limits.stop.stop_requested()) return now;
      if (limits.deadline.is_never() && !limits.stop.stop_possible())
        changed_.wait(lock);
      else
        changed_.wait_for(lock, step);
    }
  }

  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_; // for threads: values or room
  std::deque<T> values_;            // at most capacity_, and what was given back
  bool is_closed_ = false;
  remote_waiter_queue receivers_, senders_;
};

} // namespace engine

template <class T> class channel {
  using state = engine::channel_state<T>;
  using outcome = typename state::outcome;

 public:
  // So many values wait at most; at least one.
  explicit channel(std::size_t capacity) : state_(std::make_shared<state>(std::max<std::size_t>(capacity, 1))) {}

  class [[nodiscard]] send_awaiter : engine::channel_waiter<T> {
   public:
    send_awaiter(std::shared_ptr<state> to, T value, wait_limits limits) : state_(std::move(to)), limits_(std::move(limits)) {
      this->slot_.emplace(std::move(value));
    }
    ~send_awaiter() {
      (void)state_->forget(*this);
      (void)this->finish_remote();
    }
    bool await_ready() noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      over_ = this->is_over(limits_, engine::waiter::at_stop::ends);
      outcome_ =
          over_ ? state_->try_send(this->slot_) : state_->send_or_wait(*this, [&] { this->wait(handle, limits_, engine::waiter::at_stop::ends); });
      return outcome_ == outcome::must_wait && !over_;
    }
    std::expected<void, channel_end> await_resume() noexcept {
      const bool served = state_->forget(*this);
      const wait_result how = this->finish_remote();
      if (outcome_ == outcome::done || served) return {};
      return std::unexpected(end_of(outcome_, how));
    }

   private:
    std::shared_ptr<state> state_;
    wait_limits limits_;
    outcome outcome_ = outcome::must_wait;
    bool over_ = false;
  };

  class [[nodiscard]] receive_awaiter : engine::channel_waiter<T> {
   public:
    receive_awaiter(std::shared_ptr<state> from, wait_limits limits) : state_(std::move(from)), limits_(std::move(limits)) {}
    ~receive_awaiter() {
      const bool served = state_->forget(*this);
      (void)this->finish_remote();
      if (served && this->slot_) state_->give_back(std::move(*this->slot_));
    }
    bool await_ready() noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      over_ = this->is_over(limits_, engine::waiter::at_stop::ends);
      outcome_ = over_ ? state_->try_receive(this->slot_)
                       : state_->receive_or_wait(*this, [&] { this->wait(handle, limits_, engine::waiter::at_stop::ends); });
      return outcome_ == outcome::must_wait && !over_;
    }
    std::expected<T, channel_end> await_resume() {
      (void)state_->forget(*this);
      const wait_result how = this->finish_remote();
      if (this->slot_) return std::move(*std::exchange(this->slot_, std::nullopt));
      return std::unexpected(end_of(outcome_, how));
    }

   private:
    std::shared_ptr<state> state_;
    wait_limits limits_;
    outcome outcome_ = outcome::must_wait;
    bool over_ = false;
  };

  // --- on a shard's thread ---
  [[nodiscard]] send_awaiter send(T value, wait_limits limits = {}) const { return {state_, std::move(value), std::move(limits)}; }
  [[nodiscard]] receive_awaiter receive(wait_limits limits = {}) const { return {state_, std::move(limits)}; }

  // --- any thread ---
  // False: it is full or closed, and the value is gone.
  [[nodiscard]] bool try_send(T value) const {
    std::optional<T> kept{std::move(value)};
    return state_->try_send(kept) == outcome::done;
  }
  [[nodiscard]] std::optional<T> try_receive() const {
    std::optional<T> value;
    (void)state_->try_receive(value);
    return value;
  }
  // What is in it is still received, and whoever waits is told `closed`. Any number of times.
  void close() const noexcept { state_->close(); }
  [[nodiscard]] bool is_closed() const noexcept { return state_->is_closed(); }
  [[nodiscard]] std::size_t size() const noexcept { return state_->size(); }

  // --- threads that are no shard: these wait ---
  // With limits they end within 20 ms of a stop or a deadline.
  [[nodiscard]] std::expected<void, channel_end> blocking_send(T value, const wait_limits& limits = {}) const {
    std::optional<T> kept{std::move(value)};
    const outcome now = state_->blocking_send(kept, limits);
    if (now == outcome::done) return {};
    return std::unexpected(end_of(now, limits.stop.stop_requested() ? wait_result::stopped : wait_result::timed_out));
  }
  [[nodiscard]] std::expected<T, channel_end> blocking_receive(const wait_limits& limits = {}) const {
    std::optional<T> value;
    const outcome now = state_->blocking_receive(value, limits);
    if (value) return std::move(*value);
    return std::unexpected(end_of(now, limits.stop.stop_requested() ? wait_result::stopped : wait_result::timed_out));
  }

 private:
  static channel_end end_of(outcome now, wait_result how) noexcept {
    if (now == outcome::closed) return channel_end::closed;
    switch (how) {
    case wait_result::timed_out: return channel_end::timed_out;
    case wait_result::stopped: return channel_end::stopped;
    case wait_result::done: break;
    }
    return channel_end::closed; // it waited, was not served, and nothing else ended it
  }

  std::shared_ptr<state> state_;
};

} // namespace ringcast

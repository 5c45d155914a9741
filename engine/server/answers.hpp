// How a question to a server's shards is answered: to a coroutine that waits, and to a future on another thread.
#pragma once

#include "engine/connection/handle_access.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/room/records.hpp"
#include "engine/room/room_home.hpp"
#include "engine/shard/shard.hpp"
#include <ringcast/detail/assert.hpp>
#include <ringcast/detail/waiter.hpp>
#include <ringcast/server.hpp>

#include <coroutine>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace ringcast::engine {

// An answer that comes to the asking shard, in a later turn, perhaps after the asking coroutine has gone. While the server stops nobody waits
// for one: the home of the room may have ended.
template <class T> class answer_awaiter : waiter {
 public:
  struct state {
    std::optional<T> value;
    answer_awaiter* waiting = nullptr;
    void set(const T& answer) {
      value = answer;
      if (waiting != nullptr && waiting->is_waiting()) waiting->complete(wait_result::done);
    }
  };
  answer_awaiter() : state_(std::make_shared<state>()) {}
  ~answer_awaiter() { state_->waiting = nullptr; }
  [[nodiscard]] const std::shared_ptr<state>& target() const { return state_; }

  bool await_ready() noexcept { return state_->value.has_value() || is_over({}, at_stop::ends); }
  void await_suspend(std::coroutine_handle<> handle) {
    state_->waiting = this;
    wait(handle, {}, at_stop::ends);
  }
  T await_resume() {
    (void)finish();
    return state_->value.value_or(T{});
  }

 private:
  std::shared_ptr<state> state_;
};

inline shard& asking_shard() {
  RINGCAST_ASSERT(shard::current() != nullptr); // coroutines run on shards
  return *shard::current();
}

template <class Answer> std::future<Answer> at_once(Answer answer) {
  std::promise<Answer> promise;
  promise.set_value(std::move(answer));
  return promise.get_future();
}

// A question from any thread: `ask` runs on that shard and keeps the promise. If it was on its way there when the server ended, the promise is
// broken.
template <class Answer>
std::future<Answer> ask_shard(server& of, std::uint32_t index, std::function<void(shard&, std::shared_ptr<std::promise<Answer>>)> ask) {
  auto promise = std::make_shared<std::promise<Answer>>();
  const auto refuse = [&promise](const char* why) { promise->set_exception(std::make_exception_ptr(std::runtime_error(why))); };
  if (!handle_access::was_started(of)) {
    refuse("the server has not been started");
    return promise->get_future();
  }
  auto boxed = std::make_unique<std::function<void(shard&)>>([promise, ask = std::move(ask)](shard& there) { ask(there, promise); });
  const run_message message{boxed.get()};
  switch (handle_access::inbox_of(of, index).push(static_cast<std::uint32_t>(record_kind::run), bytes_of(message))) {
  case inbox_result::queued: (void)boxed.release(); break;
  case inbox_result::full: refuse("the way to the shard is full"); break;
  case inbox_result::closed:
  case inbox_result::too_large: refuse("the server has ended"); break;
  }
  return promise->get_future();
}

} // namespace ringcast::engine

// Several tasks at once, and a task with a limit, in one coroutine:
//
//   auto [row, image] = co_await when_all(load_row(id), load_image(id));
//   auto first = co_await when_any(ask(one), ask(other));       // std::variant: index() says who was first
//   auto page = co_await with_timeout(2s, load_page(url));      // std::expected: wait_result::timed_out
//
// The tasks run on the coroutine's own shard. None of them outlives the call: those whose result is not wanted any more are cancelled
// (task_handle::cancel) and waited for, so they may refer to what stands around the call. When the coroutine is cancelled, or the server stops,
// so are they. What a task throws is thrown here.
#pragma once

#include <ringcast/spawn.hpp>
#include <ringcast/task.hpp>
#include <ringcast/wait.hpp>

#include <cstddef>
#include <exception>
#include <expected>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace ringcast {

namespace engine {

// The tasks that one coroutine waits for. It stands in that coroutine's frame; where the frame is destroyed, so are they.
class child_group {
 public:
  child_group() noexcept = default;
  child_group(const child_group&) = delete;
  child_group& operator=(const child_group&) = delete;
  ~child_group();

  // Runs it until it waits for the first time. It says on_ended() as the last thing it does.
  void start(task<void> child);
  void on_ended(std::size_t which, bool threw) noexcept;

  // Until all have ended; one that throws has the others cancelled.
  task<void> all();
  // Until one has ended, and then, with the others cancelled, until all have. The first of them.
  task<std::size_t> any();
  // Until all have ended, or this long; then with all cancelled. Whether the time was enough.
  task<bool> within(deadline limit);

 private:
  enum class goal : std::uint8_t { first, all, failure_or_all };
  class wait_awaiter;

  [[nodiscard]] bool reached(goal what) const noexcept;
  void cancel() noexcept;
  task<void> end();

  std::vector<task_handle> children_;
  std::size_t running_ = 0;
  std::optional<std::size_t> first_;
  bool one_threw_ = false;
  wait_awaiter* waiting_ = nullptr;
};

template <class T> using value_of = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T> struct outcome {
  std::optional<value_of<T>> value;
  std::exception_ptr thrown;

  value_of<T> take() {
    if (thrown) std::rethrow_exception(std::exchange(thrown, nullptr));
    return std::move(*value);
  }
};

template <class T> task<void> run_child(task<T> work, outcome<T>& out, child_group& group, std::size_t which) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
      out.value.emplace();
    } else {
      out.value.emplace(co_await std::move(work));
    }
  } catch (...) {
    out.thrown = std::current_exception();
  }
  group.on_ended(which, out.thrown != nullptr);
}

template <class... T, std::size_t... I>
void start_children(child_group& group, std::tuple<outcome<T>...>& outcomes, std::tuple<task<T>...>& work, std::index_sequence<I...>) {
  (group.start(run_child<T>(std::move(std::get<I>(work)), std::get<I>(outcomes), group, I)), ...);
}

// Where more than one has thrown it is the first in the order of the call.
template <class... T> void rethrow_first(std::tuple<outcome<T>...>& outcomes) {
  std::apply([](auto&... each) { ((each.thrown ? std::rethrow_exception(each.thrown) : void()), ...); }, outcomes);
}

template <class... T, std::size_t... I>
std::variant<value_of<T>...> take_one(std::tuple<outcome<T>...>& outcomes, std::size_t which, std::index_sequence<I...>) {
  std::optional<std::variant<value_of<T>...>> taken;
  ((I == which ? (void)taken.emplace(std::in_place_index<I>, std::get<I>(outcomes).take()) : void()), ...);
  return std::move(*taken);
}

} // namespace engine

// All results, in the order of the call; std::monostate for void. If one throws, the others are cancelled, and it is thrown when all have ended.
template <class... T> task<std::tuple<engine::value_of<T>...>> when_all(task<T>... work) {
  std::tuple<engine::outcome<T>...> outcomes;
  std::tuple<task<T>...> tasks{std::move(work)...};
  engine::child_group group;
  engine::start_children<T...>(group, outcomes, tasks, std::index_sequence_for<T...>{});
  co_await group.all();
  engine::rethrow_first(outcomes);
  co_return std::apply([](auto&... each) { return std::tuple<engine::value_of<T>...>{each.take()...}; }, outcomes);
}

template <class T> task<std::vector<engine::value_of<T>>> when_all(std::vector<task<T>> work) {
  std::vector<engine::outcome<T>> outcomes(work.size());
  engine::child_group group;
  for (std::size_t i = 0; i < work.size(); ++i) group.start(engine::run_child<T>(std::move(work[i]), outcomes[i], group, i));
  co_await group.all();
  for (const auto& each : outcomes)
    if (each.thrown) std::rethrow_exception(each.thrown);
  std::vector<engine::value_of<T>> values;
  values.reserve(outcomes.size());
  for (auto& each : outcomes) values.push_back(each.take());
  co_return values;
}

// The result of the one that ended first, at its index; what it threw is thrown. What the others return or throw is dropped.
template <class... T>
  requires(sizeof...(T) > 0)
task<std::variant<engine::value_of<T>...>> when_any(task<T>... work) {
  std::tuple<engine::outcome<T>...> outcomes;
  std::tuple<task<T>...> tasks{std::move(work)...};
  engine::child_group group;
  engine::start_children<T...>(group, outcomes, tasks, std::index_sequence_for<T...>{});
  const std::size_t first = co_await group.any();
  co_return engine::take_one<T...>(outcomes, first, std::index_sequence_for<T...>{});
}

// Its result, or timed_out: then it was cancelled, and what it returned or threw behind that is dropped.
template <class T> task<std::expected<T, wait_result>> with_timeout(deadline limit, task<T> work) {
  engine::outcome<T> outcome;
  engine::child_group group;
  group.start(engine::run_child<T>(std::move(work), outcome, group, 0));
  const bool in_time = co_await group.within(limit);
  if (!in_time) co_return std::unexpected(wait_result::timed_out);
  if constexpr (std::is_void_v<T>) {
    outcome.take();
    co_return std::expected<void, wait_result>{};
  } else {
    co_return outcome.take();
  }
}

} // namespace ringcast

// What the timers of a shard cost with few and with many armed: the wheel promises that it makes no difference.
#include "engine/base/timer_wheel.hpp"
#include "bench/micro/proto_cases.hpp"

#include <benchmark/benchmark.h>
#include <cstdint>
#include <random>
#include <vector>

namespace ringcast {

using namespace engine;
namespace {

constexpr std::uint64_t idle_timeout_ms = 60'000;

/// `count` timers, spread over the next minute as those of idle connections are.
std::vector<timer_node> armed(timer_wheel& wheel, std::int64_t count) {
  std::vector<timer_node> nodes(static_cast<std::size_t>(count));
  std::mt19937 random(1);
  for (timer_node& node : nodes) wheel.arm(node, 1 + random() % idle_timeout_ms);
  return nodes;
}

void cancel_all(timer_wheel& wheel, std::vector<timer_node>& nodes) {
  for (timer_node& node : nodes) wheel.cancel(node);
}

// What each message does to the idle timer of its connection.
void move_a_timer(benchmark::State& state) {
  timer_wheel wheel(0);
  auto nodes = armed(wheel, state.range(0));
  std::size_t at = 0;
  std::uint64_t deadline_ms = idle_timeout_ms;
  for (auto _ : state) {
    wheel.arm(nodes[at], deadline_ms);
    at = (at + 7919) % nodes.size(); // A prime stride, so that caches see what scattered connections would show them.
    deadline_ms += at % 2;
  }
  cancel_all(wheel, nodes);
}
BENCHMARK(move_a_timer)->Arg(100)->Arg(10'000)->Arg(1'000'000);

void arm_and_cancel(benchmark::State& state) {
  timer_wheel wheel(0);
  auto nodes = armed(wheel, state.range(0));
  timer_node one;
  std::uint64_t deadline_ms = 0;
  for (auto _ : state) {
    wheel.arm(one, 1 + (deadline_ms += 37) % idle_timeout_ms);
    wheel.cancel(one);
  }
  cancel_all(wheel, nodes);
}
BENCHMARK(arm_and_cancel)->Arg(100)->Arg(1'000'000);

// A turn of the loop a millisecond later: expired timers are armed again, as a ping interval is.
void turn_of_the_loop(benchmark::State& state) {
  timer_wheel wheel(0);
  auto nodes = armed(wheel, state.range(0));
  std::uint64_t now_ms = 0;
  std::size_t expired = 0;
  for (auto _ : state) {
    ++now_ms;
    expired += wheel.expire(now_ms, [&](timer_node& node) { wheel.arm(node, now_ms + idle_timeout_ms); });
    micro::keep(wheel.next_deadline_ms());
  }
  state.counters["expired_per_turn"] = static_cast<double>(expired) / static_cast<double>(state.iterations());
  cancel_all(wheel, nodes);
}
BENCHMARK(turn_of_the_loop)->Arg(100)->Arg(10'000)->Arg(1'000'000);

} // namespace
} // namespace ringcast

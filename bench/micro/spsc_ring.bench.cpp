// What a record between two shards costs: the writer's and the reader's side in one thread, without the traffic of
// cache lines between cores, and in two threads, with it.
#include "engine/mesh/spsc_ring.hpp"
#include "bench/micro/proto_cases.hpp"

#include <atomic>
#include <benchmark/benchmark.h>
#include <cstdint>
#include <cstring>
#include <thread>

namespace ringcast {

using namespace engine;
namespace {

constexpr std::uint32_t ring_bytes = 256 * 1024;

bool write_record(spsc_ring& ring, std::uint32_t bytes, std::uint64_t number) {
  std::byte* const place = ring.reserve(1, bytes);
  if (place == nullptr) return false;
  std::memcpy(place, &number, sizeof number);
  ring.commit();
  return true;
}

// `batch` records are written, published once, and drained once.
void batches_in_one_thread(benchmark::State& state) {
  const auto bytes = static_cast<std::uint32_t>(state.range(0));
  const auto batch = static_cast<std::uint64_t>(state.range(1));
  spsc_ring ring(ring_bytes);
  std::uint64_t sum = 0;
  for (auto _ : state) {
    for (std::uint64_t i = 0; i < batch; ++i) micro::must(write_record(ring, bytes, i));
    ring.publish();
    const std::size_t count = ring.drain(
        [&](std::uint32_t, std::span<std::byte> record) {
          std::uint64_t number;
          std::memcpy(&number, record.data(), sizeof number);
          sum += number;
        },
        batch);
    micro::must(count == batch);
  }
  micro::keep(sum);
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(batches_in_one_thread)->ArgsProduct({{16, 64, 1024}, {1, 16}});

// A writer that publishes batches of 16 against a reader that drains what it finds: records a second through the queue.
// On a machine with one free core it shows the scheduler instead.
void through_two_threads(benchmark::State& state) {
  const auto bytes = static_cast<std::uint32_t>(state.range(0));
  spsc_ring ring(ring_bytes);
  std::atomic<bool> stop{false};
  std::uint64_t read = 0;
  std::thread reader([&] {
    const auto take = [&](std::uint32_t, std::span<std::byte>) { ++read; };
    while (!stop.load(std::memory_order_relaxed))
      if (ring.drain(take, 1024) == 0) std::this_thread::yield();
    while (ring.drain(take, 1024) != 0) {
    }
  });
  std::uint64_t written = 0;
  for (auto _ : state) {
    for (int i = 0; i < 16; ++i) {
      while (!write_record(ring, bytes, written)) {
        ring.publish();
        std::this_thread::yield();
      }
      ++written;
    }
    ring.publish();
  }
  stop = true;
  reader.join();
  micro::must(read == written);
  state.SetItemsProcessed(static_cast<std::int64_t>(written));
}
BENCHMARK(through_two_threads)->Arg(16)->Arg(64)->Arg(1024)->UseRealTime();

} // namespace
} // namespace ringcast

// What compressing a chat-like JSON message costs and saves, by size and level, to choose the threshold below which
// nothing is compressed. Sixty-four different messages in turn, so that no branch is learnt by heart.
#include "proto/deflate.hpp"
#include "bench/micro/messages.hpp"
#include "proto/byte_buffer.hpp"

#include <benchmark/benchmark.h>
#include <cstdint>
#include <string>
#include <vector>

namespace ringcast {
namespace {

constexpr std::size_t variants = 64;

using micro::bytes_of;
using micro::chat_message;

std::vector<std::string> messages(std::size_t size, std::size_t count = variants) {
  std::vector<std::string> made;
  for (unsigned i = 0; i < count; ++i) made.push_back(chat_message(size, i));
  return made;
}

void shared_deflate(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const auto level = static_cast<unsigned>(state.range(1));
  const std::vector<std::string> said = messages(size);
  deflater writer(deflate_level_max);
  std::vector<std::byte> out(deflate_message_bound(size));
  std::size_t sent = 0;
  std::size_t at = 0;
  for (auto _ : state) sent += writer.deflate_message(bytes_of(said[at++ % variants]), out, level).value_or(size);
  const double mean = static_cast<double>(sent) / static_cast<double>(state.iterations());
  state.counters["bytes"] = mean;
  state.counters["ratio"] = static_cast<double>(size) / mean;
}

void inflate_what_is_shared(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const auto level = static_cast<unsigned>(state.range(1));
  deflater writer(deflate_level_max);
  inflater reader;
  std::vector<byte_buffer> payloads;
  for (const std::string& text : messages(size))
    if (byte_buffer out; writer.deflate_message(bytes_of(text), out, level)) payloads.push_back(std::move(out));
  if (payloads.empty()) return state.SkipWithError("none of them became shorter");
  byte_buffer message;
  std::size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(reader.inflate_message(payloads[at++ % payloads.size()].bytes(), message, 1 << 20));
}

void dedicated_deflate(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  // So many that the window never still holds the same one.
  const std::size_t count = 256 * 1024 / size + 64;
  const std::vector<std::string> said = messages(size, count);
  deflate_context writer(static_cast<unsigned>(state.range(1)));
  byte_buffer out;
  std::size_t sent = 0;
  std::size_t at = 0;
  for (auto _ : state) {
    out.clear();
    sent += writer.deflate_message(bytes_of(said[at++ % count]), out).value_or(size);
  }
  const double mean = static_cast<double>(sent) / static_cast<double>(state.iterations());
  state.counters["bytes"] = mean;
  state.counters["ratio"] = static_cast<double>(size) / mean;
}

const std::vector<std::vector<std::int64_t>> sizes_and_levels{{64, 96, 128, 192, 256, 384, 512, 1024, 4096, 16384, 65536}, {0, 1, 2}};
BENCHMARK(shared_deflate)->ArgsProduct(sizes_and_levels);
BENCHMARK(inflate_what_is_shared)->ArgsProduct(sizes_and_levels);
BENCHMARK(dedicated_deflate)->ArgsProduct({{64, 128, 256, 1024, 4096}, {0, 1}});

} // namespace
} // namespace ringcast

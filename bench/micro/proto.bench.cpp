// The time of each operation of proto/ on a message or a handshake, and the SIMD kernels of masking and UTF-8 against
// each other. bench-instructions counts the instructions of the same cases.
#include "bench/micro/proto_cases.hpp"
#include "proto/mask_kernels.hpp"
#include "proto/utf8_kernels.hpp"

#include <benchmark/benchmark.h>
#include <cstdint>
#include <memory>
#include <string>

namespace ringcast {
namespace {

template <typename Operation> void measure(const std::string& name, std::size_t bytes, Operation operation) {
  // Google Benchmark copies its functions, and some operations own what can only be moved.
  auto shared = std::make_shared<Operation>(std::move(operation));
  benchmark::RegisterBenchmark(name.c_str(), [shared, bytes](benchmark::State& state) {
    for (auto _ : state) (*shared)();
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  });
}

void measure_kernels() {
  for (const std::size_t bytes : {65U, 128U, 1024U, 16384U}) {
    const std::string size = "/" + std::to_string(bytes);
    for (const mask_kernel& kernel : mask_kernels()) {
      if (!kernel.supported) continue;
      measure("mask_kernel/" + std::string{kernel.name} + size, bytes,
              [run = kernel.run, data = micro::copy_of(micro::chat_message(bytes, 1))]() mutable {
                run(data.data(), data.size(), 0x3D21FA37);
                micro::keep(data.data());
              });
    }
    for (const utf8_kernel& kernel : utf8_kernels()) {
      if (!kernel.supported) continue;
      for (const bool ascii : {true, false}) {
        const std::string text = ascii ? micro::chat_message(bytes, 1) : micro::mixed_text(bytes);
        measure("utf8_kernel/" + std::string{kernel.name} + (ascii ? "/ascii" : "/mixed") + size, bytes,
                [run = kernel.run, text] { micro::must(run(micro::bytes_of(text).data(), text.size())); });
      }
    }
  }
}

} // namespace
} // namespace ringcast

int main(int argc, char** argv) {
  ringcast::micro::for_each_proto_case(
      [](const std::string& name, std::size_t bytes, auto operation) { ringcast::measure(name, bytes, std::move(operation)); });
  ringcast::measure_kernels();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

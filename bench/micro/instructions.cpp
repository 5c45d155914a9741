// Runs each case of proto_cases.hpp a fixed number of times, with one dump of callgrind's counters for each, named
// after it. bench/micro/instructions (a script) starts it under valgrind and compares the counts with
// instructions.json. By itself it counts nothing; it prints what the counts depend on besides the source: compiler,
// libraries, SIMD kernels.
#include "bench/micro/proto_cases.hpp"
#include "proto/mask_kernels.hpp"
#include "proto/utf8_kernels.hpp"

#include <algorithm>
#include <cstdio>
#include <gnu/libc-version.h>
#include <string>
#include <valgrind/callgrind.h>

namespace ringcast::micro {
namespace {

constexpr int repeats = 100; // The script divides by it.

template <typename Operation> [[gnu::noinline]] void repeat(Operation& operation) {
  for (int i = 0; i < repeats; ++i) operation();
}

template <typename Operation> void count(const std::string& name, Operation operation) {
  operation(); // Buffers grow and kernels are chosen here, once.
  CALLGRIND_ZERO_STATS;
  repeat(operation);
  CALLGRIND_DUMP_STATS_AT(name.c_str());
}

} // namespace
} // namespace ringcast::micro

int main() {
  using namespace ringcast;
  const auto mask = std::ranges::find(mask_kernels(), true, &mask_kernel::supported)->name;
  const auto utf8 = std::ranges::find(utf8_kernels(), true, &utf8_kernel::supported)->name;
  std::printf("repeats: %d\ncompiler: %s\nisa-l: %s\nC library: %s\nkernels: mask %.*s, utf8 %.*s\n", micro::repeats, RINGCAST_COMPILER,
              RINGCAST_ISAL, gnu_get_libc_version(), static_cast<int>(mask.size()), mask.data(), static_cast<int>(utf8.size()), utf8.data());
  micro::for_each_proto_case([](const std::string& name, std::size_t, auto operation) { micro::count(name, std::move(operation)); });
}

#include "proto/cpu_features.hpp"

namespace ringcast {

const cpu_features& this_cpu() noexcept {
#if defined(__x86_64__)
  // The compiler's runtime also asks the operating system whether it saves the wide registers.
  static const cpu_features features = [] {
    __builtin_cpu_init();
    return cpu_features{.avx2 = __builtin_cpu_supports("avx2") != 0,
                        .avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                                  __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vbmi2") != 0};
  }();
#else
  static constexpr cpu_features features{};
#endif
  return features;
}

} // namespace ringcast

// What this processor can do, as far as the SIMD kernels of proto/ ask.
#pragma once

namespace ringcast {

struct cpu_features {
  bool avx2 = false;
  /// AVX-512 F, BW, VL and VBMI2: Ice Lake, Zen 4 and later. The generations before lower their clock for 512-bit work,
  /// which costs a server more than short kernels gain, so they take the AVX2 kernels.
  bool avx512 = false;
};

/// Asked once, then remembered. Any thread.
[[nodiscard]] const cpu_features& this_cpu() noexcept;

} // namespace ringcast

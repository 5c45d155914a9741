// The dispatch behind mask_in_place, for payloads that are too long for its inline path.
#include "proto/mask.hpp"

#include "proto/cpu_features.hpp"
#include "proto/mask_kernels.hpp"

#include <algorithm>
#include <atomic>

namespace ringcast {
namespace {

void choose_and_mask(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept;

// Starts as the function that chooses, so it works before any constructor has run. Relaxed is enough: every thread that
// still sees the first value makes the same choice.
constinit std::atomic<mask_function> chosen{choose_and_mask};

void choose_and_mask(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept {
  const mask_function best = std::ranges::find(mask_kernels(), true, &mask_kernel::supported)->run;
  chosen.store(best, std::memory_order_relaxed);
  best(data, bytes, masking_key);
}

} // namespace

std::span<const mask_kernel> mask_kernels() noexcept {
  static const mask_kernel kernels[] = {
#if defined(__x86_64__)
      {"avx512", this_cpu().avx512, mask_avx512},
      {"avx2", this_cpu().avx2, mask_avx2},
#endif
      {"scalar", true, mask_scalar},
  };
  return kernels;
}

void mask_detail::mask_long(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept {
  chosen.load(std::memory_order_relaxed)(data, bytes, masking_key);
}

} // namespace ringcast

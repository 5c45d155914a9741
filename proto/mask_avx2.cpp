// Masking by 32 bytes with AVX2.
#include "proto/mask.hpp"
#include "proto/mask_kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

namespace ringcast {
namespace {

constexpr std::size_t lane = 32;

[[gnu::target("avx2")]] inline __m256i load(const std::byte* from) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
[[gnu::target("avx2")]] inline void store(std::byte* to, __m256i value) noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value); }
[[gnu::target("avx2")]] inline __m256i spread(std::uint32_t masking_key) noexcept { return _mm256_set1_epi32(static_cast<int>(masking_key)); }

} // namespace

[[gnu::target("avx2")]] void mask_avx2(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept {
  if (bytes < lane) return mask_scalar(data, bytes, masking_key);
  // The first and the last 32 bytes are masked from what they were before the loop and stored behind it: where they
  // overlap the loop's stores they hold the same values. So no byte needs a loop of its own and none is missed.
  std::byte* const last = data + (bytes - lane);
  const __m256i head = _mm256_xor_si256(load(data), spread(masking_key));
  const __m256i tail = _mm256_xor_si256(load(last), spread(mask_detail::turn_key(masking_key, bytes)));

  // The loop stands on multiples of 32, where no access crosses a cache line.
  const std::size_t skipped = lane - reinterpret_cast<std::uintptr_t>(data) % lane;
  const __m256i key = spread(mask_detail::turn_key(masking_key, skipped));
  std::byte* at = data + skipped;
  for (; last - at >= static_cast<std::ptrdiff_t>(4 * lane); at += 4 * lane) {
    const __m256i a = _mm256_xor_si256(load(at), key);
    const __m256i b = _mm256_xor_si256(load(at + lane), key);
    const __m256i c = _mm256_xor_si256(load(at + 2 * lane), key);
    const __m256i d = _mm256_xor_si256(load(at + 3 * lane), key);
    store(at, a);
    store(at + lane, b);
    store(at + 2 * lane, c);
    store(at + 3 * lane, d);
  }
  for (; at < last; at += lane) store(at, _mm256_xor_si256(load(at), key));

  store(data, head);
  store(last, tail);
}

} // namespace ringcast
#endif

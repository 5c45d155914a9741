#include "proto/sha1.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace ringcast {

namespace {

using sha1_state = std::array<std::uint32_t, 5>;
using compress_function = void (*)(sha1_state&, const std::byte* block, std::size_t block_count) noexcept;

constexpr std::size_t block_bytes = 64;

// FIPS 180-4 section 5.1.1: the message, a one bit, zeros, and the length in bits as the last eight bytes of a block.
sha1_digest digest(std::span<const std::byte> input, compress_function compress) noexcept {
  sha1_state state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  const std::size_t whole_blocks = input.size() / block_bytes;
  compress(state, input.data(), whole_blocks);

  std::array<std::byte, 2 * block_bytes> tail{};
  const std::size_t rest = input.size() % block_bytes;
  if (rest != 0) std::memcpy(tail.data(), input.data() + whole_blocks * block_bytes, rest);
  tail[rest] = std::byte{0x80};
  const std::size_t tail_blocks = rest < block_bytes - 8 ? 1 : 2;
  std::uint64_t bits = static_cast<std::uint64_t>(input.size()) * 8;
  for (std::size_t i = 1; i <= 8; ++i, bits >>= 8) tail[tail_blocks * block_bytes - i] = static_cast<std::byte>(bits);
  compress(state, tail.data(), tail_blocks);

  sha1_digest out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(state[i / 4] >> (24 - 8 * (i % 4)));
  return out;
}

// FIPS 180-4 section 6.1.3, the form that keeps sixteen words of the schedule.
void compress_scalar(sha1_state& state, const std::byte* block, std::size_t block_count) noexcept {
  for (; block_count != 0; --block_count, block += block_bytes) {
    std::array<std::uint32_t, 16> w;
    for (std::size_t i = 0; i < w.size(); ++i)
      w[i] = std::to_integer<std::uint32_t>(block[4 * i]) << 24 | std::to_integer<std::uint32_t>(block[4 * i + 1]) << 16 |
             std::to_integer<std::uint32_t>(block[4 * i + 2]) << 8 | std::to_integer<std::uint32_t>(block[4 * i + 3]);
    auto [a, b, c, d, e] = state;
    for (std::size_t t = 0; t < 80; ++t) {
      if (t >= 16) w[t & 15] = std::rotl(w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15], 1);
      std::uint32_t f = b ^ c ^ d;
      std::uint32_t k = 0xca62c1d6;
      if (t < 20) {
        f = d ^ (b & (c ^ d));
        k = 0x5a827999;
      } else if (t < 40) {
        k = 0x6ed9eba1;
      } else if (t < 60) {
        f = (b & c) | (d & (b | c));
        k = 0x8f1bbcdc;
      }
      const std::uint32_t next = std::rotl(a, 5) + f + e + k + w[t & 15];
      e = d;
      d = c;
      c = std::rotl(b, 30);
      b = a;
      a = next;
    }
    state = {state[0] + a, state[1] + b, state[2] + c, state[3] + d, state[4] + e};
  }
}

#if defined(__x86_64__)

// The instructions do four rounds at a time: sha1rnds4 on a..d with e folded into the words, sha1nexte for the next e,
// sha1msg1 and sha1msg2 for the schedule. The highest lane holds the first word throughout.
[[gnu::target("sha,sse4.1,ssse3")]] void compress_sha_ni(sha1_state& state, const std::byte* block, std::size_t block_count) noexcept {
  const __m128i big_endian = _mm_set_epi64x(0x0001020304050607LL, 0x08090a0b0c0d0e0fLL);
  __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(state.data())), 0x1b);
  __m128i e_lane = _mm_set_epi32(static_cast<int>(state[4]), 0, 0, 0);

  for (; block_count != 0; --block_count, block += block_bytes) {
    const __m128i abcd_before = abcd;
    const __m128i e_before = e_lane;
    __m128i w[4];
    for (int i = 0; i < 4; ++i) w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * i)), big_endian);

    __m128i previous = abcd; // a..d before the last four rounds: its a becomes the next e
    for (int group = 0; group < 20; ++group) {
      if (group >= 4) {
        const __m128i mixed = _mm_xor_si128(_mm_sha1msg1_epu32(w[group & 3], w[(group + 1) & 3]), w[(group + 2) & 3]);
        w[group & 3] = _mm_sha1msg2_epu32(mixed, w[(group + 3) & 3]);
      }
      const __m128i e_and_words = group == 0 ? _mm_add_epi32(e_lane, w[0]) : _mm_sha1nexte_epu32(previous, w[group & 3]);
      previous = abcd;
      switch (group / 5) {
      case 0: abcd = _mm_sha1rnds4_epu32(abcd, e_and_words, 0); break;
      case 1: abcd = _mm_sha1rnds4_epu32(abcd, e_and_words, 1); break;
      case 2: abcd = _mm_sha1rnds4_epu32(abcd, e_and_words, 2); break;
      default: abcd = _mm_sha1rnds4_epu32(abcd, e_and_words, 3); break;
      }
    }
    e_lane = _mm_sha1nexte_epu32(previous, e_before);
    abcd = _mm_add_epi32(abcd, abcd_before);
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state.data()), _mm_shuffle_epi32(abcd, 0x1b));
  state[4] = static_cast<std::uint32_t>(_mm_extract_epi32(e_lane, 3));
}

// CPUID leaf 7, EBX bit 29: SHA; leaf 1, ECX bits 9 and 19: SSSE3 and SSE4.1.
bool has_sha_instructions() noexcept {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & 1U << 9) == 0 || (ecx & 1U << 19) == 0) return false;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & 1U << 29) != 0;
}

#endif

compress_function best_compress() noexcept {
#if defined(__x86_64__)
  if (has_sha_instructions()) return compress_sha_ni;
#endif
  return compress_scalar;
}

} // namespace

sha1_digest sha1(std::span<const std::byte> input) noexcept {
  static const compress_function compress = best_compress();
  return digest(input, compress);
}

sha1_digest sha1_scalar(std::span<const std::byte> input) noexcept { return digest(input, compress_scalar); }

} // namespace ringcast

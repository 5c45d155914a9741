// UTF-8 validation by 32 bytes with AVX2; the method is explained in utf8_lookup.hpp.
#include "proto/utf8_kernels.hpp"
#include "proto/utf8_lookup.hpp"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>

#define RINGCAST_TARGET [[gnu::target("avx2")]]

namespace ringcast {
namespace {

constexpr std::size_t lane = 32;

RINGCAST_TARGET inline __m256i load(const std::byte* from) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

RINGCAST_TARGET inline __m256i fill(std::uint8_t byte) noexcept { return _mm256_set1_epi8(static_cast<char>(byte)); }

RINGCAST_TARGET inline __m256i look_up(const utf8_lookup::table& errors, __m256i halves) noexcept {
  const __m128i row = _mm_loadu_si128(reinterpret_cast<const __m128i*>(errors.data()));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(row), halves);
}

RINGCAST_TARGET inline __m256i upper_halves(__m256i bytes) noexcept { return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), fill(0x0F)); }

/// The state between blocks, zero at the start. What it finds gathers in `errors`; a non-zero byte is an error.
struct checker {
  __m256i errors;
  __m256i previous;
  __m256i cut_off; ///< Non-zero if `previous` ends inside a character.

  RINGCAST_TARGET void take(__m256i block) noexcept {
    if (_mm256_movemask_epi8(block) == 0) {
      errors = _mm256_or_si256(errors, cut_off); // ASCII needs no table: it is valid unless a character was open.
      previous = block;
      cut_off = _mm256_setzero_si256();
      return;
    }
    const __m256i joint = _mm256_permute2x128_si256(previous, block, 0x21);
    const __m256i one_before = _mm256_alignr_epi8(block, joint, 15);
    const __m256i two_before = _mm256_alignr_epi8(block, joint, 14);
    const __m256i three_before = _mm256_alignr_epi8(block, joint, 13);

    const __m256i first_high = look_up(utf8_lookup::first_high, upper_halves(one_before));
    const __m256i first_low = look_up(utf8_lookup::first_low, _mm256_and_si256(one_before, fill(0x0F)));
    const __m256i second_high = look_up(utf8_lookup::second_high, upper_halves(block));
    const __m256i pairs = _mm256_and_si256(_mm256_and_si256(first_high, first_low), second_high);

    // The subtraction saturates, so its highest bit is set exactly behind E0 and above, or two behind F0 and above.
    const __m256i third = _mm256_subs_epu8(two_before, fill(0xE0 - 0x80));
    const __m256i fourth = _mm256_subs_epu8(three_before, fill(0xF0 - 0x80));
    const __m256i announced = _mm256_and_si256(_mm256_or_si256(third, fourth), fill(0x80));
    errors = _mm256_or_si256(errors, _mm256_xor_si256(announced, pairs));

    alignas(lane) static constexpr auto limits = [] {
      std::array<std::uint8_t, lane> most{};
      most.fill(0xFF);
      most[lane - 3] = utf8_lookup::last_but_two_max;
      most[lane - 2] = utf8_lookup::last_but_one_max;
      most[lane - 1] = utf8_lookup::last_max;
      return most;
    }();
    cut_off = _mm256_subs_epu8(block, _mm256_load_si256(reinterpret_cast<const __m256i*>(limits.data())));
    previous = block;
  }

  RINGCAST_TARGET bool is_valid() const noexcept {
    const __m256i all = _mm256_or_si256(errors, cut_off);
    return _mm256_testz_si256(all, all) != 0;
  }
};

} // namespace

RINGCAST_TARGET bool utf8_avx2(const std::byte* text, std::size_t bytes) noexcept {
  if (bytes < 16) return utf8_scalar(text, bytes);
  checker check{};
  std::size_t at = 0;
  for (; bytes - at >= lane; at += lane) check.take(load(text + at));
  if (at < bytes) {
    // The rest is filled up with zeros, which is ASCII, so a character that is cut off shows as too short.
    alignas(lane) std::byte rest[lane]{};
    std::memcpy(rest, text + at, bytes - at);
    check.take(load(rest));
  }
  return check.is_valid();
}

} // namespace ringcast
#endif

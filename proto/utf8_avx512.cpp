// UTF-8 validation by 64 bytes with AVX-512; the method is explained in utf8_lookup.hpp.
#include "proto/utf8_kernels.hpp"
#include "proto/utf8_lookup.hpp"

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>

#define RINGCAST_TARGET [[gnu::target("avx512f,avx512bw,avx512vl")]]

namespace ringcast {
namespace {

constexpr std::size_t lane = 64;

RINGCAST_TARGET inline __m512i fill(std::uint8_t byte) noexcept { return _mm512_set1_epi8(static_cast<char>(byte)); }

RINGCAST_TARGET inline __m512i look_up(const utf8_lookup::table& errors, __m512i halves) noexcept {
  const __m128i row = _mm_loadu_si128(reinterpret_cast<const __m128i*>(errors.data()));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(row), halves);
}

RINGCAST_TARGET inline __m512i upper_halves(__m512i bytes) noexcept { return _mm512_and_si512(_mm512_srli_epi16(bytes, 4), fill(0x0F)); }

/// The state between blocks, zero at the start. What it finds gathers in `errors`; a non-zero byte is an error.
struct checker {
  __m512i errors;
  __m512i previous;
  __m512i cut_off; ///< Non-zero if `previous` ends inside a character.

  RINGCAST_TARGET void take(__m512i block) noexcept {
    if (_mm512_movepi8_mask(block) == 0) return take_ascii(block);
    const __m512i joint = _mm512_alignr_epi64(block, previous, 6);
    const __m512i one_before = _mm512_alignr_epi8(block, joint, 15);
    const __m512i two_before = _mm512_alignr_epi8(block, joint, 14);
    const __m512i three_before = _mm512_alignr_epi8(block, joint, 13);

    const __m512i first_high = look_up(utf8_lookup::first_high, upper_halves(one_before));
    const __m512i first_low = look_up(utf8_lookup::first_low, _mm512_and_si512(one_before, fill(0x0F)));
    const __m512i second_high = look_up(utf8_lookup::second_high, upper_halves(block));
    const __m512i pairs = _mm512_and_si512(_mm512_and_si512(first_high, first_low), second_high);

    // The subtraction saturates, so its highest bit is set exactly behind E0 and above, or two behind F0 and above.
    const __m512i third = _mm512_subs_epu8(two_before, fill(0xE0 - 0x80));
    const __m512i fourth = _mm512_subs_epu8(three_before, fill(0xF0 - 0x80));
    const __m512i announced = _mm512_and_si512(_mm512_or_si512(third, fourth), fill(0x80));
    errors = _mm512_or_si512(errors, _mm512_xor_si512(announced, pairs));

    alignas(lane) static constexpr auto limits = [] {
      std::array<std::uint8_t, lane> most{};
      most.fill(0xFF);
      most[lane - 3] = utf8_lookup::last_but_two_max;
      most[lane - 2] = utf8_lookup::last_but_one_max;
      most[lane - 1] = utf8_lookup::last_max;
      return most;
    }();
    cut_off = _mm512_subs_epu8(block, _mm512_load_si512(limits.data()));
    previous = block;
  }

  /// ASCII needs no table: it is valid unless a character was open.
  RINGCAST_TARGET void take_ascii(__m512i last_block) noexcept {
    errors = _mm512_or_si512(errors, cut_off);
    previous = last_block;
    cut_off = _mm512_setzero_si512();
  }

  RINGCAST_TARGET bool is_valid() const noexcept {
    const __m512i all = _mm512_or_si512(errors, cut_off);
    return _mm512_test_epi8_mask(all, all) == 0;
  }
};

} // namespace

RINGCAST_TARGET bool utf8_avx512(const std::byte* text, std::size_t bytes) noexcept {
  checker check{};
  std::size_t at = 0;
  while (bytes - at >= 4 * lane) {
    // Four blocks at a time over ASCII, where one test serves all of them.
    const __m512i a = _mm512_loadu_si512(text + at);
    const __m512i b = _mm512_loadu_si512(text + at + lane);
    const __m512i c = _mm512_loadu_si512(text + at + 2 * lane);
    const __m512i d = _mm512_loadu_si512(text + at + 3 * lane);
    at += 4 * lane;
    const __m512i any = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
    if (_mm512_movepi8_mask(any) == 0) {
      check.take_ascii(d);
    } else {
      check.take(a);
      check.take(b);
      check.take(c);
      check.take(d);
    }
  }
  for (; bytes - at >= lane; at += lane) check.take(_mm512_loadu_si512(text + at));
  if (at < bytes) {
    // Lanes that are switched off are not read and count as zero, which is ASCII, so a character that is cut off shows
    // as too short.
    const __mmask64 part = (__mmask64{1} << (bytes - at)) - 1;
    check.take(_mm512_maskz_loadu_epi8(part, text + at));
  }
  return check.is_valid();
}

} // namespace ringcast
#endif

// Where the next byte stands that cannot be part of a name, a value or a request target. These three loops are what
// parsing a head costs, so they look at 16 bytes at a time where the processor's baseline allows it (SSE2 is part of
// x86-64), and at single bytes elsewhere and for the last few, so that nothing past `end` is ever read.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace ringcast::http_scan {

inline constexpr std::uint8_t token_byte = 1;  // tchar of RFC 9110 section 5.6.2
inline constexpr std::uint8_t value_byte = 2;  // field-vchar, space, tab, obs-text
inline constexpr std::uint8_t target_byte = 4; // visible ASCII but '#', which only ever starts a fragment
inline constexpr std::uint8_t host_byte = 8;   // uri-host, brackets and the port's colon (RFC 3986 section 3.2.2)
inline constexpr std::uint8_t quoted_byte = 16; // qdtext of RFC 9110 section 5.6.4

inline constexpr std::array<std::uint8_t, 256> byte_class = [] {
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&](std::string_view bytes, std::uint8_t bit) {
    for (const char c : bytes) table[static_cast<std::uint8_t>(c)] |= bit;
  };
  for (unsigned c = 0; c < 256; ++c) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (alnum) table[c] |= token_byte | host_byte;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) table[c] |= value_byte;
    if (c > 0x20 && c < 0x7f && c != '#') table[c] |= target_byte;
    if ((table[c] & value_byte) != 0 && c != '"' && c != '\\') table[c] |= quoted_byte;
  }
  mark("!#$%&'*+-.^_`|~", token_byte);
  mark("-._~%!$&'()*+,;=:[]", host_byte);
  return table;
}();

[[nodiscard]] inline bool is(char c, std::uint8_t bit) noexcept { return (byte_class[static_cast<std::uint8_t>(c)] & bit) != 0; }

[[nodiscard]] inline const char* skip(const char* p, const char* end, std::uint8_t bit) noexcept {
  while (p != end && is(*p, bit)) ++p;
  return p;
}

#if defined(__SSE2__)

// A bit is set for each byte in [low, high]; unsigned, since a saturating subtraction of zero keeps the order.
[[nodiscard]] inline __m128i in_range(__m128i v, char low, char high) noexcept {
  const __m128i shifted = _mm_sub_epi8(v, _mm_set1_epi8(low));
  const __m128i width = _mm_set1_epi8(static_cast<char>(high - low));
  return _mm_cmpeq_epi8(_mm_min_epu8(shifted, width), shifted);
}

[[nodiscard]] inline unsigned bits(__m128i v) noexcept { return static_cast<unsigned>(_mm_movemask_epi8(v)); }

[[nodiscard]] inline __m128i load(const char* p) noexcept { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

#endif

/// The first byte that is not part of a token, or `end`.
[[nodiscard]] inline const char* find_token_end(const char* p, const char* end) noexcept {
#if defined(__SSE2__)
  while (end - p >= 16) {
    // Letters, digits and '-' make up almost every name; the rarer token bytes are looked up one at a time.
    const __m128i v = load(p);
    const __m128i letters = in_range(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z');
    const __m128i common = _mm_or_si128(letters, _mm_or_si128(in_range(v, '0', '9'), _mm_cmpeq_epi8(v, _mm_set1_epi8('-'))));
    const unsigned other = bits(common) ^ 0xffffU;
    if (other == 0) {
      p += 16;
      continue;
    }
    p += std::countr_zero(other);
    if (!is(*p, token_byte)) return p;
    ++p;
  }
#endif
  return skip(p, end, token_byte);
}

/// The first byte that may not stand in a header's value, or `end`. In a sound head that is the CR of the line's end.
[[nodiscard]] inline const char* find_value_end(const char* p, const char* end) noexcept {
#if defined(__SSE2__)
  while (end - p >= 16) {
    const __m128i v = load(p);
    const __m128i control = in_range(v, 0x00, 0x1f);
    const __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), control), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
    if (const unsigned mask = bits(bad); mask != 0) return p + std::countr_zero(mask);
    p += 16;
  }
#endif
  return skip(p, end, value_byte);
}

/// The first byte that may not stand in a request target, or `end`. In a sound head that is the space before the
/// version.
[[nodiscard]] inline const char* find_target_end(const char* p, const char* end) noexcept {
#if defined(__SSE2__)
  while (end - p >= 16) {
    const __m128i v = load(p);
    const __m128i fine = _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('#')), in_range(v, 0x21, 0x7e));
    if (const unsigned mask = bits(fine) ^ 0xffffU; mask != 0) return p + std::countr_zero(mask);
    p += 16;
  }
#endif
  return skip(p, end, target_byte);
}

} // namespace ringcast::http_scan

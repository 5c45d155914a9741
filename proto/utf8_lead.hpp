// What the first byte of a character demands of the bytes behind it: the ABNF of RFC 3629, section 4, as a function.
#pragma once

#include <cstdint>

namespace ringcast {

struct utf8_lead {
  std::uint8_t missing; ///< Continuation bytes to follow: 0 to 3.
  std::uint8_t low;     ///< The range of the first of them. The others are always in 80..BF.
  std::uint8_t high;
  bool valid; ///< False for a continuation byte, for C0 and C1 (overlong) and for F5 and above (beyond U+10FFFF).
};

[[nodiscard]] constexpr utf8_lead utf8_lead_of(std::uint8_t byte) noexcept {
  if (byte < 0x80) return {0, 0x80, 0xBF, true};
  if (byte < 0xC2) return {0, 0x80, 0xBF, false};
  if (byte < 0xE0) return {1, 0x80, 0xBF, true};
  if (byte == 0xE0) return {2, 0xA0, 0xBF, true}; // E0 80..9F would be an overlong form of U+0000..U+07FF.
  if (byte == 0xED) return {2, 0x80, 0x9F, true}; // ED A0..BF would be a surrogate.
  if (byte < 0xF0) return {2, 0x80, 0xBF, true};
  if (byte == 0xF0) return {3, 0x90, 0xBF, true}; // F0 80..8F would be an overlong form of U+0000..U+FFFF.
  if (byte < 0xF4) return {3, 0x80, 0xBF, true};
  if (byte == 0xF4) return {3, 0x80, 0x8F, true}; // F4 90..BF would be above U+10FFFF.
  return {0, 0x80, 0xBF, false};
}

} // namespace ringcast

// The three tables of the lookup method that the vector kernels share: John Keiser and Daniel Lemire, "Validating UTF-8
// In Less Than One Instruction Per Byte", Software: Practice and Experience 51 (5), 2021, arXiv:2010.03090.
//
// Every error but one shows in two neighbouring bytes, in the first one's two halves and the second one's upper half.
// Each table gives for one half the set of errors that it permits, one bit an error; an error is there where all three
// permit it. The one that is left, a third or fourth byte that is missing or too many, is found by `two_continuations`:
// that bit must be set exactly where a byte two or three places before has announced it.
#pragma once

#include <array>
#include <cstdint>

namespace ringcast::utf8_lookup {

inline constexpr std::uint8_t too_short = 1U << 0;         // 11...... then 0....... or 11......
inline constexpr std::uint8_t too_long = 1U << 1;          // 0....... then 10......
inline constexpr std::uint8_t overlong_3 = 1U << 2;        // 11100000 then 100.....
inline constexpr std::uint8_t too_large = 1U << 3;         // 11110100 or above, then 1001.... or 101.....
inline constexpr std::uint8_t surrogate = 1U << 4;         // 11101101 then 101.....
inline constexpr std::uint8_t overlong_2 = 1U << 5;        // 1100000. then 10......
inline constexpr std::uint8_t overlong_4 = 1U << 6;        // 11110000 then 1000....
inline constexpr std::uint8_t too_large_1000 = 1U << 6;    // 11110101 or above, then 1000....; never with overlong_4
inline constexpr std::uint8_t two_continuations = 1U << 7; // 10...... then 10......

/// The errors that do not depend on the lower half of the first byte.
inline constexpr std::uint8_t any_low_half = too_short | too_long | two_continuations;

using table = std::array<std::uint8_t, 16>;

/// By the upper half of the first byte.
inline constexpr table first_high = [] {
  table errors{};
  for (unsigned half = 0x0; half <= 0x7; ++half) errors[half] = too_long;
  for (unsigned half = 0x8; half <= 0xB; ++half) errors[half] = two_continuations;
  errors[0xC] = too_short | overlong_2;
  errors[0xD] = too_short;
  errors[0xE] = too_short | overlong_3 | surrogate;
  errors[0xF] = too_short | too_large | too_large_1000 | overlong_4;
  return errors;
}();

/// By the lower half of the first byte.
inline constexpr table first_low = [] {
  table errors{};
  errors.fill(any_low_half);
  errors[0x0] |= overlong_2 | overlong_3 | overlong_4;
  errors[0x1] |= overlong_2;
  for (unsigned half = 0x4; half <= 0xF; ++half) errors[half] |= too_large;
  for (unsigned half = 0x5; half <= 0xF; ++half) errors[half] |= too_large_1000;
  errors[0xD] |= surrogate;
  return errors;
}();

/// By the upper half of the second byte.
inline constexpr table second_high = [] {
  table errors{};
  errors.fill(too_short);
  errors[0x8] = too_long | two_continuations | overlong_2 | overlong_3 | overlong_4 | too_large_1000;
  errors[0x9] = too_long | two_continuations | overlong_2 | overlong_3 | too_large;
  errors[0xA] = too_long | two_continuations | overlong_2 | surrogate | too_large;
  errors[0xB] = errors[0xA];
  return errors;
}();

/// A byte at one of the last three places of a block that is above this begins a character which the block cuts off.
inline constexpr std::uint8_t last_but_two_max = 0xF0 - 1;
inline constexpr std::uint8_t last_but_one_max = 0xE0 - 1;
inline constexpr std::uint8_t last_max = 0xC0 - 1;

} // namespace ringcast::utf8_lookup

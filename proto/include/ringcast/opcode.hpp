// The opcodes of RFC 6455, section 5.2 and 11.8.
#pragma once

#include <cstdint>

namespace ringcast {

/// What a frame carries. The values are those on the wire; 3-7 and 11-15 are reserved and never appear in this type:
/// a frame that bears one ends in `violation::reserved_opcode` before an `opcode` is made of it.
enum class opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Control frames (close, ping, pong) may stand between the fragments of a message, are never fragmented and carry at
/// most 125 bytes (RFC 6455 5.5).
[[nodiscard]] constexpr bool is_control(opcode op) noexcept { return (static_cast<std::uint8_t>(op) & 0x8U) != 0; }

/// Whether the four bits of a frame's first byte name an opcode that RFC 6455 defines.
[[nodiscard]] constexpr bool is_known_opcode(std::uint8_t bits) noexcept {
  // One bit per opcode that exists: 0, 1, 2, 8, 9 and 10.
  return bits < 16 && ((0b0000'0111'0000'0111U >> bits) & 1U) != 0;
}

} // namespace ringcast

// The header of a WebSocket frame (RFC 6455 5.2): its fields, its size, and writing it. Reading it together with the
// rules that depend on the role is frame_reader's work.
#pragma once

#include <ringcast/opcode.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace ringcast {

/// Which side of the connection this end is. A server receives masked frames and sends unmasked ones.
enum class role : std::uint8_t { server, client };

/// The fields of a header, as they stand on the wire. Nothing is checked beyond the opcode being a known one.
struct frame_header {
  opcode op = opcode::continuation;
  bool fin = true;
  bool rsv1 = false;
  bool rsv2 = false;
  bool rsv3 = false;
  bool masked = false;
  std::uint32_t masking_key = 0; ///< Its four bytes in memory are those on the wire, in the same order.
  std::uint64_t payload_bytes = 0;
  std::uint8_t header_bytes = 0;
};

/// Two bytes, eight of extended length, four of masking key.
inline constexpr std::size_t frame_header_bytes_max = 14;
/// The longest payload of a control frame, and the longest that needs no extended length.
inline constexpr std::size_t control_payload_bytes_max = 125;

/// The size of the header that a payload needs, with the shortest encoding of its length, which is a MUST.
[[nodiscard]] constexpr std::size_t frame_header_bytes(std::uint64_t payload_bytes, bool masked) noexcept {
  const std::size_t length_bytes = payload_bytes <= control_payload_bytes_max ? 0 : payload_bytes <= 0xFFFF ? 2 : 8;
  return 2 + length_bytes + (masked ? 4 : 0);
}

/// Reads the fields without judging them. Empty while the header is incomplete, or if its opcode is a reserved one.
[[nodiscard]] std::optional<frame_header> decode_frame_header(std::span<const std::byte> input) noexcept;

namespace wire {

/// RFC 6455 sends its integers in network byte order.
template <typename Integer> [[nodiscard]] constexpr Integer network_order(Integer value) noexcept {
  if constexpr (std::endian::native == std::endian::little) return std::byteswap(value);
  return value;
}

/// The payload's length from a header's second byte on; as many extended bytes as it announces must be there.
[[nodiscard]] inline std::uint64_t read_length(const std::byte* second) noexcept {
  const std::uint8_t short_length = std::to_integer<std::uint8_t>(*second) & 0x7F;
  if (short_length <= control_payload_bytes_max) return short_length;
  if (short_length == 126) {
    std::uint16_t length;
    std::memcpy(&length, second + 1, sizeof length);
    return network_order(length);
  }
  std::uint64_t length;
  std::memcpy(&length, second + 1, sizeof length);
  return network_order(length);
}

/// Writes the first byte and the length, with the mask bit as given; never touches a byte beyond what it returns.
inline std::size_t write_first_bytes(std::byte* out, opcode op, std::uint64_t payload_bytes, bool fin, bool rsv1, std::uint8_t mask_bit) noexcept {
  const auto first = static_cast<std::uint8_t>((fin ? 0x80U : 0U) | (rsv1 ? 0x40U : 0U) | static_cast<unsigned>(op));
  out[0] = std::byte{first};
  if (payload_bytes <= control_payload_bytes_max) {
    out[1] = static_cast<std::byte>(mask_bit | payload_bytes);
    return 2;
  }
  if (payload_bytes <= 0xFFFF) {
    out[1] = static_cast<std::byte>(mask_bit | 126U);
    const auto length = network_order(static_cast<std::uint16_t>(payload_bytes));
    std::memcpy(out + 2, &length, sizeof length);
    return 4;
  }
  out[1] = static_cast<std::byte>(mask_bit | 127U);
  const auto length = network_order(payload_bytes);
  std::memcpy(out + 2, &length, sizeof length);
  return 10;
}

} // namespace wire

/// Writes the header of a frame as a server sends it, and returns its size, `frame_header_bytes(payload_bytes, false)`.
/// Exactly that many bytes are written, so `out` may end where a payload that is already in place begins.
inline std::size_t write_frame_header(std::byte* out, opcode op, std::uint64_t payload_bytes, bool fin = true, bool rsv1 = false) noexcept {
  return wire::write_first_bytes(out, op, payload_bytes, fin, rsv1, 0);
}

/// The same as a client sends it: with the mask bit and the masking key, whose four bytes go out as they are in memory.
/// The payload must be masked with the same key (`mask_in_place`).
inline std::size_t write_masked_frame_header(std::byte* out, opcode op, std::uint64_t payload_bytes, std::uint32_t masking_key, bool fin = true,
                                             bool rsv1 = false) noexcept {
  const std::size_t bytes = wire::write_first_bytes(out, op, payload_bytes, fin, rsv1, 0x80);
  std::memcpy(out + bytes, &masking_key, sizeof masking_key);
  return bytes + sizeof masking_key;
}

/// Writes an unmasked header so that it ends where `payload` begins, and returns where it starts. The caller has left
/// `frame_header_bytes(payload_bytes, false)` bytes free there.
inline std::byte* write_frame_header_before(std::byte* payload, opcode op, std::uint64_t payload_bytes, bool fin = true, bool rsv1 = false) noexcept {
  std::byte* const start = payload - frame_header_bytes(payload_bytes, false);
  write_frame_header(start, op, payload_bytes, fin, rsv1);
  return start;
}

} // namespace ringcast

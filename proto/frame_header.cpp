#include "proto/frame_header.hpp"

namespace ringcast {

std::optional<frame_header> decode_frame_header(std::span<const std::byte> input) noexcept {
  if (input.size() < 2) return std::nullopt;
  const auto first = std::to_integer<std::uint8_t>(input[0]);
  const auto second = std::to_integer<std::uint8_t>(input[1]);
  const std::uint8_t opcode_bits = first & 0x0F;
  const std::uint8_t short_length = second & 0x7F;
  const bool masked = (second & 0x80) != 0;
  const std::size_t length_bytes = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
  const std::size_t header_bytes = 2 + length_bytes + (masked ? 4 : 0);
  if (!is_known_opcode(opcode_bits) || input.size() < header_bytes) return std::nullopt;

  frame_header header{.op = static_cast<opcode>(opcode_bits),
                      .fin = (first & 0x80) != 0,
                      .rsv1 = (first & 0x40) != 0,
                      .rsv2 = (first & 0x20) != 0,
                      .rsv3 = (first & 0x10) != 0,
                      .masked = masked,
                      .payload_bytes = wire::read_length(input.data() + 1),
                      .header_bytes = static_cast<std::uint8_t>(header_bytes)};
  if (masked) std::memcpy(&header.masking_key, input.data() + header_bytes - 4, 4);
  return header;
}

} // namespace ringcast

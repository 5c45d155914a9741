// The complete reader: each rule is checked as soon as the byte that can break it has arrived.
#include "proto/frame_reader.hpp"

namespace ringcast {
namespace {

frame_result broken(violation rule) noexcept { return {.status = read_status::violation, .broken = rule}; }

frame_result need_more(std::uint64_t frame_bytes_wanted) noexcept {
  return {.status = read_status::need_more, .frame_bytes_wanted = frame_bytes_wanted};
}

/// FIN, the reserved bits and the opcode.
violation check_first_byte(std::uint8_t first, const frame_rules& rules) noexcept {
  const bool fin = (first & 0x80) != 0;
  const bool rsv1 = (first & 0x40) != 0;
  const bool rsv2_or_rsv3 = (first & 0x30) != 0;
  const std::uint8_t opcode_bits = first & 0x0F;
  if (rsv2_or_rsv3 || (rsv1 && !rules.rsv1_allowed)) return violation::reserved_bit_set;
  if (!is_known_opcode(opcode_bits)) return violation::reserved_opcode;
  const auto op = static_cast<opcode>(opcode_bits);
  if (is_control(op) && !fin) return violation::control_frame_fragmented;
  if (is_control(op) && rsv1) return violation::compressed_control_frame;
  if (op == opcode::continuation && rsv1) return violation::compressed_continuation;
  return violation::none;
}

/// The mask bit, and the length as far as seven bits tell it.
violation check_second_byte(std::uint8_t second, opcode op, const frame_rules& rules) noexcept {
  const bool masked = (second & 0x80) != 0;
  if (rules.our_role == role::server && !masked) return violation::unmasked_client_frame;
  if (rules.our_role == role::client && masked) return violation::masked_server_frame;
  if (is_control(op) && (second & 0x7F) > control_payload_bytes_max) return violation::control_frame_too_long;
  return violation::none;
}

violation check_length(std::uint64_t payload_bytes, std::size_t length_bytes, opcode op, const frame_rules& rules) noexcept {
  if (payload_bytes >> 63 != 0) return violation::length_high_bit_set;
  if (length_bytes != frame_header_bytes(payload_bytes, false) - 2) return violation::length_not_minimal;
  if (!is_control(op) && payload_bytes > rules.payload_bytes_max) return violation::message_too_big;
  return violation::none;
}

} // namespace

frame_result frame_reader_detail::read_any_frame(std::span<std::byte> input, const frame_rules& rules) noexcept {
  if (input.empty()) return need_more(0);
  const auto first = std::to_integer<std::uint8_t>(input[0]);
  if (const violation rule = check_first_byte(first, rules); rule != violation::none) return broken(rule);
  const auto op = static_cast<opcode>(first & 0x0F);

  if (input.size() < 2) return need_more(0);
  const auto second = std::to_integer<std::uint8_t>(input[1]);
  if (const violation rule = check_second_byte(second, op, rules); rule != violation::none) return broken(rule);

  const std::uint8_t short_length = second & 0x7F;
  const std::size_t length_bytes = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
  if (input.size() < 2 + length_bytes) return need_more(0);
  const std::uint64_t payload_bytes = wire::read_length(input.data() + 1);
  if (const violation rule = check_length(payload_bytes, length_bytes, op, rules); rule != violation::none) {
    return broken(rule);
  }

  const bool masked = rules.our_role == role::server;
  const std::size_t header_bytes = 2 + length_bytes + (masked ? 4 : 0);
  const std::uint64_t frame_bytes = header_bytes + payload_bytes;
  if (input.size() < frame_bytes) return need_more(frame_bytes);

  const std::span<std::byte> payload = input.subspan(header_bytes, static_cast<std::size_t>(payload_bytes));
  if (masked) {
    std::uint32_t masking_key;
    std::memcpy(&masking_key, input.data() + header_bytes - sizeof masking_key, sizeof masking_key);
    mask_in_place(payload.data(), payload.size(), masking_key);
  }
  return {.status = read_status::frame,
          .value = {.op = op,
                    .fin = (first & 0x80) != 0,
                    .rsv1 = (first & 0x40) != 0,
                    .payload = payload,
                    .frame_bytes = static_cast<std::size_t>(frame_bytes)}};
}

} // namespace ringcast

#include "proto/unfinished_text.hpp"

#include "proto/message_assembler.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace ringcast {

violation unfinished_text::check(std::span<const std::byte> input, const frame_rules& rules, const message_assembler& before,
                                 std::uint64_t message_bytes_max) noexcept {
  const auto header = decode_frame_header(input);
  if (!header) return violation::none;
  const utf8_validator* const begun = before.unfinished_plain_text();
  if (header->op == opcode::text && !header->rsv1 && !before.is_inside_message()) {
    if (header->payload_bytes > message_bytes_max) return violation::message_too_big;
    if (checked_bytes_ == 0) text_ = {};
  } else if (header->op == opcode::continuation && begun != nullptr) {
    if (header->payload_bytes > message_bytes_max - before.unfinished_bytes()) return violation::message_too_big;
    if (checked_bytes_ == 0) text_ = *begun;
  } else {
    return violation::none;
  }

  std::span<const std::byte> fresh = input.subspan(header->header_bytes + checked_bytes_);
  if (rules.our_role == role::client) {
    checked_bytes_ += fresh.size();
    return text_.feed(fresh) ? violation::none : violation::text_not_utf8;
  }
  // Unmasked in pieces that stay in the first-level cache, and the validator's strides stay long.
  std::array<std::byte, 2048> piece;
  while (!fresh.empty()) {
    const std::size_t bytes = std::min(fresh.size(), piece.size());
    std::memcpy(piece.data(), fresh.data(), bytes);
    mask_in_place(piece.data(), bytes, header->masking_key, checked_bytes_);
    if (!text_.feed(std::span{piece}.first(bytes))) return violation::text_not_utf8;
    checked_bytes_ += bytes;
    fresh = fresh.subspan(bytes);
  }
  return violation::none;
}

} // namespace ringcast

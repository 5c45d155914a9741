// Bytes to frames, in place. The contract in two lines: a frame that has arrived whole is checked, unmasked where it
// stands and returned as a view; "need more" consumes nothing and changes nothing.
#pragma once

#include "proto/frame_header.hpp"
#include "proto/mask.hpp"
#include "proto/violation.hpp"
#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ringcast {

/// A frame as it stands in the input, already unmasked. The payload lives as long as the input does.
struct frame {
  opcode op = opcode::continuation;
  bool fin = true;
  bool rsv1 = false;
  bool is_ascii = false; ///< Seen while unmasking a short text, so it need not be checked again. False says nothing.
  std::span<std::byte> payload;
  std::size_t frame_bytes = 0; ///< Header and payload: how far to go on in the input.
};

enum class read_status : std::uint8_t { frame, need_more, violation };

struct frame_result {
  read_status status = read_status::need_more;
  frame value;                          ///< With read_status::frame.
  std::uint64_t frame_bytes_wanted = 0; ///< With need_more: the whole frame's size with its header, 0 while unknown.
  violation broken = violation::none;   ///< With read_status::violation.
};

/// What this end accepts.
struct frame_rules {
  role our_role = role::server;
  std::uint64_t payload_bytes_max = 0; ///< Of one data frame; control frames have their own limit of 125 bytes.
  bool rsv1_allowed = false;           ///< Whether permessage-deflate was negotiated (RFC 7692).
};

/// Reads the frame at the start of `input`. A violation is reported as soon as the bytes of the header show it, so a
/// length above the limit costs the peer its connection before one byte of payload is stored. Masked payloads are
/// unmasked in place, to the last byte and not further, so a frame must be read once only.
[[nodiscard]] frame_result read_frame(std::span<std::byte> input, const frame_rules& rules) noexcept;

namespace frame_reader_detail {

/// Every frame there is, good or bad.
[[nodiscard]] frame_result read_any_frame(std::span<std::byte> input, const frame_rules& rules) noexcept;

} // namespace frame_reader_detail

[[gnu::always_inline]] inline frame_result read_frame(std::span<std::byte> input, const frame_rules& rules) noexcept {
  // The frame that makes up most traffic: whole, short, final, uncompressed, masked, text or binary, to a server. It is
  // read here; everything else, and every doubt, goes to the complete reader.
  if (input.size() >= 6 && rules.our_role == role::server) {
    const auto first = static_cast<unsigned>(input[0]);
    const auto payload_bytes = static_cast<unsigned>(input[1]) - 0x80U; // Wraps to a large number without a mask bit.
    if ((first == 0x81 || first == 0x82) && payload_bytes <= control_payload_bytes_max && input.size() >= 6 + payload_bytes &&
        payload_bytes <= rules.payload_bytes_max) {
      std::uint32_t masking_key;
      std::memcpy(&masking_key, input.data() + 2, sizeof masking_key);
      const bool is_ascii = mask_and_find_ascii(input.data() + 6, payload_bytes, masking_key);
      return {.status = read_status::frame,
              .value = {.op = static_cast<opcode>(first & 0x0FU),
                        .is_ascii = is_ascii,
                        .payload = input.subspan(6, payload_bytes),
                        .frame_bytes = 6 + payload_bytes}};
    }
  }
  // Copied, and not returned as it is, and this function always inlined: then the result above never has to stand in
  // memory where that call could see it, and the caller takes it in registers. In memory it costs 7 ns a frame (10 for
  // 3), because its fields are stored one by one and loaded in pairs, which the processor does not forward.
  const frame_result any = frame_reader_detail::read_any_frame(input, rules);
  return static_cast<const frame_result&>(any);
}

} // namespace ringcast

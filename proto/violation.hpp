// Every rule of RFC 6455 (and RFC 7692) that a peer can break once the handshake is done, with the close code that
// answers it. Rules of the opening handshake end in an HTTP status and are not here.
#pragma once

#include <ringcast/close_code.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringcast {

/// What the peer did wrong. The numbers are not part of the interface; the names are.
enum class violation : std::uint8_t {
  none = 0, ///< No rule is broken. The value of a result's field where there is no violation.

  // The frame (RFC 6455 5.1, 5.2, 5.4, 5.5).
  reserved_bit_set,         ///< RSV1, RSV2 or RSV3 without an extension that gives it a meaning.
  reserved_opcode,          ///< Opcode 3-7 or 11-15.
  unmasked_client_frame,    ///< A client sent a frame without a mask.
  masked_server_frame,      ///< A server sent a frame with a mask.
  length_not_minimal,       ///< The length would have fitted in fewer bytes.
  length_high_bit_set,      ///< The most significant bit of a 64-bit length is 1.
  control_frame_too_long,   ///< A control frame with more than 125 bytes.
  control_frame_fragmented, ///< A control frame without FIN.
  unexpected_continuation,  ///< A continuation frame where no message is under way.
  message_inside_fragments, ///< A new text or binary frame before the fragmented message has ended.
  compressed_control_frame, ///< RSV1 on a control frame, though compression was negotiated (RFC 7692 6.1).
  compressed_continuation,  ///< RSV1 on a fragment that is not the first (RFC 7692 6.1).

  // The payload (RFC 6455 5.6, 8.1, 10.4; RFC 7692 7.2.2).
  text_not_utf8,           ///< A text message that is not UTF-8.
  message_too_big,         ///< A frame or message above the limit of this end.
  compressed_data_invalid, ///< A compressed message that does not inflate.

  // The close handshake (RFC 6455 5.5.1, 7.4).
  close_payload_of_one_byte, ///< A Close payload too short for its code.
  close_code_not_sendable,   ///< A Close code that must not be on the wire.
  close_reason_not_utf8,     ///< A Close reason that is not UTF-8.
  data_after_close,          ///< A frame of any kind after the peer's Close frame.
};

/// How many violations there are, `none` among them: the enumerators are 0 .. violation_count - 1.
inline constexpr std::size_t violation_count = static_cast<std::size_t>(violation::data_after_close) + 1;

/// The status code for the Close frame that answers it (RFC 6455 7.4.1). `none` gives 1000.
[[nodiscard]] close_code close_code_of(violation broken) noexcept;

/// A short phrase in plain words, at most 123 bytes of ASCII, so that it can be the reason of that Close frame.
[[nodiscard]] std::string_view describe(violation broken) noexcept;

/// The place in the standard, such as "RFC 6455 5.2", for logs and tests.
[[nodiscard]] std::string_view rfc_section_of(violation broken) noexcept;

} // namespace ringcast

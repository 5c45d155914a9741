// The status codes of a Close frame: RFC 6455 section 7.4 and the IANA registry "WebSocket Close Code Number".
#pragma once

#include <cstdint>

namespace ringcast {

/// Why a connection ended. A peer may also send a number that has no name here (3000-4999 belong to libraries and
/// applications), so what was received is kept as `std::uint16_t`.
enum class close_code : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  no_status = 1005, ///< Never on the wire: the Close frame that arrived had no payload.
  abnormal = 1006,  ///< Never on the wire: the connection ended without a Close frame.
  invalid_payload = 1007,
  policy_violation = 1008,
  message_too_big = 1009,
  mandatory_extension = 1010, ///< Sent by clients only.
  internal_error = 1011,
  service_restart = 1012,
  try_again_later = 1013,
  bad_gateway = 1014,
  tls_handshake = 1015, ///< Never on the wire: the TLS handshake failed.
};

/// Whether RFC 6455 7.4 and the registry allow this number in a Close frame. 1004 has no meaning yet; 1005, 1006 and
/// 1015 only report; 1016-2999 are reserved for later versions; numbers under 1000 and from 5000 on are not used.
[[nodiscard]] constexpr bool may_be_sent(std::uint16_t code) noexcept {
  if (code >= 3000) return code <= 4999;
  if (code < 1000 || code > 1014) return false;
  return code != 1004 && code != 1005 && code != 1006;
}

} // namespace ringcast

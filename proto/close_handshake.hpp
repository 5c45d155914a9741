// The closing handshake (RFC 6455 5.5.1 and 7): the payload of a Close frame, and who does what when.
#pragma once

#include "proto/frame_header.hpp"
#include "proto/violation.hpp"
#include <ringcast/close_code.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

namespace ringcast {

/// A Close payload without its code: 125 bytes less two.
inline constexpr std::size_t close_reason_bytes_max = 123;

/// What a Close frame says. `code` is 1005 (close_code::no_status) if the payload was empty. The reason is a view of
/// the parsed bytes and valid UTF-8.
struct close_payload {
  std::uint16_t code = static_cast<std::uint16_t>(close_code::no_status);
  std::string_view reason;
};

/// Reads the payload of a Close frame. Errors: close_payload_of_one_byte, close_code_not_sendable,
/// close_reason_not_utf8.
[[nodiscard]] std::expected<close_payload, violation> parse_close(std::span<const std::byte> payload) noexcept;

/// Writes the payload of a Close frame to `out`, which has room for 125 bytes, and returns its size. A reason above 123
/// bytes is cut between two characters; one that is not UTF-8 is left out, because sending it is a MUST NOT. A code
/// that must not be sent (1005 among them) gives the empty payload, which is also the answer to a Close frame that had
/// none.
std::size_t write_close_payload(std::byte* out, std::uint16_t code, std::string_view reason) noexcept;

enum class close_state : std::uint8_t {
  open,           ///< Neither side has sent a Close frame.
  close_sent,     ///< We have; the peer's is awaited. A timeout belongs to this state, and it is the caller's.
  close_received, ///< The peer has; our answer is on its way.
  closed,         ///< Both have, or the connection has failed. Nothing more is sent or read; TCP is to be closed.
};

/// What the caller does next.
enum class close_action : std::uint8_t {
  none,            ///< Nothing; what was asked for is already under way.
  send_close,      ///< Send a Close frame, then call on_close_written().
  await_peer,      ///< Wait for the peer's Close frame.
  close_tcp,       ///< Close the TCP connection now.
  await_tcp_close, ///< Wait for the server to close TCP, for a reasonable time, then close it (RFC 6455 7.1.1).
};

/// The state of one connection's closing handshake: one byte, a plain value, on the connection's thread. It decides; it
/// sends nothing itself.
class close_handshake {
 public:
  explicit close_handshake(role our_role) noexcept : our_role_(our_role) {}

  /// This end wants to close: send_close the first time, none if a Close frame was already sent or answered.
  [[nodiscard]] close_action begin() noexcept;

  /// A valid Close frame arrived. In `open` it must be answered (send_close, with the code received); if ours was sent
  /// first, both sides are through and the server closes TCP, as soon as ours has been written.
  [[nodiscard]] close_action on_close_received() noexcept;

  /// The Close frame that send_close asked for has been handed to TCP whole. Behind an answer, or behind fail(), TCP is
  /// closed by the server and awaited by the client; behind begin() the peer's Close frame is awaited.
  [[nodiscard]] close_action on_close_written() noexcept;

  /// The peer broke a rule, or this end can not go on (RFC 6455 7.1.7): send_close with the violation's code if none
  /// was sent, else close_tcp. No data of the peer is processed afterwards.
  [[nodiscard]] close_action fail() noexcept;

  /// A frame arrived. `violation::data_after_close` if the peer had sent its Close frame before: such a frame is
  /// discarded (RFC 6455 1.4 and 5.5.1).
  [[nodiscard]] std::expected<void, violation> on_frame() const noexcept;

  /// Whether data frames may still be sent: not after a Close frame of ours, nor where an answer is due (5.5.1).
  [[nodiscard]] bool may_send() const noexcept { return state_ == close_state::open; }

  [[nodiscard]] close_state state() const noexcept { return state_; }

 private:
  [[nodiscard]] close_action finish() noexcept;

  role our_role_ : 2;
  close_state state_ : 3 = close_state::open;
  bool written_ : 1 = false; ///< Our Close frame has left; until then TCP must stay open for it.
  bool failed_ : 1 = false;  ///< Close TCP behind our Close frame, without awaiting the peer's.
};
static_assert(sizeof(close_handshake) <= 2);

} // namespace ringcast

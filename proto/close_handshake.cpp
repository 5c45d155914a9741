#include "proto/close_handshake.hpp"

#include "proto/utf8.hpp"

#include <cstring>

namespace ringcast {
namespace {

/// The longest beginning of at most `bytes_max` bytes that does not end inside a character.
std::string_view cut_between_characters(std::string_view text, std::size_t bytes_max) noexcept {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

} // namespace

std::expected<close_payload, violation> parse_close(std::span<const std::byte> payload) noexcept {
  if (payload.empty()) return close_payload{};
  if (payload.size() == 1) return std::unexpected(violation::close_payload_of_one_byte);
  const auto code = static_cast<std::uint16_t>(std::to_integer<unsigned>(payload[0]) << 8 | std::to_integer<unsigned>(payload[1]));
  if (!may_be_sent(code)) return std::unexpected(violation::close_code_not_sendable);
  const auto reason = payload.subspan(2);
  if (!is_valid_utf8(reason)) return std::unexpected(violation::close_reason_not_utf8);
  return close_payload{code, {reinterpret_cast<const char*>(reason.data()), reason.size()}};
}

std::size_t write_close_payload(std::byte* out, std::uint16_t code, std::string_view reason) noexcept {
  if (!may_be_sent(code)) return 0;
  out[0] = static_cast<std::byte>(code >> 8);
  out[1] = static_cast<std::byte>(code & 0xFF);
  const std::string_view fitting = cut_between_characters(reason, close_reason_bytes_max);
  if (fitting.empty() || !is_valid_utf8(std::as_bytes(std::span(fitting)))) return 2;
  std::memcpy(out + 2, fitting.data(), fitting.size());
  return 2 + fitting.size();
}

close_action close_handshake::begin() noexcept {
  if (state_ != close_state::open) return close_action::none;
  state_ = close_state::close_sent;
  return close_action::send_close;
}

close_action close_handshake::on_close_received() noexcept {
  if (failed_) return close_action::none; // Nothing that the peer sends is processed any more.
  switch (state_) {
  case close_state::open: state_ = close_state::close_received; return close_action::send_close;
  case close_state::close_sent:
    // The two Close frames crossed. While ours is still queued, on_close_written() goes on from here.
    state_ = close_state::close_received;
    return written_ ? finish() : close_action::none;
  case close_state::close_received:
  case close_state::closed: break;
  }
  return close_action::none;
}

close_action close_handshake::on_close_written() noexcept {
  written_ = true;
  if (state_ == close_state::closed || state_ == close_state::open) return close_action::none;
  if (failed_ || state_ == close_state::close_received) return finish();
  return close_action::await_peer;
}

close_action close_handshake::fail() noexcept {
  if (state_ == close_state::closed || failed_) return close_action::none;
  failed_ = true;
  if (state_ == close_state::open) {
    state_ = close_state::close_sent;
    return close_action::send_close;
  }
  return written_ ? finish() : close_action::none;
}

std::expected<void, violation> close_handshake::on_frame() const noexcept {
  if (state_ == close_state::close_received || state_ == close_state::closed) {
    return std::unexpected(violation::data_after_close);
  }
  return {};
}

close_action close_handshake::finish() noexcept {
  state_ = close_state::closed;
  // RFC 6455 7.1.1: the server closes TCP first, so that the TIME_WAIT state stays on its side. A connection that has
  // failed is closed by whoever failed it (7.1.7).
  return our_role_ == role::server || failed_ ? close_action::close_tcp : close_action::await_tcp_close;
}

} // namespace ringcast

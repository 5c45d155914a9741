#include <ringcast/websocket.hpp>

#include "engine/server/websocket_session.hpp"
#include <ringcast/sender.hpp>
#include <ringcast/shared_frame.hpp>

#include <algorithm>
#include <cstring>

namespace ringcast {

using namespace engine;

// --- receiving ---

receive_operation::~receive_operation() {
  if (session_ != nullptr && session_->receiving_ == this) session_->receiving_ = nullptr;
}

bool receive_operation::await_ready() noexcept {
  if (session_ == nullptr) return true;
  RINGCAST_ASSERT(session_->receiving_ == nullptr); // one coroutine receives at a time
  if (control_frames_) session_->wants_control_ = true;
  // What receive_into() has not given out yet of a message is continued, by it or by receive().
  if (session_->has_current() && session_->current_unfinished_) return true;
  session_->drop_current();
  if (control_frames_ && session_->has_gap()) return true;
  if (session_->take_waiting(control_frames_) || !session_->is_open()) return true;
  return is_over(limits_, at_stop::ends_if_cancelled);
}

void receive_operation::await_suspend(std::coroutine_handle<> handle) noexcept {
  session_->receiving_ = this;
  wait(handle, limits_, at_stop::ends_if_cancelled);
}

std::expected<void, close_info> receive_operation::finish_receive() noexcept {
  const wait_result result = finish();
  if (session_ == nullptr) return std::unexpected(close_info{});
  session_->receiving_ = nullptr;
  if (control_frames_ && session_->has_gap()) return {};
  if (session_->has_current() || session_->take_waiting(control_frames_)) return {};
  if (!session_->is_open()) return std::unexpected(session_->end_info());
  return std::unexpected(close_info{.why = result == wait_result::timed_out ? websocket_end::timed_out : websocket_end::stopped});
}

std::expected<message, close_info> receive_awaiter::await_resume() noexcept {
  if (const auto there = finish_receive(); !there) return std::unexpected(there.error());
  message whole = session_->current_;
  if (session_->current_used_ > 0) {
    whole.payload = whole.payload.subspan(session_->current_used_);
    whole.in_receive_buffer = false;
  }
  session_->current_unfinished_ = false;
  return whole;
}

std::expected<received_frame, close_info> receive_frame_awaiter::await_resume() noexcept {
  if (const auto there = finish_receive(); !there) return std::unexpected(there.error());
  // A message that came together with the gap waits for the next call.
  if (const auto gap = session_->next_gap()) return received_frame{.gap = gap};
  const received_frame frame{session_->current_.op, session_->current_.payload.subspan(session_->current_used_)};
  session_->current_unfinished_ = false;
  return frame;
}

std::expected<received_part, close_info> receive_into_awaiter::await_resume() noexcept {
  if (const auto there = finish_receive(); !there) return std::unexpected(there.error());
  const std::span<const std::byte> rest = session_->current_.payload.subspan(session_->current_used_);
  const std::size_t bytes = std::min(rest.size(), into_.size());
  if (bytes > 0) std::memcpy(into_.data(), rest.data(), bytes);
  session_->current_used_ += bytes;
  session_->current_unfinished_ = bytes < rest.size();
  return received_part{session_->current_.op, bytes, bytes == rest.size() && session_->current_.is_last};
}

receiver& receiver::operator=(receiver&& other) noexcept {
  if (this != &other) {
    if (session_ != nullptr) session_->abandon();
    session_ = std::exchange(other.session_, nullptr);
  }
  return *this;
}

receiver::~receiver() {
  if (session_ != nullptr) session_->abandon();
}

std::optional<message_gap> receiver::next_gap() noexcept { return session_ == nullptr ? std::nullopt : session_->next_gap(); }

bool receiver::is_open() const noexcept { return session_ != nullptr && session_->is_open(); }

ready<send_status> receiver::close(std::uint16_t code, std::string_view reason) noexcept {
  if (!is_open()) return {send_status::closed};
  session_->close(code, reason);
  return {send_status::queued};
}

std::string_view receiver::subprotocol() const noexcept { return session_ == nullptr ? std::string_view{} : session_->subprotocol(); }
connection_handle receiver::handle() const noexcept { return session_ == nullptr ? connection_handle{} : session_->handle(); }
socket_address receiver::peer() const noexcept { return is_open() ? session_->owner().peer_of(*session_->where()) : socket_address{}; }

// --- sending ---

bool send_awaiter::await_ready() noexcept {
  if (session_ == nullptr || !session_->is_open()) {
    status_ = send_status::closed;
    return true;
  }
  if (!session_->above_watermark()) {
    status_ = session_->send(what_, framed_);
    return true;
  }
  waits_ = true;
  return is_over(limits_, at_stop::ends_if_cancelled);
}

void send_awaiter::await_suspend(std::coroutine_handle<> handle) noexcept {
  session_->draining_.append(*this);
  wait(handle, limits_, at_stop::ends_if_cancelled);
  // Everything that waits was appended in this turn: whether the peer is slow shows when it has been flushed.
  if (session_->connection_->behind == nullptr && is_waiting()) complete(wait_result::done);
}

send_status send_awaiter::await_resume() noexcept {
  const wait_result result = finish();
  if (!waits_) return status_;
  if (!session_->is_open()) return send_status::closed;
  if (result == wait_result::timed_out) return send_status::timed_out;
  if (result == wait_result::stopped) return send_status::stopped;
  return session_->send(what_, framed_);
}

namespace {

message_view view_of(opcode op, std::span<const std::byte> bytes) {
  // Sending does not write to it: only a message in a receive buffer is changed, and this is none.
  return {.op = op, .payload = {const_cast<std::byte*>(bytes.data()), bytes.size()}};
}

std::span<const std::byte> bytes_of_text(std::string_view text) { return std::as_bytes(std::span{text}); }

} // namespace

send_awaiter websocket::send_text(std::string_view text, wait_limits limits) noexcept {
  return {session_, view_of(opcode::text, bytes_of_text(text)), std::move(limits)};
}

send_awaiter websocket::send_binary(std::span<const std::byte> bytes, wait_limits limits) noexcept {
  return {session_, view_of(opcode::binary, bytes), std::move(limits)};
}

send_awaiter websocket::send_prepared(const shared_frame& frame, wait_limits limits) noexcept {
  return {session_, view_of(opcode::binary, frame.bytes()), std::move(limits), framing::whole_frame};
}

message_writer websocket::begin_message(opcode op) noexcept { return {session_ != nullptr && session_->begin_message() ? session_ : nullptr, op}; }

message_writer::~message_writer() {
  if (session_ != nullptr) session_->abandon_message();
}

send_awaiter message_writer::write(std::span<const std::byte> bytes, wait_limits limits) noexcept {
  return {writable(), view_of(op_, bytes), std::move(limits), framing::fragment};
}

send_awaiter message_writer::finish(std::span<const std::byte> bytes, wait_limits limits) noexcept {
  return {writable(), view_of(op_, bytes), std::move(limits), framing::last_fragment};
}

// Behind its end there is nothing to be written to.
websocket_session* message_writer::writable() const noexcept { return session_ != nullptr && session_->is_sending_message() ? session_ : nullptr; }

std::optional<tls_details> receiver::tls() const { return is_open() ? tls_details_of(*session_->where()) : std::nullopt; }

send_status websocket::try_send(const message& what) noexcept {
  if (!is_open()) return send_status::closed;
  return session_->above_watermark() ? send_status::dropped : session_->send(what);
}
send_status websocket::try_send_text(std::string_view text) noexcept { return try_send(view_of(opcode::text, bytes_of_text(text))); }
send_status websocket::try_send_binary(std::span<const std::byte> bytes) noexcept { return try_send(view_of(opcode::binary, bytes)); }

send_status websocket::send_control(opcode op, std::string_view payload) noexcept {
  if (!is_open()) return send_status::closed;
  return session_->send(view_of(op, bytes_of_text(payload.substr(0, control_payload_bytes_max))));
}
ready<send_status> websocket::ping(std::string_view payload) noexcept { return {send_control(opcode::ping, payload)}; }
ready<send_status> websocket::pong(std::string_view payload) noexcept { return {send_control(opcode::pong, payload)}; }

std::uint64_t websocket::buffered_bytes() const noexcept { return is_open() ? session_->owner().output().waiting_bytes(*session_->where()) : 0; }

std::pair<sender, receiver> websocket::split() && {
  if (session_ == nullptr) return {};
  sender out{session_->handle(), session_->owner(), session_->shared_state()};
  return {std::move(out), receiver{std::exchange(session_, nullptr)}};
}

} // namespace ringcast

// The coroutine face of a connection: what co_await request.upgrade() gives, and the waiting operations on it.
//
//   websocket ws = co_await req.upgrade();
//   while (auto message = co_await ws.receive()) co_await ws.send(*message);
//
// Threads: a websocket belongs to the shard that accepted its connection; every call is made there, by that shard's coroutines. For other
// threads there is the sender of split(), and rooms. Nothing here allocates once warm.
#pragma once

#include <ringcast/address.hpp>
#include <ringcast/connection_handle.hpp>
#include <ringcast/detail/byte_source.hpp>
#include <ringcast/detail/waiter.hpp>
#include <ringcast/message.hpp>
#include <ringcast/opcode.hpp>
#include <ringcast/results.hpp>
#include <ringcast/tls.hpp>
#include <ringcast/wait.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace ringcast {

namespace engine {
class websocket_session;
struct handle_access;
} // namespace engine
class sender;
class receiver;
class shared_frame;

class receive_operation : engine::waiter {
 public:
  receive_operation(engine::websocket_session* session, wait_limits limits, bool control_frames) noexcept
      : session_(session), limits_(std::move(limits)), control_frames_(control_frames) {}
  ~receive_operation();
  receive_operation(const receive_operation&) = delete;
  receive_operation& operator=(const receive_operation&) = delete;

  [[nodiscard]] bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> handle) noexcept;

 protected:
  // null: there is a message; else why there is none.
  [[nodiscard]] std::expected<void, close_info> finish_receive() noexcept;

  engine::websocket_session* session_;

 private:
  friend class engine::websocket_session;
  wait_limits limits_;
  bool control_frames_;
};

class [[nodiscard]] receive_awaiter : public receive_operation {
 public:
  using receive_operation::receive_operation;
  [[nodiscard]] std::expected<message, close_info> await_resume() noexcept;
};

class [[nodiscard]] receive_frame_awaiter : public receive_operation {
 public:
  using receive_operation::receive_operation;
  [[nodiscard]] std::expected<received_frame, close_info> await_resume() noexcept;
};

class [[nodiscard]] receive_into_awaiter : public receive_operation {
 public:
  receive_into_awaiter(engine::websocket_session* session, std::span<std::byte> into, wait_limits limits) noexcept
      : receive_operation(session, std::move(limits), false), into_(into) {}
  [[nodiscard]] std::expected<received_part, close_info> await_resume() noexcept;

 private:
  std::span<std::byte> into_;
};

namespace engine {
// What the bytes of a send are.
enum class framing : std::uint8_t { message, whole_frame, fragment, last_fragment };
} // namespace engine

class [[nodiscard]] send_awaiter : engine::waiter {
 public:
  send_awaiter(engine::websocket_session* session, const message_view& what, wait_limits limits,
               engine::framing framed = engine::framing::message) noexcept
      : session_(session), what_(what), limits_(std::move(limits)), framed_(framed) {}

  [[nodiscard]] bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> handle) noexcept;
  send_status await_resume() noexcept;

 private:
  friend class engine::websocket_session;
  engine::websocket_session* session_;
  message_view what_;
  wait_limits limits_;
  send_status status_ = send_status::queued;
  engine::framing framed_;
  bool waits_ = false;
};

// A message that is sent in fragments (RFC 6455 5.4), so that it need not be in memory as a whole:
//
//   message_writer out = ws.begin_message(opcode::binary);
//   while (auto piece = read_piece()) co_await out.write(*piece);
//   co_await out.finish();
//
// Until it is finished no other message can go out on its connection: sends answer in_message, those of other threads are dropped, and it takes no
// seat in a room. Pings and pongs go between. Not compressed. Move-only; on the shard of its websocket, which it must not outlive. One that is
// destroyed before its message is finished closes the connection with 1011.
class message_writer {
 public:
  message_writer(message_writer&& other) noexcept : session_(std::exchange(other.session_, nullptr)), op_(other.op_) {}
  message_writer& operator=(message_writer&&) = delete;
  ~message_writer();

  // False if there is no message to be sent: the connection was over, sat in a room, or was sending one in fragments already.
  [[nodiscard]] explicit operator bool() const noexcept { return session_ != nullptr; }
  // The next fragment. Waits while the peer is slow, as sends do, and answers like them; text must be UTF-8 as a whole, not by fragments.
  [[nodiscard]] send_awaiter write(std::span<const std::byte> bytes, wait_limits limits = {}) noexcept;
  [[nodiscard]] send_awaiter write(std::string_view text, wait_limits limits = {}) noexcept {
    return write(std::as_bytes(std::span{text}), std::move(limits));
  }
  // The last one, maybe an empty one. If that comes to nothing because its limits ended the wait, the message is still to be finished.
  [[nodiscard]] send_awaiter finish(std::span<const std::byte> bytes = {}, wait_limits limits = {}) noexcept;

 private:
  friend class websocket;
  message_writer(engine::websocket_session* session, opcode op) noexcept : session_(session), op_(op) {}
  [[nodiscard]] engine::websocket_session* writable() const noexcept;

  engine::websocket_session* session_; // null: no message
  opcode op_;
};

// The receiving half, alone after split(), and the part of websocket that receives. One coroutine receives at a time. Messages that come
// while nobody receives wait up to a small bound; then TCP pushes back on the peer.
class receiver {
 public:
  receiver() noexcept = default;
  receiver(receiver&& other) noexcept : session_(std::exchange(other.session_, nullptr)) {}
  receiver& operator=(receiver&& other) noexcept;
  // Closes the connection if it is open: with 1000, with 1011 during an exception, with 1001 when the server stops.
  ~receiver();

  // The next message. Without limits it waits as long as the connection lives.
  [[nodiscard]] receive_awaiter receive(wait_limits limits = {}) noexcept { return {session_, std::move(limits), false}; }
  // The same, under the name that says what comes where upgrade_options::in_parts was given: a part of a message, whose is_last says whether it ends it.
  [[nodiscard]] receive_awaiter receive_part(wait_limits limits = {}) noexcept { return receive(std::move(limits)); }
  // Copies the next message, or what fits of it, into the caller's bytes. The rest comes with the next call.
  [[nodiscard]] receive_into_awaiter receive_into(std::span<std::byte> into, wait_limits limits = {}) noexcept {
    return {session_, into, std::move(limits)};
  }
  // Like receive(), and control frames, too; from the first call on they are kept for it. Pings are answered all the same, unless
  // upgrade_options::answer_pings is false. Gaps come in front of everything that waits.
  [[nodiscard]] receive_frame_awaiter receive_frame(wait_limits limits = {}) noexcept { return {session_, std::move(limits), true}; }

  // The oldest gap that this connection has not been told of, by this or by receive_frame(); for those who call receive(). What a handler
  // lost is exactly the gaps that it is told one after the other. At most gaps_kept_max of them wait; the last of these then grows.
  static constexpr std::size_t gaps_kept_max = 256;
  [[nodiscard]] std::optional<message_gap> next_gap() noexcept;

  [[nodiscard]] bool is_open() const noexcept;
  // Sends a Close frame; later receives end with this code. Nothing happens if the connection is over.
  ready<send_status> close(std::uint16_t code = 1000, std::string_view reason = {}) noexcept;
  // The one of upgrade_options::subprotocols that was agreed on, or empty.
  [[nodiscard]] std::string_view subprotocol() const noexcept;
  // What this connection is called on any thread, for as long as the program runs.
  [[nodiscard]] connection_handle handle() const noexcept;
  [[nodiscard]] socket_address peer() const noexcept;
  // What was agreed on in TLS; nothing on a connection without it, and when that has gone.
  [[nodiscard]] std::optional<tls_details> tls() const;

 protected:
  friend struct engine::handle_access;
  friend class websocket;
  explicit receiver(engine::websocket_session* session) noexcept : session_(session) {}

  engine::websocket_session* session_ = nullptr;
};

// Both halves of a connection. Move-only; one that was moved from is closed.
class websocket : public receiver {
 public:
  websocket() noexcept = default;

  // Each returns at once while less than the high watermark waits for the peer; above it, it waits until the peer has taken most of that.
  // The bytes may be reused when it returns.
  [[nodiscard]] send_awaiter send(const message& what, wait_limits limits = {}) noexcept { return {session_, what, std::move(limits)}; }
  [[nodiscard]] send_awaiter send_text(std::string_view text, wait_limits limits = {}) noexcept;
  [[nodiscard]] send_awaiter send(std::string_view text, wait_limits limits = {}) noexcept { return send_text(text, std::move(limits)); }
  [[nodiscard]] send_awaiter send_binary(std::span<const std::byte> bytes, wait_limits limits = {}) noexcept;
  // Of anything contiguous: std::vector<float>, std::array<std::uint8_t, 4>, std::string.
  template <engine::byte_source Bytes> [[nodiscard]] send_awaiter send_binary(const Bytes& bytes, wait_limits limits = {}) noexcept {
    return send_binary(engine::bytes_of_source(bytes), std::move(limits));
  }
  // A message that was framed once for many connections; see shared_frame.
  [[nodiscard]] send_awaiter send_prepared(const shared_frame& frame, wait_limits limits = {}) noexcept;

  // Text or binary; see message_writer.
  [[nodiscard]] message_writer begin_message(opcode op) noexcept;

  // Never waits: queued, dropped, in_message or closed.
  send_status try_send(const message& what) noexcept;
  send_status try_send_text(std::string_view text) noexcept;
  send_status try_send(std::string_view text) noexcept { return try_send_text(text); }
  send_status try_send_binary(std::span<const std::byte> bytes) noexcept;
  template <engine::byte_source Bytes> send_status try_send_binary(const Bytes& bytes) noexcept {
    return try_send_binary(engine::bytes_of_source(bytes));
  }

  // At most 125 bytes (RFC 6455 5.5); the rest is cut off.
  ready<send_status> ping(std::string_view payload = {}) noexcept;
  ready<send_status> pong(std::string_view payload = {}) noexcept;

  // Bytes of this connection's own output that have not been handed to TCP.
  [[nodiscard]] std::uint64_t buffered_bytes() const noexcept;

  // `auto [sender, receiver] = std::move(ws).split();` The sender may be copied and used on any thread; the receiver stays on the shard and
  // closes the connection when it is destroyed.
  [[nodiscard]] std::pair<sender, receiver> split() &&;

 private:
  friend struct engine::handle_access;
  using receiver::receiver;

  send_status send_control(opcode op, std::string_view payload) noexcept;
};

} // namespace ringcast

// Sending to one connection from any thread: the sending half of a websocket after split().
//
// Copies are cheap and may outlive the connection, whose end makes every later send answer `closed`; they must not outlive the server.
// Messages of one thread arrive in the order in which they were sent. On the connection's own shard a message goes out in the same loop
// turn, from elsewhere through the shard's inbox.
#pragma once

#include <ringcast/connection_handle.hpp>
#include <ringcast/task.hpp>
#include <ringcast/wait.hpp>
#include <ringcast/websocket.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace ringcast {

namespace engine {
class inbox;
class shard;
struct sender_state;
} // namespace engine

class sender {
 public:
  sender() noexcept = default; // closed

  // Any thread, never waits: queued; dropped when the shard's inbox is full or the peer is slow; closed.
  ready<send_status> send(opcode op, std::span<const std::byte> payload) const;
  ready<send_status> send_text(std::string_view text) const { return send(opcode::text, std::as_bytes(std::span{text})); }
  ready<send_status> send(std::string_view text) const { return send_text(text); }
  ready<send_status> send_binary(std::span<const std::byte> bytes) const { return send(opcode::binary, bytes); }
  template <engine::byte_source Bytes> ready<send_status> send_binary(const Bytes& bytes) const {
    return send_binary(engine::bytes_of_source(bytes));
  }
  ready<send_status> ping(std::string_view payload = {}) const;
  ready<send_status> close(std::uint16_t code = 1000, std::string_view reason = {}) const;

  // In a coroutine, of whichever shard: waits while more than the high watermark (128 KiB) of what was sent to this connection has not been taken, until
  // most of it has. queued: send on; closed; timed_out; stopped, also by the end of the server; dropped: the way to the connection's shard is full.
  // Of many that wait all go on, so each may find it full again.
  [[nodiscard]] task<send_status> drained(wait_limits limits = {}) const;

  // Whether it was open a moment ago.
  [[nodiscard]] bool is_open() const noexcept;
  [[nodiscard]] connection_handle handle() const noexcept { return connection_; }

 private:
  friend class websocket;
  sender(connection_handle connection, engine::shard& owner, std::shared_ptr<engine::sender_state> state);

  connection_handle connection_;
  engine::shard* owner_ = nullptr; // only compared on other threads
  engine::inbox* to_ = nullptr;
  std::shared_ptr<engine::sender_state> state_;
};

} // namespace ringcast

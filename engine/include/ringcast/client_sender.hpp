// Sending through a client from any thread, apart from the client itself: copies are cheap and may outlive it.
#pragma once

#include <ringcast/opcode.hpp>
#include <ringcast/results.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace ringcast {

namespace engine {
class client_core;
}

enum class client_state : std::uint8_t {
  connecting,   // connect() was called, nothing is open yet
  open,
  closing,      // disconnect() was called, or the closing handshake is under way
  closed,       // nothing happens until connect()
  reconnecting, // the connection was lost, or an attempt failed; another one follows
};

// Any thread; nothing here waits. Messages of one thread arrive in the order in which they were sent, together with those of the client.
class client_sender {
 public:
  client_sender() noexcept = default; // closed

  // queued; full: the outgoing queue (queue_bytes_max); dropped: offline_policy::drop; closed: the client is, or is stopped.
  send_status send(opcode op, std::span<const std::byte> payload) const;
  send_status send_text(std::string_view text) const { return send(opcode::text, std::as_bytes(std::span{text})); }
  send_status send_binary(std::span<const std::byte> bytes) const { return send(opcode::binary, bytes); }
  send_status ping(std::string_view payload = {}) const;
  [[nodiscard]] client_state state() const;

 private:
  friend class client;
  explicit client_sender(std::shared_ptr<engine::client_core> core) noexcept : core_(std::move(core)) {}

  std::shared_ptr<engine::client_core> core_;
};

} // namespace ringcast

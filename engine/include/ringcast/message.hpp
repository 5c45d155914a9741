// What is received: views of bytes that belong to the library, each with the time for which they are valid. On the shard's thread.
#pragma once

#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ringcast {

// A message as it was received: a view. In a callback it is valid until that returns, in a coroutine until its next receive (websocket.hpp).
// Text is valid UTF-8; a part of one may end within a character.
struct message_view {
  opcode op = opcode::text;
  std::span<std::byte> payload;
  bool is_last = true; // false only where messages come in parts (websocket_endpoint::in_parts): more of this one is to come
  bool in_receive_buffer = false; // there is room for a frame's header right before it, so an answer can be framed in place

  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(payload.data()), payload.size()}; }
};

// A message as it was received: opcode text or binary, payload, text(). It is a view and valid until the next receive on its websocket, or
// until the websocket is destroyed. Text is valid UTF-8. Where upgrade_options::in_parts was given it is a part of one: see is_last.
using message = message_view;

// What receive_into() wrote.
struct received_part {
  opcode op = opcode::text;
  std::size_t bytes = 0;
  bool end_of_message = true; // false: the next receive continues this message
};

// Messages of a room that its slow-consumer policy took from a connection, or that a room of the cluster lost: sequence numbers, first and last
// included. Both are 0 where such a room counts anew, and nobody can tell what is lost.
struct message_gap {
  std::uint64_t first = 0, last = 0;
  friend bool operator==(const message_gap&, const message_gap&) = default;
};

// A frame for receive_frame(): whole messages, however many fragments they came in, the control frames between them, and the gaps of what the
// connection itself is sent.
struct received_frame {
  opcode op = opcode::text;
  std::span<std::byte> payload; // of a close frame: two bytes of code, then the reason
  // Given: this is no frame of the peer, and empty. A room took these messages from the connection, which is too slow for them.
  std::optional<message_gap> gap{};

  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(payload.data()), payload.size()}; }
};

} // namespace ringcast

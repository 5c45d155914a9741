// The callbacks of a client, as they are until it starts.
#pragma once

#include <ringcast/client.hpp>
#include <ringcast/client_error.hpp>
#include <ringcast/message.hpp>
#include <ringcast/opcode.hpp>
#include <ringcast/position.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <span>
#include <string_view>

namespace ringcast::engine {

// A callback, and where it was set, for the log.
template <class Signature> struct placed_callback : std::function<Signature> {
  std::source_location where{};
};

struct client_events {
  placed_callback<void()> on_open;
  placed_callback<void(const message_view&)> on_message;
  placed_callback<void(opcode, std::span<const std::byte>)> on_control;
  placed_callback<void(const client_error&)> on_error;
  placed_callback<void(std::uint16_t code, std::string_view reason, const unsent_messages& unsent)> on_disconnected;
  placed_callback<void(std::uint16_t code, std::string_view reason, bool was_clean)> on_close;
  placed_callback<void(unsigned attempt, std::chrono::milliseconds delay)> on_reconnecting;
  placed_callback<void()> on_reconnected;
  placed_callback<void()> on_drain;
  placed_callback<void(const room_position& heard, const room_position& newest)> on_resumed;
  placed_callback<void(const room_position& heard, const room_position& newest)> on_gap;
};

} // namespace ringcast::engine

// What an application can be told, by name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringcast {

enum class webhook_event : std::uint8_t { room_occupied, room_vacated, user_joined, user_left, connection_closed };
constexpr std::size_t webhook_events = 5;

[[nodiscard]] constexpr std::string_view name_of(webhook_event what) {
  constexpr std::array<std::string_view, webhook_events> names{"room_occupied", "room_vacated", "user_joined", "user_left", "connection_closed"};
  return names[static_cast<std::size_t>(what)];
}

} // namespace ringcast

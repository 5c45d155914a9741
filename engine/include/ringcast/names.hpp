// The one rule for the names of rooms and of their members, for everybody who takes one from a peer or a program: 1 to 128 bytes for a room
// and 1 to 64 for a member, valid UTF-8 without control characters. A name that breaks it is refused, never cut.
// Any thread.
#pragma once

#include <cstddef>
#include <expected>
#include <string_view>

namespace ringcast {

inline constexpr std::size_t room_name_bytes_max = 128;
inline constexpr std::size_t member_name_bytes_max = 64;

// The error is a sentence without its full stop; it lives as long as the program.
[[nodiscard]] std::expected<void, std::string_view> check_room_name(std::string_view name) noexcept;
[[nodiscard]] std::expected<void, std::string_view> check_member_name(std::string_view name) noexcept;

} // namespace ringcast

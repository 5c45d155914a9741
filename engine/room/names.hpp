// The one rule for the names of rooms and of their members, for everybody who takes one from a peer or a program: 1 to 128 bytes for a room
// and 1 to 64 for a member, valid UTF-8 without control characters. A name that breaks it is refused, never cut.
#pragma once

#include <expected>
#include <string_view>

namespace ringcast {

// The error is a sentence without its full stop; it lives as long as the program.
[[nodiscard]] std::expected<void, std::string_view> check_room_name(std::string_view name) noexcept;
[[nodiscard]] std::expected<void, std::string_view> check_member_name(std::string_view name) noexcept;

} // namespace ringcast

#include <ringcast/names.hpp>

#include "engine/base/limits.hpp"
#include "proto/utf8.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

namespace ringcast {

using namespace engine;

namespace {

struct rule {
  std::size_t bytes_max;
  std::string_view empty, too_long, control, not_utf8;
};

std::expected<void, std::string_view> check(std::string_view name, const rule& r) noexcept {
  if (name.empty()) return std::unexpected(r.empty);
  if (name.size() > r.bytes_max) return std::unexpected(r.too_long);
  if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; })) return std::unexpected(r.control);
  if (!is_valid_utf8(std::as_bytes(std::span{name}))) return std::unexpected(r.not_utf8);
  return {};
}

static_assert(room_name_bytes_max == 128 && member_name_bytes_max == 64); // the sentences say so

constexpr rule of_rooms{room_name_bytes_max, "the room has no name", "the room's name is longer than 128 bytes",
                        "the room's name has control characters", "the room's name is not UTF-8"};
constexpr rule of_members{member_name_bytes_max, "the member has no name", "the name is longer than 64 bytes", "the name has control characters",
                          "the name is not UTF-8"};

} // namespace

std::expected<void, std::string_view> check_room_name(std::string_view name) noexcept { return check(name, of_rooms); }
std::expected<void, std::string_view> check_member_name(std::string_view name) noexcept { return check(name, of_members); }

} // namespace ringcast

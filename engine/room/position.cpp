#include <ringcast/position.hpp>

#include "engine/room/position_text.hpp"

#include <charconv>
#include <fmt/format.h>

namespace ringcast {

namespace {

constexpr std::size_t epoch_digits = 16;

bool parse_number(std::string_view text, int base, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc{} && end == text.data() + text.size();
}

} // namespace

std::string text_of_epoch(std::uint64_t epoch) { return fmt::format("{:016x}", epoch); }
std::string text_of(const room_position& position) { return std::string{engine::position_text{position}.view()}; }

std::optional<room_position> parse_position(std::string_view text) {
  room_position position;
  if (text.size() < epoch_digits + 2 || text[epoch_digits] != ':') return std::nullopt;
  if (!parse_number(text.substr(0, epoch_digits), 16, position.epoch)) return std::nullopt;
  if (!parse_number(text.substr(epoch_digits + 1), 10, position.sequence)) return std::nullopt;
  return position;
}

} // namespace ringcast

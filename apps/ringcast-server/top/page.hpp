// The page of `ringcast-server top` as text: from two looks at a server, so that what only grows becomes a rate. No socket, no terminal.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::top {

struct room_row {
  std::string name;
  std::uint64_t members = 0;
};

struct connection_row {
  std::string address, room, who; // who: its name, its user, or what kind of connection it is
  std::uint64_t bytes_behind = 0, messages_behind = 0, messages_in = 0, messages_out = 0, age_s = 0;
};

// What a server told at one moment.
struct look {
  double at_s = 0; // of a clock that only grows
  std::map<std::string, double, std::less<>> metrics; // each line of /metrics, without its value
  std::vector<room_row> rooms; // the largest first
  bool more_rooms = false; // that were not looked at
  std::vector<connection_row> slowest;

  [[nodiscard]] double operator[](std::string_view name) const;
};

// From the bodies of /metrics, /rooms and /connections; the error is one sentence.
[[nodiscard]] std::expected<look, std::string> look_of(double at_s, std::string_view metrics, std::string_view rooms, std::string_view connections);

// No line is wider than this, however wide the terminal is; the page is made for it.
inline constexpr std::size_t page_columns = 80;
// At most so many lines, each with its line feed. What a peer has chosen (names) cannot move the cursor.
[[nodiscard]] std::string page_text(std::string_view server, std::string_view time, const look& before, const look& now, std::size_t lines_max);

// That many columns of the terminal at most, where a character may be two wide or none. What a terminal takes as an order becomes a question mark.
[[nodiscard]] std::string fitted(std::string_view text, std::size_t columns);
// 1234567 is "1.23M": at most six characters.
[[nodiscard]] std::string short_number(double number);

} // namespace ringcast::top

#include "tests/sim/rigs/payload.hpp"

#include <charconv>
#include <fmt/format.h>

namespace ringcast::sim {

std::string make_payload(said what, std::size_t bytes) {
  std::string made = fmt::format("{} {} {} ", what.sender, what.number, bytes);
  while (made.size() < bytes) made.push_back(static_cast<char>('!' + (made.size() * 7 + what.number + what.sender) % 90));
  return made;
}

std::optional<said> check_payload(std::string_view payload) {
  std::uint64_t values[3];
  const char* at = payload.data();
  const char* const end = payload.data() + payload.size();
  for (std::uint64_t& value : values) {
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || next == end || *next != ' ') return std::nullopt;
    at = next + 1;
  }
  const said what{static_cast<std::uint32_t>(values[0]), static_cast<std::uint32_t>(values[1])};
  if (values[2] > 16'000'000 || make_payload(what, values[2]) != payload) return std::nullopt;
  return what;
}

} // namespace ringcast::sim

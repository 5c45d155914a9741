// What the scripted clients say: a payload that names its sender and its number, and whose every byte can be checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringcast::sim {

struct said {
  std::uint32_t sender = 0;
  std::uint32_t number = 0;
  auto operator<=>(const said&) const = default;
};

// "SENDER NUMBER BYTES " and a pattern up to `bytes`, or longer if the head alone is.
std::string make_payload(said what, std::size_t bytes);

// Empty if anything in it is not as make_payload() writes it.
std::optional<said> check_payload(std::string_view payload);

} // namespace ringcast::sim

#include "apps/load/run/options.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace ringcast::load {

namespace {

constexpr std::array<std::pair<std::string_view, load_mode>, 8> modes{{{"echo", load_mode::echo},
                                                                       {"broadcast", load_mode::broadcast},
                                                                       {"chat", load_mode::chat},
                                                                       {"connect", load_mode::connect},
                                                                       {"idle", load_mode::idle},
                                                                       {"slow-reader", load_mode::slow_reader},
                                                                       {"reconnect-storm", load_mode::reconnect_storm},
                                                                       {"resume", load_mode::resume}}};

} // namespace

std::string_view name_of(load_mode mode) {
  for (const auto& [name, value] : modes) {
    if (value == mode) return name;
  }
  return "?";
}

std::optional<load_mode> mode_of(std::string_view name) {
  for (const auto& [known, mode] : modes) {
    if (known == name) return mode;
  }
  return {};
}

bool has_messages(load_mode mode) { return mode != load_mode::connect && mode != load_mode::idle && mode != load_mode::reconnect_storm; }

unsigned load_options::window() const {
  if (in_flight) return in_flight;
  return is_open_loop() && mode != load_mode::echo ? 4096 : 1;
}

std::uint32_t load_options::slots() const { return std::bit_ceil(window()); }

unsigned load_options::sender_count() const { return has_messages(mode) ? senders : 0; }

unsigned load_options::slow_count() const {
  if (mode != load_mode::slow_reader) return 0;
  return std::min(std::max(1U, connections / 10), connections - senders);
}

unsigned load_options::hearer_count() const { return mode == load_mode::echo ? 1 : connections - slow_count() - (self ? 0 : 1); }

} // namespace ringcast::load

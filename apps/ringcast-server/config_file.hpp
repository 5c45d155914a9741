// Options from a file in TOML, whose keys are their names with _ for -.
#pragma once

#include "apps/ringcast-server/command_line.hpp"
#include "apps/ringcast-server/room_rights.hpp"
#include <ringcast/room_rules.hpp>

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

// What a table [[room]] says of the rooms whose names match its pattern. What is not given is as the server has it.
struct room_entry {
  std::string pattern;
  std::optional<slow_consumer> policy{};
  std::optional<std::uint64_t> send_queue_bytes_max{};
  std::optional<history_options> history{}; // by one of the three bounds at least; one that is not given is 0
  std::optional<std::uint64_t> message_bytes_max{};
  std::optional<std::uint32_t> members_max{};
  std::optional<bool> presence{};
  std::optional<rate_limit> messages{};
  std::optional<bool> cluster{};
  std::optional<std::vector<std::string>> join{}, publish{}; // words of room_rights

  [[nodiscard]] room_rules rules() const {
    return {policy, send_queue_bytes_max, history, message_bytes_max, members_max, presence, messages, cluster};
  }
  [[nodiscard]] room_rights rights() const;
};

// Each option names its place as "FILE:LINE: key". The error is one sentence, with its place. Tables [[room]] are taken by who gives `rooms`, in
// their order, and unknown to others.
[[nodiscard]] std::expected<std::vector<given_option>, std::string> read_config_file(const std::string& path,
                                                                                     std::vector<room_entry>* rooms = nullptr);
// The same of a text that is there already; `name` is what places begin with.
[[nodiscard]] std::expected<std::vector<given_option>, std::string> read_config(std::string_view text, std::string_view name,
                                                                                std::vector<room_entry>* rooms = nullptr);

} // namespace ringcast

// What ringcast-server was asked to do: its options from the command line and the environment.
#pragma once

#include "apps/ringcast-server/options.hpp"

#include <expected>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace ringcast {

// The values that one source (the command line, the environment) has for an option, and how that source calls it.
struct given_option {
  const option* what = nullptr;
  std::string where; // "--shards", "RINGCAST_SHARDS"
  std::vector<std::string> values;
};

struct command_line {
  std::vector<given_option> options;
  std::map<std::string, std::string, std::less<>> words; // command words, with what was given behind them
};

// Of what stands behind the program's name. The error is one sentence.
[[nodiscard]] std::expected<command_line, std::string> read_command_line(std::span<const std::string> arguments);

struct environment_options {
  std::vector<given_option> options;
  std::vector<std::string> remarks; // a sentence for each name that belongs to no option and looks like one
};
// Of the lines NAME=VALUE of an environment. Other names are somebody else's.
[[nodiscard]] environment_options read_environment(const char* const* environment);

// What was given, on top of the defaults: of what is given twice the later wins. The error is one sentence.
[[nodiscard]] std::expected<settings, std::string> settings_of(std::span<const given_option> given);

} // namespace ringcast

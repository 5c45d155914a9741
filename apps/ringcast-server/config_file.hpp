// Options from a file in TOML, whose keys are their names with _ for -.
#pragma once

#include "apps/ringcast-server/command_line.hpp"

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

// Each names its place as "FILE:LINE: key". The error is one sentence, with its place.
[[nodiscard]] std::expected<std::vector<given_option>, std::string> read_config_file(const std::string& path);
// The same of a text that is there already; `name` is what places begin with.
[[nodiscard]] std::expected<std::vector<given_option>, std::string> read_config(std::string_view text, std::string_view name);

} // namespace ringcast

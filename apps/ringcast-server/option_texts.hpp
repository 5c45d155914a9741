// The options in words: for --help, as a file to begin with, and for the README, whose table is this one
// (tests/server_program/readme_options_test.py).
#pragma once

#include <string>

namespace ringcast {

[[nodiscard]] std::string help_text();
// In TOML. Every option is a comment with its default, so nothing is set.
[[nodiscard]] std::string example_file();
[[nodiscard]] std::string options_in_markdown();

} // namespace ringcast

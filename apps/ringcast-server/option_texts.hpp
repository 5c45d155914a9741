// The options in words: for --help, and for the README, whose table is this one (tests/server_program/readme_options_test.py).
#pragma once

#include <string>

namespace ringcast {

[[nodiscard]] std::string help_text();
[[nodiscard]] std::string options_in_markdown();

} // namespace ringcast

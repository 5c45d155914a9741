// ringcast-load(1), from what CLI11 was told of the options.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace ringcast::load {

[[nodiscard]] std::string man_page(const CLI::App& app);

} // namespace ringcast::load

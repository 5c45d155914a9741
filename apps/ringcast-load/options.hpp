// The command line of ringcast-load.
#pragma once

#include "apps/load/run/options.hpp"

#include <optional>

namespace ringcast::load {

// The options, or the exit code when there is nothing to run: 0 after --help, 2 after one sentence about what is wrong.
struct parse_outcome {
  std::optional<load_options> options;
  int exit_code = 0;
};
[[nodiscard]] parse_outcome parse_options(int argc, char** argv);

} // namespace ringcast::load

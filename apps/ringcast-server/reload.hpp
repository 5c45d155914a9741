// What a new reading of the options changes in a server that runs.
#pragma once

#include "apps/ringcast-server/options.hpp"

#include <string>
#include <vector>

namespace ringcast {

struct option_changes {
  std::vector<std::string> taken;   // "log_level = debug": may change at once
  std::vector<std::string> refused; // the same of those for which the server has to be started again
};

// What is different in `wanted`. The options that may change are taken over into `running`.
[[nodiscard]] option_changes take_changes(settings& running, const settings& wanted);

} // namespace ringcast

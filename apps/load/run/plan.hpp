// How a run is spread: over as many processes as the descriptors of its connections need, and over threads.
#pragma once

#include "apps/load/run/options.hpp"

#include <expected>
#include <string>

namespace ringcast::load {

struct run_plan {
  unsigned processes = 1;
  unsigned workers = 1; // Threads, over all processes; a multiple of `processes`.
};

// Raises this process's descriptor limit as far as it goes. Worker w belongs to process w % processes and has the
// connections w, w + workers, w + 2 * workers... One sentence if the connections cannot be had.
[[nodiscard]] std::expected<run_plan, std::string> plan_run(const load_options& options);

} // namespace ringcast::load

// A line in the log for who was refused and why, at most ten a second of all shards together.
#pragma once

#include <ringcast/statistics.hpp>

namespace ringcast::engine {

// Asks the kernel for the peer's address, if the line is said.
void log_refusal(refusal why, int socket);

} // namespace ringcast::engine

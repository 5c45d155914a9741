// Starting a coroutine that nobody awaits.
#pragma once

#include <ringcast/task.hpp>

#include <source_location>

namespace ringcast {

// Starts the task in this turn of the calling thread's shard or client_loop; on another thread that is asserted. An exception that leaves it is
// logged with `where`. A task that has not returned when its shard ends is destroyed.
void spawn(task<void> work, std::source_location where = std::source_location::current());

} // namespace ringcast

// What shards and rings still hold when nobody uses them any more.
#pragma once

#include <string>
#include <vector>

namespace ringcast::engine {
class shard;
}

namespace ringcast::sim {

class kernel;

// Appends one sentence for each thing that a shard without connections must not have.
void add_shard_remains(engine::shard& s, const std::string& name, std::vector<std::string>& found);
// The same for all rings: nothing is in flight but the doorbells' reads and the accepts, and the kernel has every
// receive buffer.
void add_ring_remains(const kernel& world, std::vector<std::string>& found);

} // namespace ringcast::sim

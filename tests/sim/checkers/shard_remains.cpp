#include "tests/sim/checkers/shard_remains.hpp"

#include "engine/shard/shard.hpp"
#include "tests/sim/kernel/kernel.hpp"
#include "tests/sim/kernel/ring_state.hpp"

namespace ringcast::sim {

using namespace engine;

void add_shard_remains(shard& s, const std::string& name, std::vector<std::string>& found) {
  if (s.connection_count() != 0) found.push_back(fmt::format("{} has {} connections", name, s.connection_count()));
  if (s.tls().handshakes_in_progress() != 0) found.push_back(fmt::format("{} counts {} TLS handshakes", name, s.tls().handshakes_in_progress()));
  if (s.rooms().size() != 0) found.push_back(fmt::format("{} sees {} rooms", name, s.rooms().size()));
  if (s.home().size() != 0) found.push_back(fmt::format("{} is home of {} rooms", name, s.home().size()));
  if (s.home().chunks().chunks_out() != 0)
    found.push_back(fmt::format("{} chunks of {} are still read by somebody", s.home().chunks().chunks_out(), name));
}

void add_ring_remains(const kernel& world, std::vector<std::string>& found) {
  for (ring_state* ring : world.rings()) {
    const std::size_t expected = ring->operations_in_flight(IORING_OP_READ) + ring->operations_in_flight(IORING_OP_ACCEPT);
    if (ring->operations_in_flight() != expected)
      found.push_back(
          fmt::format("{} operations are in flight, and only {} of them are a doorbell or an accept", ring->operations_in_flight(), expected));
    if (ring->buffers_away() != 0) found.push_back(fmt::format("{} receive buffers are not with the kernel", ring->buffers_away()));
  }
}

} // namespace ringcast::sim

#include "tests/sim/kernel/conformance.hpp"

#include "tests/sim/kernel/kernel.hpp"

namespace ringcast::sim {

std::shared_ptr<void> make_world() {
  if (kernel::current() != nullptr) return nullptr; // The case brought its own.
  machine host;
  // Like a socket of the loopback interface: both buffers hold some hundred KiB.
  host.send_bytes_min = host.send_bytes_max = 200'000;
  host.receive_bytes_min = host.receive_bytes_max = 200'000;
  auto world = std::make_shared<kernel>(1, fault_plan{}, host);
  world->misuse_throws = true;
  return world;
}

void settle() { kernel::current()->advance_by(10'000'000); }

void forbid_descriptors() { kernel::current()->host.descriptors_max = kernel::current()->open_descriptors(); }
void allow_descriptors() { kernel::current()->host.descriptors_max = 20'000; }

} // namespace ringcast::sim

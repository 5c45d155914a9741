// What the cases of conformance_*.cpp need from the kernel they run on: the real one or the simulated one.
#pragma once

#include <memory>

namespace ringcast::sim {

// A fresh machine for one case; nothing for the real kernel.
std::shared_ptr<void> make_world();
// Waits until everything that is under way has arrived.
void settle();
// After this call no further descriptor can be opened, until allow_descriptors().
void forbid_descriptors();
void allow_descriptors();

} // namespace ringcast::sim

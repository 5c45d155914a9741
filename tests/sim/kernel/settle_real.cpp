#include "tests/sim/kernel/conformance.hpp"

#include <sys/resource.h>
#include <unistd.h>

namespace ringcast::sim {

namespace {

rlimit before{};

} // namespace

std::shared_ptr<void> make_world() { return nullptr; }

void settle() { usleep(5000); }

void forbid_descriptors() {
  getrlimit(RLIMIT_NOFILE, &before);
  const int lowest = dup(0);
  close(lowest);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(lowest);
  setrlimit(RLIMIT_NOFILE, &tight);
}

void allow_descriptors() { setrlimit(RLIMIT_NOFILE, &before); }

} // namespace ringcast::sim

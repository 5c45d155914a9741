// The four functions of liburing that the engine calls and that are not inline, over the simulated kernel. A program
// that links this file does not link liburing.
#include "tests/sim/kernel/kernel.hpp"
#include "tests/sim/kernel/ring_state.hpp"

#include <bit>
#include <cerrno>
#include <liburing.h>

using ringcast::sim::kernel;
using ringcast::sim::open_file;
using ringcast::sim::ring_state;

namespace {

kernel& world() {
  kernel* const running = kernel::current();
  if (running == nullptr) std::abort();
  return *running;
}

} // namespace

extern "C" {

int io_uring_queue_init_params(unsigned entries, io_uring* ring, io_uring_params* params) {
  if (world().host.refuse_rings != 0) return -world().host.refuse_rings;
  constexpr unsigned known =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  constexpr unsigned needed = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
  if ((params->flags & ~known) != 0 || (params->flags & needed) != needed)
    world().report_misuse(fmt::format("a ring with set-up flags {:#x}, which is not simulated", params->flags));
  const unsigned completions = (params->flags & IORING_SETUP_CQSIZE) != 0 ? params->cq_entries : 2 * entries;
  if (entries == 0 || entries > 32'768 || completions < entries || completions > 65'536) return -EINVAL;
  auto file = std::make_shared<open_file>(open_file::kind::ring);
  file->ring = std::make_unique<ring_state>(world(), std::bit_ceil(entries), std::bit_ceil(completions));
  *ring = {};
  file->ring->fill_in(*ring);
  params->sq_entries = std::bit_ceil(entries);
  params->cq_entries = std::bit_ceil(completions);
  params->features = ring->features;
  ring->flags = params->flags;
  const int descriptor = world().open(std::move(file));
  if (descriptor < 0) return descriptor;
  ring->ring_fd = ring->enter_ring_fd = descriptor;
  return 0;
}

void io_uring_queue_exit(io_uring* ring) { world().close(ring->ring_fd); }

int io_uring_enter2(unsigned descriptor, unsigned submit_count, unsigned wait_count, unsigned flags, sigset_t* argument, std::size_t argument_bytes) {
  const ringcast::sim::call_scope here;
  const auto file = world().find(static_cast<int>(descriptor));
  if (!file || !file->ring) return -EBADF;
  return file->ring->enter(submit_count, wait_count, flags, argument, argument_bytes);
}

int io_uring_register(unsigned descriptor, unsigned opcode, const void* argument, unsigned count) {
  const auto file = world().find(static_cast<int>(descriptor));
  if (!file || !file->ring) return -EBADF;
  return file->ring->register_with(opcode, argument, count);
}

} // extern "C"

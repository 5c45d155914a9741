// What can go wrong in a simulated run, each by its own probability between 0 and 1, and all off by default.
//
// Every fault is something that a correct kernel or network may do at any time. None of them gives the engine the right
// to lose, repeat or reorder a byte.
#pragma once

#include "tests/sim/kernel/random_source.hpp"

#include <cstddef>
#include <cstdint>

namespace ringcast::sim {

struct fault_plan {
  double short_send = 0; // a send takes only a part, or nothing, although there is room
  double no_buffers = 0;            // a multishot receive ends with ENOBUFS; the buffers that caused it are still unread completions
  double reset = 0; // a connection is reset when it delivers something
  double multishot_ends = 0; // a multishot operation posts its last completion although nothing is wrong (as on a full ring)
  double late_cancel = 0;      // what was cancelled completes long after the cancel did
  double no_descriptors = 0;   // an accept finds the descriptor table full (EMFILE)
  double slow_delivery = 0;    // a delivery takes milliseconds instead of microseconds
  double split_delivery = 0;   // a delivery brings only some of the bytes that are under way
  double late_doorbell = 0;    // what waits for an eventfd notices a write to it late
  double little_task_work = 0; // a wait runs only some of the work that is pending
};

// The sizes and times of the simulated machine.
struct machine {
  std::size_t send_bytes_min = 4096; // each socket's buffers are drawn between these
  std::size_t send_bytes_max = 262'144;
  std::size_t receive_bytes_min = 4096;
  std::size_t receive_bytes_max = 262'144;
  std::uint64_t latency_ns_max = 50'000;
  std::size_t descriptors_max = 20'000;
  std::uint32_t features_hidden = 0; // IORING_FEAT_* bits that this kernel does not have
  bool incremental_buffers = true;   // IOU_PBUF_RING_INC
  int refuse_rings = 0;              // an errno that io_uring_setup answers with, or 0
};

// A plan in which about half of the faults are on, some of them often.
inline fault_plan draw_faults(random_source& chance) {
  const auto draw = [&](double most) {
    if (chance.below(2) == 0) return 0.0;
    return most * static_cast<double>(1 + chance.below(100)) / 100.0;
  };
  fault_plan plan;
  plan.short_send = draw(0.3);
  plan.no_buffers = draw(0.3);
  plan.reset = draw(0.002);
  plan.multishot_ends = draw(0.2);
  plan.late_cancel = draw(0.8);
  plan.no_descriptors = draw(0.3);
  plan.slow_delivery = draw(0.05);
  plan.split_delivery = draw(0.8);
  plan.late_doorbell = draw(0.5);
  plan.little_task_work = draw(0.9);
  return plan;
}

inline machine draw_machine(random_source& chance) {
  machine drawn;
  if (chance.below(2) == 0) { // Tiny buffers: every send is short and every frame is cut.
    drawn.send_bytes_min = 20;
    drawn.send_bytes_max = 600;
    drawn.receive_bytes_min = 20;
    drawn.receive_bytes_max = 600;
  }
  if (chance.below(4) == 0) drawn.latency_ns_max = 0;
  if (chance.below(4) == 0) drawn.incremental_buffers = false;
  if (chance.below(4) == 0) drawn.features_hidden = 1u << 15; // IORING_FEAT_MIN_TIMEOUT
  return drawn;
}

} // namespace ringcast::sim

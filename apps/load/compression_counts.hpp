// What permessage-deflate did, over a whole run. Plain bytes, so that it can be handed over through shared memory.
#pragma once

#include <cstdint>

namespace ringcast::load {

struct compression_counts {
  std::uint64_t connections = 0;     // That agreed on it.
  std::uint64_t sent_bytes = 0;      // Payloads as they are...
  std::uint64_t sent_wire_bytes = 0; // ...and as they were sent.
  std::uint64_t received_bytes = 0;  // The same of what came compressed.
  std::uint64_t received_wire_bytes = 0;
  std::uint64_t received_deflated = 0; // Messages.
  std::uint64_t received_plain = 0;    // On connections that had agreed on it.

  void add(const compression_counts& other) {
    connections += other.connections;
    sent_bytes += other.sent_bytes;
    sent_wire_bytes += other.sent_wire_bytes;
    received_bytes += other.received_bytes;
    received_wire_bytes += other.received_wire_bytes;
    received_deflated += other.received_deflated;
    received_plain += other.received_plain;
  }
};

} // namespace ringcast::load

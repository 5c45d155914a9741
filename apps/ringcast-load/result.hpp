// What a run found out.
#pragma once

#include "apps/ringcast-load/histogram.hpp"
#include "apps/ringcast-load/ledger.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ringcast {

struct server_usage {
  double user_s = 0;
  double system_s = 0;
  std::int64_t memory_bytes = 0;        // Private memory at the end of the measured time.
  std::int64_t memory_bytes_before = 0; // And before the first connection.
};

struct load_result {
  proof totals;               // Of the whole run, warm-up included.
  std::uint64_t messages = 0; // Sent in the measured time.
  std::uint64_t deliveries = 0;
  std::uint64_t unsent = 0;         // Planned, but the senders still waited for earlier messages when time was up.
  std::uint64_t other_messages = 0; // Came, and were not ours: a chat's "NAME joined".
  std::uint64_t closed_slow = 0;    // Slow readers that the server closed.
  std::uint64_t opened = 0;         // Connections opened in the measured time (connect, reconnect-storm).
  std::uint64_t storms = 0;
  unsigned connections = 0; // Open at the end of the measured time.
  std::uint64_t errors = 0;
  double seconds = 0;         // Measured, until the last message had arrived.
  double generator_cpu_s = 0; // Of the busiest thread.
  bool measured = false;
  histogram corrected; // From the planned time to the receipt; empty in the closed loop.
  histogram raw;       // From the send to the receipt.
  histogram handshakes;
  histogram send_lag;    // How late the generator itself was with planned messages.
  histogram storm_times; // From the loss of all connections to the last one open again.
  std::string trouble;   // One sentence, if the run could not be done or finished.

  void add(const load_result& other);
};

} // namespace ringcast

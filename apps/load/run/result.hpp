// What a run found out. Plain bytes, since workers in other processes hand it over through shared memory.
#pragma once

#include "apps/load/compression_counts.hpp"
#include "apps/load/histogram.hpp"
#include "apps/load/ledger.hpp"
#include "apps/load/run/shared_order.hpp"

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace ringcast::load {

struct server_usage {
  double user_s = 0;
  double system_s = 0;
  std::int64_t memory_bytes = 0;        // Private memory at the end of the measured time.
  std::int64_t memory_bytes_before = 0; // And before the first connection.
};

// A sentence without an allocation; what is too long is cut.
class short_text {
 public:
  short_text() = default;
  explicit short_text(std::string_view text) : size_{static_cast<std::uint32_t>(text.copy(text_.data(), text_.size()))} {}
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 500> text_{};
  std::uint32_t size_ = 0;
};

// --mode resume.
struct resume_counts {
  std::uint64_t cut = 0;
  std::uint64_t resumed = 0;     // Came back, and were told that everything follows.
  std::uint64_t not_resumed = 0; // Came back, and were told that something may be missing.
  std::uint64_t replayed = 0;    // Messages that they heard before they were caught up.
  std::uint64_t misnumbered = 0; // Messages whose number did not follow the one before, or under which others heard something else.
  std::uint64_t whole_members = 0; // Connections that heard every message.
  std::int64_t return_ns = 0;    // When all that --cut all had cut began to come back, since the epoch.

  [[nodiscard]] bool holds() const { return misnumbered == 0; }
  void add(const resume_counts& other);
};

// --mode reconnect-storm --ended-by-server. Seconds count from the start of the measured time.
struct return_counts {
  static constexpr std::size_t seconds_max = 600;

  std::uint64_t ended = 0;    // Connections that the server ended.
  std::uint64_t returned = 0; // Of those, how many are back.
  std::uint64_t refused = 0;  // Attempts to come back that came to nothing.
  std::array<std::uint32_t, seconds_max> returned_in_second{};
  short_text refusal; // Why the first of them came to nothing.

  [[nodiscard]] std::uint32_t most_in_a_second() const;
  void add(const return_counts& other);
};

// --order total: what connections heard in one place of the order, compared with the first of them that came there.
struct order_counts {
  std::uint64_t compared = 0;
  std::uint64_t unjudged = 0;     // Deliveries so far behind that their place is not remembered.
  std::uint64_t differing = 0;    // Connections that heard another order than the first ones did; each is judged up to there.
  std::uint64_t position = 0;     // Of the first difference, the earliest of all.
  std::uint32_t connection = 0;
  heard_message heard, by_others;

  [[nodiscard]] bool holds() const { return differing == 0; }
  void add(const order_counts& other);
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
  std::uint64_t connections = 0; // Open at the end of the measured time.
  std::uint64_t errors = 0;
  std::int64_t storm_end_ns = 0; // When the last connection was back after the latest storm, or caught up, since the epoch.
  double seconds = 0;            // Measured, until the last message had arrived.
  double generator_cpu_s = 0;    // Of the busiest thread.
  double generator_wait_s = 0;   // How long the unluckiest thread was ready and had no processor.
  bool measured = false;
  compression_counts compression;
  resume_counts resuming;
  order_counts order;
  return_counts returns;
  histogram corrected; // From the planned time to the receipt; empty in the closed loop.
  histogram raw;       // From the send to the receipt.
  histogram handshakes;
  histogram send_lag;    // How late the generator itself was with planned messages.
  histogram storm_times; // From the loss of all connections to the last one open again; of --cut all until the last one was caught up.
  histogram catch_up;    // Of each that was cut, from its attempt to come back until it had heard what the room had said by then.
  short_text trouble;    // If the run could not be done or finished.

  // Adds what another worker found in the same run.
  void add(const load_result& other);
};
static_assert(std::is_trivially_copyable_v<load_result>);

} // namespace ringcast::load

// Messages through a server, each accounted for: echo, broadcast, chat and slow-reader differ in who sends and who
// hears.
//
//   echo         every connection sends and hears itself.
//   broadcast    the first M connections send, every connection hears (but the sender itself with --no-self).
//   chat         every connection sends, every connection hears.
//   slow-reader  as broadcast; the last tenth of the connections never reads and is not expected to hear.
//
// Closed loop: a sender has `window` messages on their way and sends the next when the oldest has reached everybody.
// Open loop: message k of the run is planned for k / rate, the senders take turns, and latency counts from the plan,
// whatever kept the message waiting; the raw latency counts from the moment it was really sent. A message that cannot
// be sent because the window is full waits: that wait is in the first figure and not in the second, which is what
// "coordinated omission" means.
#pragma once

#include "apps/ringcast-load/connection_set.hpp"
#include "apps/ringcast-load/ledger.hpp"
#include "apps/ringcast-load/progress.hpp"
#include "apps/ringcast-load/result.hpp"
#include "apps/ringcast-load/tag.hpp"

#include <vector>

namespace ringcast {

class traffic final : public connection_set {
 public:
  traffic(const load_options& options, unsigned first_ordinal, unsigned count, progress& shown);

  [[nodiscard]] bool open();
  // Runs for this long at this rate (0: closed loop), then waits until every message has arrived or has been given up.
  // With `measured` its figures are the run's figures, in place of those of an earlier call. False: see trouble().
  bool run(double seconds, double rate, bool measured);
  // The figures so far. Valid at any time, also after trouble.
  [[nodiscard]] load_result result() const;

 private:
  struct sender {
    std::uint32_t next = 0;      // Number of its next message.
    std::uint32_t completed = 0; // Messages before this one have reached everybody, or were given up.
    std::uint64_t due = 0;       // Open loop: how many of this part's messages are planned by now...
    std::uint64_t published = 0; // ...and how many of them were sent.
    bool waiting = false;        // Since its window was full.
  };
  struct outstanding {
    std::int64_t ticks = 0;   // As in the tag.
    std::int64_t sent_ns = 0; // Since the run began.
    std::uint32_t missing = 0;
  };

  void on_message(unsigned i, std::span<const std::byte> payload) override;
  void on_read(unsigned i) override;
  void on_ended(unsigned i, stage was, const std::string& why) override;
  void on_turn() override;

  void publish(std::uint32_t s, std::int64_t planned_ns);
  void publish_due(std::int64_t now);
  void publish_waiting(std::uint32_t s);
  void deliver(unsigned i, std::uint32_t s, const message_tag& tag);
  void arrived(std::uint32_t s, std::uint32_t number);
  void give_up_overdue(std::int64_t now, bool all);
  void flush_dirty();
  void settle_lost();
  [[nodiscard]] bool is_slow(unsigned i) const { return i >= size() - slow_; }
  [[nodiscard]] bool is_quiet() const;
  [[nodiscard]] std::int64_t planned_ns(std::uint32_t s, std::uint64_t of_its_own) const;
  [[nodiscard]] outstanding& slot(std::uint32_t s, std::uint32_t number) {
    return outstanding_[std::size_t{s} * ring_ + (number & (ring_ - 1))];
  }
  [[nodiscard]] std::int64_t elapsed_ns() const;

  progress& progress_;
  unsigned slow_ = 0;
  std::uint32_t window_;
  std::uint32_t ring_ = 1; // A power of two, at least the window.
  std::uint32_t hearers_ = 1;
  filler filler_;
  ledger ledger_;
  std::vector<sender> senders_;
  std::vector<outstanding> outstanding_;
  std::vector<std::uint32_t> dirty_; // Senders with something to flush.
  std::int64_t epoch_ns_;            // The times in the tags count from here.
  std::int64_t start_ns_ = 0;        // Of this part, since the epoch.
  double rate_ = 0;
  double share_ = 1; // Of the rate, when several threads share it.
  std::uint64_t planned_ = 0;
  bool stopping_ = false;
  bool measuring_ = false;
  std::int64_t received_ = 0; // When the present bytes came, since the epoch.
  std::uint64_t arrivals_ = 0;
  proof part_;   // Of this part.
  proof before_; // Of the parts that are over.
  load_result result_;
};

} // namespace ringcast

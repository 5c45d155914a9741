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
//
// A message is planned and sent by the worker that has its sender, and heard by the workers that have its hearers; what
// they must know of each other is on the board.
#pragma once

#include "apps/load/ledger.hpp"
#include "apps/load/run/worker.hpp"
#include "apps/load/schedule.hpp"
#include "apps/load/tag.hpp"

#include <vector>

namespace ringcast::load {

using namespace engine;

class traffic final : public worker {
 public:
  traffic(const load_options& options, board& shared, unsigned index);

 private:
  // One of this worker's connections that send. Its number in the run is `number_of(m)`.
  struct sender {
    std::uint32_t next = 0;      // Number of its next message.
    std::uint32_t completed = 0; // Messages before this one have reached everybody, or were given up.
    std::uint64_t due = 0;       // Open loop: how many of this step's messages are planned by now...
    std::uint64_t published = 0; // ...and how many of them were sent.
    bool waiting = false;        // Since its window was full.
    bool dirty = false;          // It has something to flush.
  };
  // How many of this worker's connections still have to hear a message.
  struct unheard {
    std::uint32_t number_plus_1 = 0; // 0: no message was here yet.
    std::uint32_t missing = 0;
  };

  bool open() override;
  // Runs for the step's time at its rate (0: closed loop), then waits until every message has arrived everywhere or has
  // been given up. A measured step's figures replace those of an earlier one.
  void run(const load_step& step) override;
  [[nodiscard]] load_result result() const override;
  [[nodiscard]] live_counts counts() const override;
  [[nodiscard]] const histogram* live_latency() const override;

  void on_message(unsigned i, std::span<const std::byte> payload) override;
  void on_event(unsigned i, const heard_event& event) override;
  void on_read(unsigned i) override;
  void on_ended(unsigned i, stage was, const std::string& why) override;

  // Returns when all workers are ready; false if that will not come.
  [[nodiscard]] bool begin(const load_step& step);
  void conclude(const load_step& step);
  void publish(std::uint32_t m, std::int64_t planned_ns);
  void publish_due(std::int64_t now);
  void publish_waiting(std::uint32_t m);
  void flush_dirty();
  void deliver(unsigned i, const message_tag& tag, const std::optional<board::sent_message>& sent);
  void judge_order(unsigned i, const message_tag& tag);
  // The slow ones read what there is for them: a server's Close frame, or its end of the connection, may stand behind that.
  void hear_out_the_slow();
  void arrived(std::uint32_t s, std::uint32_t number);
  void advance(std::uint32_t m);
  void give_up_overdue(std::int64_t now, bool all);

  [[nodiscard]] bool is_slow(unsigned i) const { return ordinal(i) >= options_.connections - options_.slow_count(); }
  // How many connections of a worker hear this sender.
  [[nodiscard]] std::uint32_t hearing_at(unsigned worker, std::uint32_t s) const;
  [[nodiscard]] bool is_quiet() const;
  // Senders have the numbers of their connections, and so belong to the workers in turn.
  [[nodiscard]] std::uint32_t number_of(std::uint32_t m) const { return ordinal(m); }
  [[nodiscard]] bool is_ours(std::uint32_t s) const { return s % board_.workers() == index_; }
  [[nodiscard]] std::int64_t planned_ns(std::uint32_t m, std::uint64_t of_its_own) const;
  [[nodiscard]] std::int64_t next_planned_ns() const;

  const std::uint32_t window_;
  const std::uint32_t slots_;
  const std::uint32_t all_senders_;
  filler filler_;
  ledger ledger_;
  std::vector<sender> senders_;
  zero_pages<unheard> unheard_;        // Of each sender of the run, in the slots of the board.
  std::vector<std::uint32_t> dirty_;   // Senders with something to flush.
  std::vector<std::uint32_t> hearing_; // Connections of each worker that hear.
  std::int64_t start_ns_ = 0;          // Of this step, since the epoch.
  std::int64_t stop_ns_ = 0;
  double rate_ = 0;
  schedule plan_;
  std::uint64_t planned_ = 0; // How many of this worker's messages of this step are planned by now.
  bool stopping_ = true;
  bool measuring_ = false;
  std::int64_t received_ = 0; // When the present bytes came, since the epoch.
  std::uint64_t arrivals_ = 0;
  std::vector<std::uint64_t> positions_; // With --order total: how many messages each connection has heard, or `judged`.
  order_counts order_;                   // Of the whole run.
  std::int64_t slow_heard_ns_ = 0;       // When one of the slow ones read something last.
  static constexpr std::uint64_t judged = ~std::uint64_t{0};
  proof proof_;
  load_result result_;
};

} // namespace ringcast::load

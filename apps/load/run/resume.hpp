// Members of a room that remembers are cut off, again and again, and come back with their position; each must hear every
// message of the run once, in order, under the number that follows the one before.
//
// The first M connections publish at a rate, and are never cut. Every connection hears. How long one of the others stays and
// how long it is away follows from the seed and its number; with --cut all they all leave when the measured time begins, and come back
// together. Two proofs are kept for each member: of the messages, by sender and number as in the other modes, and of their positions,
// which a server could get wrong although nothing is missing. With --sse those that are cut are event streams: their positions are the ids of
// the events, and they come back with Last-Event-ID.
#pragma once

#include "apps/load/ledger.hpp"
#include "apps/load/run/worker.hpp"
#include "apps/load/schedule.hpp"
#include "apps/load/tag.hpp"

#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

namespace ringcast::load {

using namespace engine;

class resume final : public worker {
 public:
  resume(const load_options& options, board& shared, unsigned index);

 private:
  struct member {
    std::uint64_t epoch = 0;
    std::uint64_t position = 0;     // Of the last message that it heard, or of the newest one when it joined.
    std::uint64_t newest = 0;       // When it joined last: up to here a message is replayed.
    std::uint64_t heard = 0;        // Messages of this run, each counted once.
    std::int64_t dialed_ns = 0;     // When it began to come back.
    bool has_joined = false;        // Ever: there is a position to come back with.
    bool awaits_hello = true;       // The first message of a connection says where it is.
    bool knows_position = false;    // Else whatever number comes next is right: it was told that something may be missing.
    bool is_catching_up = false;
    std::minstd_rand random;
  };
  // When a member is cut, or if it is away comes back.
  struct change {
    std::int64_t when_ns = 0;
    unsigned i = 0;
    bool operator>(const change& other) const { return when_ns > other.when_ns; }
  };

  // Returns when all members have been told where they are: from then on nothing may be missed.
  bool open() override;
  void run(const load_step& step) override;
  [[nodiscard]] load_result result() const override;
  [[nodiscard]] live_counts counts() const override;
  [[nodiscard]] const histogram* live_latency() const override { return measuring_ ? &result_.corrected : nullptr; }
  [[nodiscard]] std::string more_query(unsigned i) const override;
  [[nodiscard]] std::string last_event_id(unsigned i) const override;

  void on_message(unsigned i, std::span<const std::byte> payload) override;
  void on_event(unsigned i, const heard_event& event) override;
  void on_ended(unsigned i, stage was, const std::string& why) override;

  [[nodiscard]] bool begin_step(const load_step& step);
  void conclude(const load_step& step);
  void publish_due(std::int64_t now);
  void publish(unsigned m, std::int64_t planned_ns);

  void plan_first_cuts();
  void plan_next_cut(unsigned i, std::int64_t now);
  void cut_and_return(std::int64_t now);
  [[nodiscard]] std::int64_t away_until(unsigned i, std::int64_t now);

  void on_hello(unsigned i, std::span<const std::byte> payload);
  // A message under its number; none if what came says none.
  void hear(unsigned i, std::optional<std::uint64_t> number, std::span<const std::byte> text);
  void take_number(member& m, std::uint64_t number, const message_tag& tag);
  void deliver(unsigned i, const message_tag& tag);
  void look_at_catching_up(unsigned i);

  [[nodiscard]] bool has_everything(unsigned i) const;
  // When the last one that was cut has begun to come back.
  [[nodiscard]] std::int64_t all_back_ns() const;
  [[nodiscard]] bool is_over(std::int64_t now) const;
  [[nodiscard]] std::int64_t next_planned_ns() const;
  [[nodiscard]] bool can_be_cut(unsigned i) const { return ordinal(i) >= options_.senders; }
  [[nodiscard]] std::size_t pair_of(unsigned i, std::uint32_t sender) const { return std::size_t{i} * options_.senders + sender; }

  const unsigned own_senders_; // Of this worker; they are its first connections.
  filler filler_;
  ledger ledger_;
  std::vector<member> members_;
  std::vector<std::uint32_t> next_numbers_; // Of each own sender.
  std::priority_queue<change, std::vector<change>, std::greater<>> changes_;
  // What the first member that heard a number heard under it, as sender and number: the others must hear the same.
  std::vector<std::uint64_t> order_;
  std::optional<std::uint64_t> order_epoch_;
  std::uint64_t order_first_ = 0;
  unsigned joined_ = 0;
  unsigned away_ = 0;     // Cut, and not yet told where they are.
  unsigned to_catch_up_ = 0; // Of those that --cut all has cut.
  std::int64_t start_ns_ = 0;
  std::int64_t stop_ns_ = 0;
  schedule plan_;
  std::uint64_t planned_ = 0; // How many of this worker's messages of this step have been planned.
  std::int64_t last_arrival_ns_ = 0;
  bool stopping_ = true;
  bool measuring_ = false;
  proof proof_;
  load_result result_;
};

} // namespace ringcast::load

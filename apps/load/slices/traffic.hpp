// Messages through rooms, counted to the last one. Echo, broadcast and chat are the same thing with different seats:
//
//   echo       as many rooms as connections; each holds one connection that talks and hears itself.
//   broadcast  one room; every member hears, and one more connection talks and does not hear itself (?self=0). Others
//   may
//              be there that never read (--stalled); nobody waits for them.
//   chat       each member of a room talks and hears all the others (?self=0).
//
// Closed loop (rate 0): a talker has `depth` messages outstanding, and sends the next one when one of its messages has
// reached every connection that hears it. What is due is sent at the end of each turn in one call per talker, in echo
// at once. Open loop: messages have planned times, the talkers take turns, and latency counts from the plan to each
// receipt.
//
// Each receiver checks that it gets each talker's messages in order and each once, so a run that ends well lost
// nothing.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "apps/load/histogram.hpp"
#include "apps/load/ledger.hpp"
#include "apps/load/schedule.hpp"
#include "apps/load/slices/connect.hpp"
#include "apps/load/slices/dialect.hpp"
#include "apps/load/slices/frames.hpp"
#include "apps/load/slices/options.hpp"

namespace ringcast::load::slices {

using namespace engine;

class traffic {
 public:
  explicit traffic(const options& chosen);
  ~traffic();
  traffic(const traffic&) = delete;
  traffic& operator=(const traffic&) = delete;

  // Opens the connections. Why not, if it could not.
  [[nodiscard]] std::expected<void, std::string> open();

  // Warms up and measures, each from quiet to quiet: nothing is outstanding when a part begins, and it ends when every
  // message has arrived everywhere. So each message is counted with all the CPU it cost, and nothing else is. The
  // report of the measured part, or why there is none; `lost()` says whether messages were lost or wrong.
  [[nodiscard]] std::expected<nlohmann::json, std::string> slice(double warmup_s, double seconds);
  [[nodiscard]] bool lost() const { return lost_; }

 private:
  static constexpr std::uint32_t nobody = ~0U;

  struct seat {
    int fd = -1;
    std::unique_ptr<link> through;
    std::uint32_t room = 0;
    std::uint32_t talker = nobody; // Its index in talkers_, if it talks.
    std::uint32_t first_pair = 0;  // Its part of the ledger: one pair with each talker of the room.
    inbox_position in;
  };
  struct talker {
    std::uint32_t seat = 0;
    std::uint32_t slot = 0;      // Its number within its room, which its messages carry.
    std::uint32_t hearers = 0;   // Connections that each of its messages must reach.
    std::uint32_t completed = 0; // Messages that have reached all of them; they complete in order.
    bool dirty = false;          // In dirty_.
    bool blocked = false;        // The socket took less than was offered, EPOLLOUT is armed.
    outbox out;
  };
  struct room {
    std::uint32_t first_talker = 0;
    std::uint32_t talkers = 0;
  };
  struct snapshot {
    std::int64_t time_ns = 0;
    std::int64_t server_cpu_ns = 0;
    std::int64_t server_ticks_ns = 0;
    std::int64_t server_schedstat_ns = 0;
    std::int64_t own_cpu_ns = 0;
    std::uint64_t messages = 0;
    std::uint64_t deliveries = 0;
  };
  enum class verification { whole_payload, header_and_tag };

  void lay_out();
  void run_from_quiet_to_quiet(double seconds);
  void turn(int timeout_ms);
  void on_ready(std::uint32_t index, std::uint32_t what);
  void on_plain(std::uint32_t index, std::span<const std::uint8_t> bytes);
  void on_linked(std::uint32_t index, std::span<std::uint8_t> bytes);
  void on_frame(seat& at, short_tag tag);
  void publish(std::uint32_t index, std::int64_t planned_ns);
  void publish_due(std::int64_t now);
  void mark_dirty(std::uint32_t index);
  void flush(std::uint32_t index);
  [[nodiscard]] send_status send_through(link& through, int fd, talker& from);
  void flush_dirty();
  [[nodiscard]] snapshot take_snapshot();
  [[nodiscard]] nlohmann::json report(const snapshot& begin, const snapshot& end) const;
  void fail(std::string why, bool lost);

  const options& options_;
  frame_sender sender_;
  frame_receiver receiver_;
  std::unique_ptr<dialect> dialect_; // Where messages are not frames of one size.
  std::vector<open_connection> stalled_;
  int epoll_fd_ = -1;
  std::vector<seat> seats_;
  std::vector<talker> talkers_;
  std::vector<room> rooms_;
  ledger ledger_;
  std::uint32_t ring_ = 1;               // A power of two: places for outstanding messages of each talker.
  std::vector<std::uint32_t> missing_;   // For each outstanding message, receivers that do not have it yet.
  std::vector<std::int64_t> planned_ns_; // For each outstanding message, when it was to be sent.
  std::vector<std::uint32_t> dirty_;
  std::vector<std::uint8_t> buffer_;
  verification verification_ = verification::whole_payload;
  bool stopping_ = false;           // No new messages; what is outstanding is waited for.
  std::int64_t quiet_at_ns_ = 0;    // When the last outstanding message had arrived.
  std::int64_t received_at_ns_ = 0; // When the present connection's bytes were taken; read in the open loop only.
  std::uint64_t planned_count_ = 0;
  schedule plan_;
  std::uint64_t messages_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t deliveries_ = 0;
  histogram latency_;
  histogram send_lag_;
  std::string trouble_;
  bool lost_ = false;
};

} // namespace ringcast::load::slices

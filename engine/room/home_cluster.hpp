// Rooms of the cluster at their home: what is said goes to the engine, and what the engine tells, numbered, is what enters the log, on every
// machine. So their order is one by construction, and everything that stands on logs works as for other rooms.
//
//   first member -> subscribe -> ask where the room stands -> read what is missing -> live
//
// Nothing is taken on trust: a batch that does not follow makes the home read what is between; what the engine does not have any more is told to
// the members as a gap, and another epoch as a new beginning. A subscription that has died in silence is found by asking every few seconds.
// One a shard, on its thread, for the rooms that live there.
#pragma once

#include "engine/cluster/cluster_engine.hpp"
#include "engine/room/clustered.hpp"
#include "engine/room/room_home.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

struct home_cluster_counters {
  std::uint64_t losses = 0; // of the engine
  std::uint64_t commands = 0;
  std::uint64_t gaps = 0, resets = 0; // of rooms
};

class home_cluster final : public cluster_listener {
 public:
  home_cluster(home_table& homes, cluster_engine& engine);
  home_cluster(const home_cluster&) = delete;
  home_cluster& operator=(const home_cluster&) = delete;

  // --- from the home ---
  void made(home_room& home);
  void forgotten(const home_room& home);
  // Whether the claim can be answered now. If not it is answered later, or was refused.
  [[nodiscard]] bool admits(home_room& home, std::uint32_t shard, const claim_record& claim, std::string_view name);
  void members_changed(home_room& home);
  void publish(home_room& home, const clustered::author& by, opcode op, std::span<const std::byte> payload);
  // Also until its rate allows as much as that of a new room: what is said in a room that nobody here is in would make it anew each time.
  [[nodiscard]] bool needs(home_room& home) const;
  // End of turn: what was said goes out.
  void send();
  void on_tick();
  // Server stop: whoever waits is answered.
  void stop();
  [[nodiscard]] const home_cluster_counters& counters() const { return counters_; }

  // --- from the engine ---
  void on_up() override;
  void on_down(std::string_view why) override;
  void on_subscribed(std::string_view room) override;
  void on_batch(std::string_view room, std::uint64_t epoch, const cluster_batch& batch) override;
  void on_top(std::string_view room, const cluster_top& top) override;
  void on_range(std::string_view room, std::uint64_t from, std::uint64_t epoch, std::span<const cluster_batch> batches, bool more) override;
  void on_failed(std::string_view room, std::string_view why) override;
  void on_published(std::uint64_t id, const room_position& first) override;
  void on_refused(std::uint64_t id, std::string_view why) override;

  // Of all batches whose fate is unknown: above it nothing more is published. Some turns of a busy shard; what is in it is held twice at most.
  static constexpr std::size_t sent_bytes_max = 8u << 20;
  // A lost last message leaves no gap behind it: so long nobody may notice.
  static constexpr std::uint64_t compare_interval_ms = 5'000;
  // A room about which a question failed is tried again.
  static constexpr std::uint64_t retry_interval_ms = 1'000;
  // Who reloads a page comes back within this, and finds the room as it was.
  static constexpr std::uint64_t linger_ms = 5'000;
  // Rooms that a tick looks at: of 50,000 each one's turn comes within ten seconds, and a tick is some ten microseconds.
  static constexpr std::size_t rooms_at_once = 1024;

 private:
  struct sent_batch {
    std::string room;
    std::size_t bytes;
    std::vector<clustered::author> authors;
    room_position first{};   // epoch 0: not acknowledged
    bool is_unknown = false; // and never will be
  };

  // To give it one command.
  [[nodiscard]] cluster_engine& command() {
    ++counters_.commands;
    return engine_;
  }
  [[nodiscard]] home_room* find(std::string_view room);
  void begin(home_room& home);
  void ask(home_room& home);
  void read_until(home_room& home, std::uint64_t wanted);
  void become_live(home_room& home);
  void drop_held(clustered& state);
  void hold(clustered& state, std::uint64_t epoch, const cluster_batch& batch);
  // False: it cannot be taken yet, and waits.
  [[nodiscard]] bool take_live(home_room& home, std::uint64_t epoch, const cluster_batch& batch, bool asked);
  void take(home_room& home, const cluster_batch& batch);
  void append(home_room& home, const batch_message& message, const clustered::author& by);
  void begin_anew(home_room& home, const cluster_top& top);
  void lose(home_room& home, std::uint64_t end);
  void break_log(home_room& home, std::uint64_t next, bool anew);
  void leave(home_room& home);
  void refuse_claims(clustered& state);
  void refuse(const clustered::author& by);
  void report(const clustered::author& by, const room_position& at);
  void end_sent(std::uint64_t id);
  void settle_sent(home_room& home);
  void tell(home_room& home, cluster_state what);
  void look_at(home_room& home);

  home_table& homes_;
  cluster_engine& engine_;
  home_cluster_counters counters_;
  const std::uint64_t own_; // in batches: of this shard of this process
  std::vector<home_room*> rooms_;
  std::size_t next_looked_at_ = 0;
  std::vector<home_room*> sending_;
  std::unordered_map<std::uint64_t, sent_batch> sent_;
  std::uint64_t last_id_ = 0;
  std::size_t sent_bytes_ = 0;
};

} // namespace ringcast::engine

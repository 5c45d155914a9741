// Which rules hold for which room: those of the first pattern that its name matches, where it says something, else those of the server. Made
// before the shards, and never changed: for every thread.
#pragma once

#include <ringcast/position.hpp>
#include <ringcast/room_rules.hpp>
#include <ringcast/rooms.hpp>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringcast::engine {

// The rules of a room, complete.
struct rules_of_room {
  slow_consumer policy = slow_consumer::close;
  std::uint64_t behind_bytes_max = 0;
  history_options history;
  std::uint64_t message_bytes_max = UINT64_MAX;
  std::uint32_t members_max = no_bound;
  bool presence = true;
  rate_limit messages{};
  bool cluster = false;

  static constexpr std::uint32_t no_bound = UINT32_MAX;
  // Whether its home judges each seat by their number.
  [[nodiscard]] bool counts_seats() const { return members_max != no_bound; }
};

using room_patterns = std::vector<std::pair<std::string, room_rules>>;

class room_rulebook {
 public:
  room_rulebook(const rules_of_room& others, const room_patterns& patterns);
  room_rulebook(const room_rulebook&) = delete;
  room_rulebook& operator=(const room_rulebook&) = delete;

  // Valid as long as the book. One comparison for each pattern: to be asked once for a room, not for each message.
  [[nodiscard]] const rules_of_room& of(std::string_view room) const noexcept;
  // Some rooms have a history.
  [[nodiscard]] bool keeps_history() const noexcept { return keeps_history_; }
  // Some rooms are of the cluster.
  [[nodiscard]] bool has_cluster() const noexcept { return has_cluster_; }

 private:
  struct entry {
    std::string pattern;
    rules_of_room rules;
  };
  rules_of_room others_;
  std::deque<entry> entries_;
  bool keeps_history_;
  bool has_cluster_;
};

} // namespace ringcast::engine

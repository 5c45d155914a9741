// Who is in a room: users, each there as long as one of its connections is, and a little longer, because people reload. One for each room that has
// any, at the room's home; see home_table.
#pragma once

#include "engine/base/keyed_hash.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

namespace ringcast::engine {

// What is told of users one by one is n joins times n members. Beyond so many a second in one room the number of users is told instead: each costs
// some 50 ns and its part of a send, so this is a tenth of a core.
inline constexpr std::uint64_t presence_deliveries_per_s_max = 100'000;
// Users whose leaving is not told yet, of one shard: some 300 bytes each. Beyond it the oldest are told before their time.
inline constexpr std::size_t presence_leaving_max = 65'536;

struct room_presence {
  struct user {
    std::uint32_t connections = 0;
    std::uint64_t leaving = 0; // which of the leavings under way is this user's; 0: none
  };
  std::unordered_map<std::string, user, peer_hash, std::equal_to<>> users;
  std::uint64_t second = 0;     // in which `told` was
  std::uint64_t told = 0;       // deliveries
  bool count_is_due = false;

  // Whether one more change may be told to so many members; else their number is due.
  [[nodiscard]] bool may_tell(std::uint64_t now_ms, std::uint32_t members, std::uint32_t members_max) {
    if (second != now_ms / 1000) second = now_ms / 1000, told = 0;
    if (members > members_max || told + members > presence_deliveries_per_s_max || count_is_due) {
      count_is_due = true;
      return false;
    }
    told += members;
    return true;
  }
};

// The last connection of a user has left; told at its time, unless the user is back.
struct user_leaving {
  std::uint64_t id;
  std::uint64_t at_ms;
  std::string room;
  std::string user;
};

} // namespace ringcast::engine

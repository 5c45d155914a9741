// What a server tells of its rooms: see server::rooms() and room::info(). Plain values, each a picture of the moment in which the home of the
// room answered; members come and go meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringcast {

struct room_summary {
  std::string name;
  std::uint32_t members = 0; // over all shards, 1 at least
};

// A page of a server's rooms that have members.
struct room_page {
  std::vector<room_summary> rooms;   // in an order that stays the same as long as the server runs; of one shard by name
  std::optional<std::string> next{}; // where the next page begins: after this room. Empty: this was the last one
};

struct room_info {
  std::uint32_t members = 0;        // over all shards; 0: nobody is there, and so there is no such room
  std::vector<std::string> names{}; // of those who joined with one, sorted by nothing; a very long list is cut, `members` is not
};

} // namespace ringcast

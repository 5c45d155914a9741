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

struct room_user {
  std::string id;
  std::uint32_t connections = 0; // 0: it has left a moment ago, and is not told as gone yet
};

struct room_info {
  std::uint32_t members = 0;        // over all shards; 0: nobody is there, and so there is no such room
  std::vector<std::string> names{}; // of those who joined with one, sorted by nothing; a very long list is cut, `members` is not
  std::uint32_t user_count = 0;     // of those who joined as users
  std::vector<room_user> users{};   // sorted by nothing; a very long list is cut, `user_count` is not
};

// Who is told of users: see seat_wish::watches_users.
struct presence_options {
  // In a room with more members than that, and where more than 100,000 deliveries a second would be made, users are not told one by one but counted, at
  // most once a second.
  std::uint32_t members_max = 1'000;
  // A user whose last connection has gone is told as gone so much later, and not at all if it is back by then; told up to a second later than that.
  std::uint32_t delay_ms = 5'000;
};

} // namespace ringcast

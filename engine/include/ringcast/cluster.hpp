// Rooms that are one over several machines (room_rules::cluster). Plain values.
#pragma once

#include <cstdint>
#include <string>

namespace ringcast {

// What members of a room of the cluster are told of what orders it: websocket_endpoint::on_cluster.
enum class cluster_state : std::uint8_t {
  lost,    // it cannot be reached. Members stay, and hear nothing new; of what they have said last it is not known whether it was published
  back,    // it is there, and everything that was said meanwhile has been sent in front of this, or was told as a gap or a new beginning
  refused, // what this member has just said was not published: there is no engine, it has no memory, or too much is on its way to it
};

// What orders the rooms of a cluster: a Redis or Valkey, the same for all of its servers. Each shard has two connections to it.
struct cluster_options {
  // redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE], user and password in percent-encoding. Empty: there is no cluster. It does not have to be
  // there when the server starts.
  std::string redis;
  bool all_rooms = false; // also those for which no room_rules::cluster says it
  // In front of the names of its keys and channels: PREFIX:{ROOM}. Servers with different prefixes know nothing of each other.
  std::string prefix = "ringcast";
  // Of each room it keeps the last so many messages, in its memory, for servers that have missed some: what one publishes while another's
  // connection is made again, and what room_rules::history is to find there.
  std::uint32_t messages_kept = 1'000;
  // What it keeps of a room that nobody is in and nobody publishes to goes after so many seconds. Then the room counts anew.
  std::uint32_t seconds_kept = 86'400;
  // While a shard cannot reach it server::is_ready() is false, so that a load balancer brings members of its rooms to a server that can.
  bool ready_needs_it = false;
};

} // namespace ringcast

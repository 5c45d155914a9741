// What goes with a message to a room: who hears it, and what became of it. Plain values.
#pragma once

#include <ringcast/position.hpp>

#include <cstdint>

namespace ringcast {

// Who hears what a member broadcasts: everybody in the room, or the others alone.
enum class hearing : std::uint8_t { everyone, others };

// What a publication, together with the others of its loop turn, did to the members of one shard, or of all of them. Three of the numbers
// count members, `conflated` counts messages.
struct broadcast_report {
  std::uint32_t members = 0;   // in the room when it was applied
  std::uint32_t queued = 0;    // members that will be sent the message, unless they leave
  std::uint32_t conflated = 0; // older messages that members will not be sent because newer ones took their place, added up over members
  std::uint32_t dropped = 0;   // members that will not be sent this message: it is lost to them, or they were closed because of it
  room_position position{};    // of the message; epoch 0: it was not published
  bool unavailable = false;    // that is why, as far as is known: a room of the cluster, whose engine is not there or did not answer
  bool too_large = false;      // that is why: room_rules::message_bytes_max
  bool too_fast = false;       // or that: room_rules::messages
};

} // namespace ringcast

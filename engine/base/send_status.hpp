// What became of bytes that were to be sent, wherever they were to go. Every call that sends or broadcasts answers one of these and says which
// of them it can.
#pragma once

#include <cstdint>

namespace ringcast {

enum class send_status : std::uint8_t {
  queued,          // they will be sent in order, unless the connection is lost first
  above_watermark, // queued, but the peer is slow: wait for on_drain before sending more
  full,            // nothing was queued: the queue has no room now (or never: the message is larger than the whole queue)
  dropped,         // nothing was queued: try_send to a slow peer, or offline_policy::drop without a connection
  closed,          // nothing was queued: the connection, the client or the server is over
  timed_out,       // nothing was queued: the deadline passed while the peer was slow
  stopped,         // nothing was queued: the stop token was used meanwhile
  not_started,     // of a room: its server has not been started, so nobody can be in it
  invalid_name,    // the name of the room or of the member cannot be one (names.hpp); nothing was done
};

} // namespace ringcast

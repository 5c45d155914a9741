// The identity of an operation given to the kernel: what it is, and for whom. It travels in user_data and comes back
// with the completion. A descriptor number would be a poor identity, since the kernel hands it out again while late
// completions are still under way.
#pragma once

#include <cstdint>

namespace ringcast::engine {

enum class operation : std::uint8_t {
  none,         // nobody waits for this completion
  accept,       // multishot accept; slot is the listener
  receive,      // multishot receive into provided buffers; slot is the connection
  poll_receive, // multishot poll of a connection that sends large messages
  inline_send,  // a send of a connection's output of this turn, tried once during submit; only a failure answers
  member_send,  // the same for a member of a room that keeps up
  send,         // an ordinary send that waits for room in the socket
  doorbell,     // the read of the shard's eventfd
  cancel,       // the answer to a cancel
  connect,      // a client's connect; slot is the connection
  cluster,      // whatever is done on the way to the engine of a cluster; slot says what
};

// operation (8 bits) | generation (24 bits) | slot (32 bits)
struct op_tag {
  operation op = operation::none;
  std::uint32_t generation = 0; // 24 bits are kept
  std::uint32_t slot = 0;

  static constexpr std::uint32_t generation_mask = 0xff'ffff;

  constexpr std::uint64_t pack() const {
    return static_cast<std::uint64_t>(op) << 56 | static_cast<std::uint64_t>(generation & generation_mask) << 32 | slot;
  }
  static constexpr op_tag unpack(std::uint64_t user_data) {
    return {static_cast<operation>(user_data >> 56), static_cast<std::uint32_t>(user_data >> 32) & generation_mask,
            static_cast<std::uint32_t>(user_data)};
  }
};

static_assert(op_tag::unpack(op_tag{operation::send, 0xabcdef, 0x12345678}.pack()).generation == 0xabcdef);

} // namespace ringcast::engine

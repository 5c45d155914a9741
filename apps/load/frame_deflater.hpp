// Messages as masked frames of a client (RFC 6455 section 5.2), plain or compressed (RFC 7692).
#pragma once

#include "proto/byte_buffer.hpp"
#include "proto/deflate.hpp"
#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringcast::load {

void append_masked_frame(byte_buffer& to, opcode op, std::span<const std::byte> payload, std::uint32_t key);

// What it sends refers to no earlier message, which is always allowed, so that one serves all connections of a thread.
class frame_deflater {
 public:
  // Appends the message as one frame, as it is where it would not become shorter. Returns the bytes of its payload.
  std::size_t append(byte_buffer& to, opcode op, std::span<const std::byte> message, std::uint32_t key, unsigned window_bits = 15);

 private:
  static constexpr unsigned level = 1;
  deflater deflater_{level};
  byte_buffer deflated_;
};

} // namespace ringcast::load

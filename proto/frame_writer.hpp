// Whole frames into memory that the caller has: for servers as they are, for clients masked.
#pragma once

#include "proto/frame_header.hpp"
#include "proto/mask.hpp"
#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ringcast {

/// How many bytes a frame takes, header and payload.
[[nodiscard]] constexpr std::size_t frame_bytes(std::uint64_t payload_bytes, bool masked) noexcept {
  return frame_header_bytes(payload_bytes, masked) + static_cast<std::size_t>(payload_bytes);
}

/// Writes a frame as a server sends it, and returns its size. `out` has room for `frame_bytes(payload.size(), false)`
/// bytes and does not overlap the payload.
inline std::size_t write_frame(std::byte* out, opcode op, std::span<const std::byte> payload, bool fin = true, bool rsv1 = false) noexcept {
  const std::size_t header_bytes = write_frame_header(out, op, payload.size(), fin, rsv1);
  if (!payload.empty()) std::memcpy(out + header_bytes, payload.data(), payload.size());
  return header_bytes + payload.size();
}

/// Writes a frame as a client sends it, masked with `masking_key`, and returns its size, `frame_bytes(.., true)`. The
/// key is the caller's: fresh for every frame, from a strong source of entropy, so that nobody can foretell the bytes
/// on the wire (RFC 6455 5.3 and 10.3).
inline std::size_t write_masked_frame(std::byte* out, opcode op, std::span<const std::byte> payload, std::uint32_t masking_key, bool fin = true,
                                      bool rsv1 = false) noexcept {
  const std::size_t header_bytes = write_masked_frame_header(out, op, payload.size(), masking_key, fin, rsv1);
  if (!payload.empty()) {
    std::memcpy(out + header_bytes, payload.data(), payload.size());
    mask_in_place(out + header_bytes, payload.size(), masking_key);
  }
  return header_bytes + payload.size();
}

} // namespace ringcast

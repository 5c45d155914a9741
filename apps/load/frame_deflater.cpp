#include "apps/load/frame_deflater.hpp"

#include "proto/frame_writer.hpp"

#include <utility>

namespace ringcast::load {

void append_masked_frame(byte_buffer& to, opcode op, std::span<const std::byte> payload, std::uint32_t key) {
  const std::size_t bytes = frame_bytes(payload.size(), true);
  write_masked_frame(to.prepare(bytes).data(), op, payload, key);
  to.commit(bytes);
}

std::size_t frame_deflater::append(byte_buffer& to, opcode op, std::span<const std::byte> message, std::uint32_t key, unsigned window_bits) {
  deflated_.clear();
  const auto deflated = deflater_.deflate_message(message, deflated_, level, window_bits);
  const std::span<const std::byte> payload = deflated ? std::as_const(deflated_).bytes() : message;
  const std::size_t bytes = frame_bytes(payload.size(), true);
  write_masked_frame(to.prepare(bytes).data(), op, payload, key, true, deflated.has_value());
  to.commit(bytes);
  return payload.size();
}

} // namespace ringcast::load

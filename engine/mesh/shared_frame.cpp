#include <ringcast/shared_frame.hpp>

#include "proto/frame_writer.hpp"

#include <utility>

namespace ringcast {

shared_frame::shared_frame(opcode op, std::span<const std::byte> payload) : size_(frame_bytes(payload.size(), false)) {
  auto bytes = std::make_shared_for_overwrite<std::byte[]>(size_);
  write_frame(bytes.get(), op, payload);
  bytes_ = std::move(bytes);
}

} // namespace ringcast

// How messages travel through the engine of a cluster: those that one shard says to one room in one turn, together. Who wrote it and which of its
// batches it is (two numbers of 8 bytes), then for each message its opcode (1 byte), its length (4 bytes) and itself. Numbers are little-endian.
#pragma once

#include <ringcast/opcode.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

namespace ringcast::engine {

static_assert(std::endian::native == std::endian::little);

class batch_writer {
 public:
  void append(opcode op, std::span<const std::byte> payload);
  [[nodiscard]] std::span<const std::byte> finish(std::uint64_t writer, std::uint64_t id);
  [[nodiscard]] std::uint32_t messages() const { return messages_; }
  [[nodiscard]] std::size_t payload_bytes() const { return payload_bytes_; }

 private:
  std::vector<std::byte> bytes_;
  std::size_t payload_bytes_ = 0;
  std::uint32_t messages_ = 0;
};

struct batch_message {
  opcode op;
  std::span<const std::byte> payload;
};

// What anybody may have written: nothing of it is believed.
struct batch_view {
  std::uint64_t writer = 0, id = 0;
  std::vector<batch_message> messages{};

  // Nothing if it is not such a batch of so many messages.
  [[nodiscard]] static std::optional<batch_view> read(std::span<const std::byte> bytes, std::uint32_t messages);
};

} // namespace ringcast::engine

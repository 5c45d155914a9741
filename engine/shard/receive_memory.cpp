#include "engine/shard/receive_memory.hpp"

#include <ringcast/detail/assert.hpp>

#include <utility>

namespace ringcast::engine {

namespace {

bool is_inside(const block& memory, std::span<const std::byte> bytes) {
  return memory.bytes != nullptr && bytes.data() >= memory.bytes && bytes.data() + bytes.size() <= memory.bytes + memory.capacity;
}

} // namespace

std::span<std::byte> receive_memory::hot(std::uint64_t now_ms) {
  hot_used_ms_ = now_ms;
  if (hot_.bytes == nullptr) hot_ = blocks_.take(large_receive_bytes);
  return {hot_.bytes, large_receive_bytes};
}

void receive_memory::trim(std::uint64_t now_ms) {
  if (hot_.bytes != nullptr && now_ms - hot_used_ms_ >= trim_interval_ms) blocks_.give_back(std::exchange(hot_, {}));
}

// Of the connection's own block only what ends with the message is lent: nothing behind it has still to be handled there. And only what
// fills a part of the block that is worth it: many messages may have waited there together.
bool receive_memory::can_lend(const connection& c, std::span<const std::byte> payload) const {
  if (c.partial != nullptr && is_inside(c.partial->memory, payload))
    return payload.size() * 16 >= c.partial->memory.capacity && payload.data() + payload.size() == c.partial->memory.bytes + c.partial->size;
  return hot_lent_ < hot_buffers_lent_max && is_inside(hot_, payload);
}

receive_memory::lent_memory receive_memory::lend(connection& c, std::span<const std::byte> payload) {
  if (c.partial != nullptr && is_inside(c.partial->memory, payload)) return {.memory = std::exchange(c.partial->memory, {})};
  RINGCAST_ASSERT(is_inside(hot_, payload));
  ++hot_lent_;
  return {.memory = std::exchange(hot_, {}), .is_hot = true};
}

void receive_memory::give_back_hot(block memory) {
  --hot_lent_;
  if (hot_.bytes == nullptr)
    hot_ = memory;
  else
    blocks_.give_back(memory);
}

} // namespace ringcast::engine

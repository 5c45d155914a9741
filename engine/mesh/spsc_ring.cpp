#include "engine/mesh/spsc_ring.hpp"

#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace ringcast::engine {
namespace {

constexpr std::uint32_t capacity_bytes_limit = 1u << 30;

// The whole length of a record in the ring: header, payload, and what keeps the next one aligned.
constexpr std::uint64_t record_bytes(std::uint32_t payload_bytes) noexcept {
  return (std::uint64_t{payload_bytes} + sizeof(record_header) + 7) & ~std::uint64_t{7};
}

void write_header(std::byte* at, record_header header) noexcept { std::memcpy(at, &header, sizeof header); }

} // namespace

spsc_ring::spsc_ring(std::uint32_t capacity_bytes) {
  RINGCAST_ASSERT(capacity_bytes <= capacity_bytes_limit);
  const std::uint32_t capacity = std::bit_ceil(std::max(capacity_bytes, capacity_bytes_min));
  // Not set to zero: a page that no record has reached costs no memory.
  buffer_ = std::make_unique_for_overwrite<std::byte[]>(capacity);
  mask_ = capacity - 1;
}

std::byte* spsc_ring::reserve(std::uint32_t kind, std::uint32_t bytes) noexcept {
  RINGCAST_ASSERT(bytes <= record_bytes_max() && kind != record_kind_skip);
  const std::uint64_t needed = record_bytes(bytes);
  const std::uint64_t offset = writer_.committed & mask_;
  const std::uint64_t to_the_end = capacity_bytes() - offset;
  const std::uint64_t skipped = needed > to_the_end ? to_the_end : 0;
  const std::uint64_t end = writer_.committed + skipped + needed;

  if (end - writer_.released_seen > capacity_bytes()) {
    writer_.released_seen = released_.value.load(std::memory_order_acquire);
    if (end - writer_.released_seen > capacity_bytes()) return nullptr;
  }
  std::byte* at = buffer_.get() + offset;
  if (skipped != 0) {
    write_header(at, {static_cast<std::uint32_t>(skipped), record_kind_skip});
    at = buffer_.get();
  }
  write_header(at, {bytes, kind});
  writer_.reserved_end = end;
  return at + sizeof(record_header);
}

void spsc_ring::commit() noexcept {
  RINGCAST_ASSERT(writer_.reserved_end > writer_.committed);
  writer_.committed = writer_.reserved_end;
}

bool spsc_ring::publish() noexcept {
  if (!has_unpublished()) return false;
  writer_.published = writer_.committed;
  published_.value.store(writer_.published, std::memory_order_release);
  return true;
}

bool spsc_ring::front(record_view& out) noexcept {
  if (reader_.position == reader_.published_seen) {
    reader_.published_seen = published_.value.load(std::memory_order_acquire);
  }
  return front_before(reader_.published_seen, out);
}

bool spsc_ring::front_before(std::uint64_t end, record_view& out) noexcept {
  if (reader_.position == end) return false;
  std::byte* at = buffer_.get() + (reader_.position & mask_);
  record_header header;
  std::memcpy(&header, at, sizeof header);
  if (header.kind == record_kind_skip) {
    // The record behind a skip is always committed with it, so there is one before `end`, at the front of the buffer.
    reader_.position += header.bytes;
    at = buffer_.get();
    std::memcpy(&header, at, sizeof header);
  }
  out = {header.kind, {at + sizeof header, header.bytes}};
  reader_.front_end = reader_.position + record_bytes(header.bytes);
  return true;
}

void spsc_ring::pop() noexcept {
  RINGCAST_ASSERT(reader_.front_end > reader_.position);
  reader_.position = reader_.front_end;
}

bool spsc_ring::release() noexcept {
  if (reader_.position == reader_.released) return false;
  reader_.released = reader_.position;
  released_.value.store(reader_.released, std::memory_order_release);
  return true;
}

bool spsc_ring::has_records() const noexcept { return published_.value.load(std::memory_order_acquire) != reader_.position; }

} // namespace ringcast::engine

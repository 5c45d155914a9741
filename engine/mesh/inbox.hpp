// The way into a shard for every thread that is not a shard: bounded, of the same byte records as the mesh.
//
// Senders take turns with a mutex; that is right here, because calls from other threads are not the hot path and a
// mutex keeps the queue simple and bounded. The shard takes no lock to read. Nothing is allocated by a push.
//
// Whoever hands out references to an inbox keeps it alive longer than the shard (the server owns it), so that a late
// push finds it closed and not gone.
#pragma once

#include "engine/mesh/doorbell.hpp"
#include "engine/mesh/spsc_ring.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

namespace ringcast::engine {

enum class inbox_result : std::uint8_t {
  queued,    // the shard will see it, unless it stops first
  full,      // nothing was queued; later it may fit
  closed,    // the shard stops or has stopped; nothing of this kind will ever be queued again
  too_large, // above record_bytes_max(); it will never fit
};

class inbox {
 public:
  // `capacity_bytes` is rounded up to a power of two. `bell` is that of the shard and outlives the inbox.
  inbox(doorbell& bell, std::uint32_t capacity_bytes) : bell_(bell), ring_(capacity_bytes) {}

  [[nodiscard]] std::uint32_t record_bytes_max() const noexcept { return ring_.record_bytes_max(); }

  // Any thread: queues one record with the bytes of `a` followed by those of `b`, and wakes the shard if it sleeps.
  // Records of one thread arrive in order.
  [[nodiscard]] inbox_result push(std::uint32_t kind, std::span<const std::byte> a, std::span<const std::byte> b = {});

  // The shard, when it begins to stop: from now on only records of this kind are taken. What was queued before is still drained, so that
  // "queued" was no lie.
  void take_only(std::uint32_t kind);

  // The shard, when it has ended: every later push is refused. Records queued before can still be drained.
  void close();

  // The shard: as spsc_ring::drain().
  template <class OnRecord> std::size_t drain(OnRecord&& on_record, std::size_t records_max) { return ring_.drain(on_record, records_max); }

  // The shard: also the look between doorbell::prepare_sleep() and the wait.
  [[nodiscard]] bool has_records() const noexcept { return ring_.has_records(); }

 private:
  doorbell& bell_;
  spsc_ring ring_;
  std::mutex senders_;  // makes the many senders the one writer that ring_ allows
  bool closed_ = false; // guarded by senders_, as the next two
  bool takes_only_one_kind_ = false;
  std::uint32_t kind_taken_ = 0;
};

} // namespace ringcast::engine

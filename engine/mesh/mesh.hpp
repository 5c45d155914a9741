// The queues between the shards: one spsc_ring for each ordered pair of them, and one doorbell for each shard.
//
// A record that shard `from` sends to shard `to` lies in the lane from -> to. Nothing is visible to the target before
// flush(from), which a shard calls behind the completions of a loop turn and at its end: one store a lane and at most
// one wake-up a target for each flush, whatever number of records it sent. Order is kept within a lane, not between
// lanes.
//
// mesh is what all shards share and lives as long as the last of them. mesh_port is one shard's sending side and lives
// on its thread.
#pragma once

#include "engine/mesh/doorbell.hpp"
#include "engine/mesh/spsc_ring.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace ringcast::engine {

class mesh {
 public:
  // N x (N - 1) lanes of `lane_bytes` each (rounded up to a power of two). Throws only here: std::bad_alloc, or
  // std::system_error when there are not enough descriptors for the doorbells.
  mesh(std::uint32_t shard_count, std::uint32_t lane_bytes);
  ~mesh();
  mesh(const mesh&) = delete;
  mesh& operator=(const mesh&) = delete;

  [[nodiscard]] std::uint32_t shard_count() const noexcept { return shard_count_; }
  // The largest payload that one record can carry: a quarter of a lane. What is larger travels as memory of its own that the record points to
  // and the receiver frees (records.hpp: the kinds that end in _large).
  [[nodiscard]] std::uint32_t record_bytes_max() const noexcept { return record_bytes_max_; }
  [[nodiscard]] doorbell& bell(std::uint32_t shard) noexcept;

  // --- the thread of shard `from`; `to` is another shard ---

  // Room for a record, or nullptr when the lane is full. mesh_port::send() has an answer to that, this has none.
  [[nodiscard]] std::byte* reserve(std::uint32_t from, std::uint32_t to, std::uint32_t kind, std::uint32_t bytes) noexcept;
  void commit(std::uint32_t from, std::uint32_t to) noexcept;
  // Publishes every lane that was committed to since the last flush, then rings each target at most once.
  void flush(std::uint32_t from) noexcept;

  // --- the thread of shard `to` ---

  // This shard drains no more: what others send it from now on stays where it is. They are rung, since one may wait for room in a lane.
  void set_ended(std::uint32_t shard) noexcept;
  // Any shard.
  [[nodiscard]] bool has_ended(std::uint32_t shard) const noexcept { return ended_[shard].load(std::memory_order_acquire); }

  // Calls on_record(from, kind, span<std::byte>) for records that were published before it looked at their lane, at
  // most `records_max` over all lanes, each counted as spsc_ring::drain() does. Returns how many; a result of `records_max` or more
  // means that more may wait. The lane
  // it begins with changes from call to call, so that a small limit starves nobody. The span is valid during its call
  // only. `on_record` must not throw; it may reserve, commit, send and flush.
  template <class OnRecord> std::size_t drain(std::uint32_t to, OnRecord&& on_record, std::size_t records_max) {
    shard_side& side = sides_[to];
    std::size_t count = 0;
    if (++side.first_lane >= shard_count_) side.first_lane = 0;
    std::uint32_t from = side.first_lane;
    for (std::uint32_t i = 0; i < shard_count_ && count < records_max; ++i) {
      if (from != to) {
        const std::size_t drained = lane_of(from, to).ring.drain(
            [&](std::uint32_t kind, std::span<std::byte> bytes) { return on_record(from, kind, bytes); }, records_max - count);
        if (drained != 0) space_was_released(from, to);
        count += drained;
      }
      if (++from == shard_count_) from = 0;
    }
    return count;
  }

  // The memory that a drained record pointed to is no longer on its way.
  void pointed_taken(std::uint32_t from, std::uint32_t to, std::uint64_t bytes) noexcept {
    std::atomic<std::uint64_t>& taken = lane_of(from, to).pointed_taken;
    if (bytes != 0) taken.store(taken.load(std::memory_order_relaxed) + bytes, std::memory_order_release);
  }

  // Whether a record waits for `to`. Also the look between doorbell::prepare_sleep() and the wait.
  [[nodiscard]] bool has_records(std::uint32_t to) const noexcept;

 private:
  friend class mesh_port;

  struct lane {
    explicit lane(std::uint32_t bytes) : ring(bytes) {}
    spsc_ring ring;
    // Set by the sender that found the lane full and wants to be rung when there is room; cleared by the receiver.
    alignas(cache_line_bytes) std::atomic<bool> sender_waits{false};
    // Bytes of memory outside of the lane that its records pointed to: what the sender has sent less what the receiver has taken is what
    // the lane holds of it. The first is the sender's alone.
    std::uint64_t pointed_sent = 0;
    std::atomic<std::uint64_t> pointed_taken{0};
  };

  // What belongs to one shard's thread alone.
  struct alignas(cache_line_bytes) shard_side {
    std::vector<std::uint32_t> touched; // targets with something committed; its capacity is the number of shards
    std::uint32_t first_lane = 0;       // where the last drain began
  };

  // As reserve(), for a record that points to so many bytes elsewhere.
  [[nodiscard]] std::byte* reserve_pointing(std::uint32_t from, std::uint32_t to, std::uint32_t kind, std::uint32_t bytes,
                                            std::uint64_t pointed) noexcept;
  [[nodiscard]] lane& lane_of(std::uint32_t from, std::uint32_t to) const noexcept;
  void space_was_released(std::uint32_t from, std::uint32_t to) noexcept;

  std::uint32_t shard_count_;
  std::uint32_t record_bytes_max_ = 0;
  std::unique_ptr<std::unique_ptr<lane>[]> lanes_; // [from * shard_count + to], empty on the diagonal
  std::unique_ptr<shard_side[]> sides_;
  std::unique_ptr<doorbell[]> bells_;
  std::unique_ptr<std::atomic<bool>[]> ended_;
};

// One shard's sending side, for its thread only. send() never fails: what a full lane does not take waits here, in
// order, and moves on at the next flush().
//
// That is bounded only together with the shard: while overflow_bytes() is above mesh_overflow_bytes_max, the shard takes
// only records of the mesh, so that its neighbours go on, and nothing from its connections or its inbox
// (record_reader::drain_overflow). It looks once a turn, behind the completions, so one turn's worth may come on top. Below the
// bound it takes input as always, and may sleep with an overflow: the receiver rings it when it has made room.
class mesh_port {
 public:
  mesh_port(mesh& m, std::uint32_t shard);

  // Puts a record with the bytes of `a` followed by those of `b` on its way. Visible to the target after flush().
  // `to` is another shard; a.size() + b.size() is at most mesh::record_bytes_max(): both are asserted.
  // `pointed` is what the record points to elsewhere, which counts as much as what it holds: mesh_lane_pointed_bytes_max of that fit into a
  // lane. Whoever drains such records says so with mesh::pointed_taken().
  void send(std::uint32_t to, std::uint32_t kind, std::span<const std::byte> a, std::span<const std::byte> b = {}, std::uint64_t pointed = 0);

  // Moves what it can of the overflow into the lanes, publishes, and rings each target at most once.
  void flush();

  // Bytes that wait here, with headers and what they point to, over all lanes.
  [[nodiscard]] std::size_t overflow_bytes() const noexcept { return overflow_bytes_; }

  // Whether something waits here for a shard that still drains. What waits for one that has ended waits for drop_overflow().
  [[nodiscard]] bool waits_for_the_living() const noexcept;

  // Takes what waits here out, without sending it: calls on_record(kind, span<const std::byte>) for each record. For the end.
  template <class OnRecord> void drop_overflow(OnRecord&& on_record) {
    for (overflow& queue : overflow_) {
      while (!queue.empty()) {
        const waiting_header header = queue.front();
        on_record(header.record.kind, std::span<const std::byte>(queue.bytes).subspan(queue.begin + sizeof header, header.record.bytes));
        queue.begin += waiting_bytes_of(header);
      }
      queue = {};
    }
    overflow_bytes_ = 0;
  }

  // Whether there is a reason not to sleep: a record to drain, or room for the overflow. Ask between prepare_sleep()
  // and the wait.
  [[nodiscard]] bool has_work() const noexcept;

 private:
  struct waiting_header {
    record_header record;
    std::uint64_t pointed;
  };
  // The records that wait for one lane, from `begin` to the end of `bytes`.
  struct overflow {
    std::vector<std::byte> bytes;
    std::size_t begin = 0;
    [[nodiscard]] bool empty() const noexcept { return begin == bytes.size(); }
    [[nodiscard]] waiting_header front() const noexcept {
      waiting_header header;
      std::memcpy(&header, bytes.data() + begin, sizeof header);
      return header;
    }
  };

  // In an overflow a record begins at a multiple of eight, as it does in the ring.
  [[nodiscard]] static constexpr std::size_t waiting_bytes_of(const waiting_header& header) noexcept {
    return sizeof header + ((header.record.bytes + std::size_t{7}) & ~std::size_t{7});
  }
  void keep(overflow& queue, const waiting_header& header, std::span<const std::byte> a, std::span<const std::byte> b);
  void move_on(std::uint32_t to, overflow& queue);

  mesh& mesh_;
  std::uint32_t shard_;
  std::size_t overflow_bytes_ = 0;
  std::vector<overflow> overflow_; // by target
};

} // namespace ringcast::engine

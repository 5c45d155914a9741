// A lock-free queue of byte records between exactly two threads: one that writes and one that reads.
//
// The records lie in one buffer whose size is a power of two. Each is contiguous, starts at a multiple of 8 and carries
// a header of 8 bytes; where a record would cross the end of the buffer, a skip record fills the rest and the record
// starts at the front. Positions are counts of bytes since the beginning and never wrap in practice (64 bits), so
// "full" and "empty" need no spare slot.
//
// Writing is in two steps so that a batch costs one store that the other thread must see: reserve() and commit() work
// on the writer's own position, publish() makes everything committed visible at once. Reading likewise: pop() moves
// the reader's own position, release() gives the space of all popped records back at once.
//
// It allocates when it is made and never again. It knows nothing about sleeping: that is doorbell.hpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

namespace ringcast::engine {

// The distance that keeps two threads from sharing a cache line. std::hardware_destructive_interference_size would
// change with compiler flags and with it the layout of everything that contains a ring.
inline constexpr std::size_t cache_line_bytes = 64;

// What stands before each record in the buffer.
struct record_header {
  std::uint32_t bytes; // of the payload; for a skip record of the whole record with its header
  std::uint32_t kind;  // the user's own number, anything but record_kind_skip
};
static_assert(sizeof(record_header) == 8);

inline constexpr std::uint32_t record_kind_skip = 0xffff'ffff;

// A record as the reader sees it. `bytes` points into the ring: it is valid until release() and 8-byte aligned.
struct record_view {
  std::uint32_t kind = 0;
  std::span<std::byte> bytes;
};

class spsc_ring {
 public:
  static constexpr std::uint32_t capacity_bytes_min = 64;

  // `capacity_bytes` is rounded up to a power of two, at least capacity_bytes_min. Tests make it tiny.
  explicit spsc_ring(std::uint32_t capacity_bytes);
  spsc_ring(const spsc_ring&) = delete;
  spsc_ring& operator=(const spsc_ring&) = delete;

  [[nodiscard]] std::uint32_t capacity_bytes() const noexcept { return mask_ + 1; }

  // The largest payload. A quarter of the ring: a record and the skip before it then fit into every empty ring
  // whatever its position, so that waiting for room always ends.
  [[nodiscard]] std::uint32_t record_bytes_max() const noexcept { return capacity_bytes() / 4 - static_cast<std::uint32_t>(sizeof(record_header)); }

  // --- the writer's side ---

  // Room for one record, or nullptr when the ring is full. A second reserve() without commit() replaces the first.
  // `bytes` above record_bytes_max() is a mistake of the caller and asserted.
  [[nodiscard]] std::byte* reserve(std::uint32_t kind, std::uint32_t bytes) noexcept;

  // Makes the reserved record part of the batch. The reader still sees nothing.
  void commit() noexcept;

  // Shows the reader everything committed. False if there was nothing new.
  bool publish() noexcept;

  // Whether something is committed that the reader does not see yet.
  [[nodiscard]] bool has_unpublished() const noexcept { return writer_.committed != writer_.published; }

  // --- the reader's side ---

  // The oldest record that was not popped, or false.
  [[nodiscard]] bool front(record_view& out) noexcept;

  // Steps over the record that front() returned. Its bytes stay valid until release().
  void pop() noexcept;

  // Gives the space of all popped records back to the writer. True if there was any.
  bool release() noexcept;

  // Whether a published record waits. Also the check between doorbell::prepare_sleep() and the wait.
  [[nodiscard]] bool has_records() const noexcept;

  // Calls on_record(kind, span) for records that were published before the call began, at most `records_max` of them,
  // then releases their space. Returns how many. Where on_record returns a number, the record counts as that many. The span is
  // valid only during its call. `on_record` must not throw and must not drain this ring; it may do everything else.
  template <class OnRecord> std::size_t drain(OnRecord&& on_record, std::size_t records_max) {
    const std::uint64_t end = published_.value.load(std::memory_order_acquire);
    reader_.published_seen = end;
    std::size_t count = 0;
    record_view record;
    while (count < records_max && front_before(end, record)) {
      if constexpr (std::is_void_v<decltype(on_record(record.kind, record.bytes))>) {
        on_record(record.kind, record.bytes);
        ++count;
      } else {
        count += on_record(record.kind, record.bytes);
      }
      pop();
    }
    release();
    return count;
  }

 private:
  [[nodiscard]] bool front_before(std::uint64_t end, record_view& out) noexcept;

  // Four cache lines, and the reason for each: the two private sides change with every record, so each has a line that
  // the other thread never touches; the two published positions change once a batch, and each is the only thing on the
  // line that travels between the cores. Each side keeps the last value it saw of the other's position and looks at
  // the shared line again only when that value says "full" or "empty".
  struct alignas(cache_line_bytes) writer_side {
    std::uint64_t committed = 0;     // end of the last committed record
    std::uint64_t reserved_end = 0;  // end of the reserved record, equal to committed when there is none
    std::uint64_t published = 0;     // our copy of published_
    std::uint64_t released_seen = 0; // the reader's released_, as last seen
  };
  struct alignas(cache_line_bytes) reader_side {
    std::uint64_t position = 0;       // start of the oldest record that was not popped
    std::uint64_t front_end = 0;      // end of the record that front() returned
    std::uint64_t released = 0;       // our copy of released_
    std::uint64_t published_seen = 0; // the writer's published_, as last seen
  };
  struct alignas(cache_line_bytes) shared_position {
    std::atomic<std::uint64_t> value{0};
  };

  std::unique_ptr<std::byte[]> buffer_;
  std::uint32_t mask_;
  writer_side writer_;
  shared_position published_; // written by the writer: records before it may be read
  reader_side reader_;
  shared_position released_; // written by the reader: space before it may be overwritten
};

} // namespace ringcast::engine

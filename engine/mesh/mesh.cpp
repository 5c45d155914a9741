#include "engine/mesh/mesh.hpp"

#include "engine/base/limits.hpp"
#include <ringcast/detail/assert.hpp>

#include <cstring>

namespace ringcast::engine {
namespace {

// An overflow that has become empty keeps its memory up to this, so that a lane that is full now and then does not
// allocate each time, and one bad second is not paid for until the end.
constexpr std::size_t overflow_kept_bytes = 256 * 1024;

void copy_two(std::byte* to, std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
  if (!a.empty()) std::memcpy(to, a.data(), a.size());
  if (!b.empty()) std::memcpy(to + a.size(), b.data(), b.size());
}

} // namespace

mesh::mesh(std::uint32_t shard_count, std::uint32_t lane_bytes)
    : shard_count_(shard_count), lanes_(std::make_unique<std::unique_ptr<lane>[]>(std::size_t{shard_count} * shard_count)),
      sides_(std::make_unique<shard_side[]>(shard_count)), bells_(std::make_unique<doorbell[]>(shard_count)),
      ended_(std::make_unique<std::atomic<bool>[]>(shard_count)) {
  RINGCAST_ASSERT(shard_count >= 1);
  for (std::uint32_t from = 0; from < shard_count; ++from) {
    sides_[from].touched.reserve(shard_count);
    for (std::uint32_t to = 0; to < shard_count; ++to) {
      if (from != to) lanes_[std::size_t{from} * shard_count + to] = std::make_unique<lane>(lane_bytes);
    }
  }
  // The limit is the same for every shard count, so that a program tested on one core holds on many.
  record_bytes_max_ = spsc_ring(lane_bytes).record_bytes_max();
}

mesh::~mesh() = default;

doorbell& mesh::bell(std::uint32_t shard) noexcept {
  RINGCAST_ASSERT(shard < shard_count_);
  return bells_[shard];
}

std::byte* mesh::reserve(std::uint32_t from, std::uint32_t to, std::uint32_t kind, std::uint32_t bytes) noexcept {
  return lane_of(from, to).ring.reserve(kind, bytes);
}

// A record that points to more than the bound passes when nothing else is on its way.
std::byte* mesh::reserve_pointing(std::uint32_t from, std::uint32_t to, std::uint32_t kind, std::uint32_t bytes, std::uint64_t pointed) noexcept {
  if (pointed == 0) return reserve(from, to, kind, bytes);
  lane& l = lane_of(from, to);
  const std::uint64_t under_way = l.pointed_sent - l.pointed_taken.load(std::memory_order_acquire);
  if (under_way != 0 && under_way + pointed > mesh_lane_pointed_bytes_max) return nullptr;
  std::byte* const at = reserve(from, to, kind, bytes);
  if (at != nullptr) l.pointed_sent += pointed;
  return at;
}

void mesh::commit(std::uint32_t from, std::uint32_t to) noexcept {
  spsc_ring& ring = lane_of(from, to).ring;
  if (!ring.has_unpublished()) sides_[from].touched.push_back(to);
  ring.commit();
}

void mesh::flush(std::uint32_t from) noexcept {
  std::vector<std::uint32_t>& touched = sides_[from].touched;
  // All lanes are published before the first bell: a target that wakes early finds everything.
  for (const std::uint32_t to : touched) lane_of(from, to).ring.publish();
  for (const std::uint32_t to : touched) bells_[to].ring();
  touched.clear();
}

void mesh::set_ended(std::uint32_t shard) noexcept {
  ended_[shard].store(true, std::memory_order_release);
  for (std::uint32_t other = 0; other < shard_count_; ++other)
    if (other != shard) bells_[other].ring();
}

bool mesh::has_records(std::uint32_t to) const noexcept {
  for (std::uint32_t from = 0; from < shard_count_; ++from) {
    if (from != to && lane_of(from, to).ring.has_records()) return true;
  }
  return false;
}

mesh::lane& mesh::lane_of(std::uint32_t from, std::uint32_t to) const noexcept {
  RINGCAST_ASSERT(from != to && from < shard_count_ && to < shard_count_);
  return *lanes_[std::size_t{from} * shard_count_ + to];
}

// The receiver's half of the handshake that lets a sender sleep with an overflow. It is the doorbell's argument again:
// the receiver releases space, fences, and reads `sender_waits`; the sender sets it, fences, and looks for space.
void mesh::space_was_released(std::uint32_t from, std::uint32_t to) noexcept {
  std::atomic<bool>& waits = lane_of(from, to).sender_waits;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (waits.load(std::memory_order_relaxed) && waits.exchange(false, std::memory_order_acq_rel)) bells_[from].ring();
}

mesh_port::mesh_port(mesh& m, std::uint32_t shard) : mesh_(m), shard_(shard), overflow_(m.shard_count()) { RINGCAST_ASSERT(shard < m.shard_count()); }

void mesh_port::send(std::uint32_t to, std::uint32_t kind, std::span<const std::byte> a, std::span<const std::byte> b, std::uint64_t pointed) {
  const std::size_t bytes = a.size() + b.size();
  RINGCAST_ASSERT(bytes <= mesh_.record_bytes_max());
  overflow& queue = overflow_[to];
  if (queue.empty()) { // otherwise this record would pass those that wait
    if (std::byte* at = mesh_.reserve_pointing(shard_, to, kind, static_cast<std::uint32_t>(bytes), pointed)) {
      copy_two(at, a, b);
      mesh_.commit(shard_, to);
      return;
    }
  }
  keep(queue, {{static_cast<std::uint32_t>(bytes), kind}, pointed}, a, b);
}

void mesh_port::flush() {
  if (overflow_bytes_ != 0) {
    for (std::uint32_t to = 0; to < mesh_.shard_count(); ++to) {
      overflow& queue = overflow_[to];
      if (queue.empty()) continue;
      move_on(to, queue);
      if (queue.empty()) continue;
      // Still full: ask to be rung, then look once more, because the receiver may have made room before it could see
      // the question.
      std::atomic<bool>& waits = mesh_.lane_of(shard_, to).sender_waits;
      waits.store(true, std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      move_on(to, queue);
      if (queue.empty()) waits.store(false, std::memory_order_relaxed);
    }
  }
  mesh_.flush(shard_);
}

bool mesh_port::has_work() const noexcept {
  if (mesh_.has_records(shard_)) return true;
  if (overflow_bytes_ == 0) return false;
  for (std::uint32_t to = 0; to < mesh_.shard_count(); ++to) {
    // The receiver takes the question back when it makes room. Overflow that no flush has seen yet never asked.
    if (!overflow_[to].empty() && !mesh_.lane_of(shard_, to).sender_waits.load(std::memory_order_relaxed)) return true;
  }
  return false;
}

bool mesh_port::waits_for_the_living() const noexcept {
  if (overflow_bytes_ == 0) return false;
  for (std::uint32_t to = 0; to < mesh_.shard_count(); ++to)
    if (!overflow_[to].empty() && !mesh_.has_ended(to)) return true;
  return false;
}

void mesh_port::keep(overflow& queue, const waiting_header& header, std::span<const std::byte> a, std::span<const std::byte> b) {
  const std::size_t needed = waiting_bytes_of(header);
  const std::size_t old_size = queue.bytes.size();
  queue.bytes.resize(old_size + needed);
  std::memcpy(queue.bytes.data() + old_size, &header, sizeof header);
  copy_two(queue.bytes.data() + old_size + sizeof header, a, b);
  overflow_bytes_ += needed + header.pointed;
}

void mesh_port::move_on(std::uint32_t to, overflow& queue) {
  while (!queue.empty()) {
    const waiting_header header = queue.front();
    std::byte* at = mesh_.reserve_pointing(shard_, to, header.record.kind, header.record.bytes, header.pointed);
    if (at == nullptr) break;
    std::memcpy(at, queue.bytes.data() + queue.begin + sizeof header, header.record.bytes);
    mesh_.commit(shard_, to);
    const std::size_t moved = waiting_bytes_of(header);
    queue.begin += moved;
    overflow_bytes_ -= moved + header.pointed;
  }
  if (queue.empty()) {
    queue.bytes.clear();
    if (queue.bytes.capacity() > overflow_kept_bytes) queue.bytes.shrink_to_fit();
    queue.begin = 0;
  } else if (queue.begin > queue.bytes.size() / 2) {
    // The moved half goes, so that a queue that never becomes empty does not grow without end. Each byte is moved
    // down at most once for each byte that left.
    queue.bytes.erase(queue.bytes.begin(), queue.bytes.begin() + static_cast<std::ptrdiff_t>(queue.begin));
    queue.begin = 0;
  }
}

} // namespace ringcast::engine

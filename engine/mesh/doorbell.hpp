// What wakes a shard that sleeps: an eventfd, and a flag that says whether anybody needs to write to it. Beside them stands the one thing
// that must reach a shard even if every queue to it is full: that it is to stop.
//
// A wake-up costs the sender about a microsecond, looking at a flag a few nanoseconds, and a busy shard looks into its
// queues anyway. So the flag is set only while the shard waits in the kernel, and whoever clears it writes to the
// eventfd: one write a sleep, however many threads ring.
//
// The order of the shard's side is fixed:
//   acknowledge() if the eventfd woke us -> drain the queues -> prepare_sleep() -> look into every queue once more
//   -> if something is there: awake() and go on, else wait for fd() to become readable -> awake()
//
// Why no wake-up is lost. The two sides do what Dekker's algorithm does: each writes its own word, then reads the
// other's.
//   a sender:  publish a record;  full fence;  read `asleep`
//   the shard: set `asleep`;      full fence;  read the queues
// Release and acquire alone would let both reads pass their own thread's write, and both sides could miss each other.
// The two sequentially consistent fences have a single order. If the sender's comes first, the shard's look into the
// queues finds the record. If the shard's comes first, the sender finds `asleep` set and writes the eventfd. The
// eventfd keeps the count, so a write before the wait begins ends the wait at once.
#pragma once

#include "engine/mesh/spsc_ring.hpp"

#include <atomic>

namespace ringcast::engine {

class doorbell {
 public:
  // Throws std::system_error when no descriptor is left. The eventfd is in blocking mode, because io_uring answers a
  // read of a non-blocking descriptor with EAGAIN instead of waiting; a read or a poll of it may both be armed.
  doorbell();
  ~doorbell();
  doorbell(const doorbell&) = delete;
  doorbell& operator=(const doorbell&) = delete;

  // Any thread, after it has published something to this shard. Writes to the eventfd only if the shard sleeps.
  void ring() noexcept;

  // Any thread, any number of times: the shard is to stop, and is woken if it sleeps. A flag and not a record, so no full queue keeps it
  // from the shard, and whatever the shard waits for, it can look for it there.
  void ask_to_stop() noexcept;

  // The shard: whether it was asked. It stays true.
  [[nodiscard]] bool stop_asked() const noexcept { return stop_asked_.load(std::memory_order_acquire); }

  // The shard: from here until awake() every ring() wakes it. The queues must be looked at again after this call and
  // before the wait. The fence in it orders that look.
  void prepare_sleep() noexcept;

  // The shard: it will look into its queues by itself. Call it after every wait, whatever ended the wait.
  void awake() noexcept;

  // The shard: takes the count out of the eventfd, so that it is not readable any more. Never blocks. Call it only
  // before prepare_sleep(), otherwise it could swallow the ring that the next wait needs. Not needed when a read of
  // fd() is armed in the ring, for that read does it.
  void acknowledge() noexcept;

  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
  std::atomic<bool> stop_asked_{false}; // written once, so it shares its line with what only the shard reads
  // Alone on its line: every sender reads it at every flush, and only falling asleep and waking write it.
  alignas(cache_line_bytes) std::atomic<bool> asleep_{false};
};

} // namespace ringcast::engine

// What a server asks of all its shards while they run: other limits, and that they drain. No records, so that no full queue keeps them from a
// shard: each looks at their version once a turn, and before it sleeps. Whoever gives an order rings the doorbells behind it.
#pragma once

#include "engine/base/limits.hpp"
#include <ringcast/server_options.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ringcast::engine {

// What of a shard's options may change.
struct running_options {
  server_limits limits;
  std::vector<std::string> allowed_origins;
};

// Any thread. Belongs to the server and outlives its shards.
class server_orders {
 public:
  explicit server_orders(std::uint32_t shards) : shards_not_drained_(shards) {}

  void change(running_options to) {
    const std::scoped_lock lock(mutex_);
    given_.changed = std::move(to);
    version_.fetch_add(1, std::memory_order_release);
  }
  // The first one holds.
  void drain(const drain_options& how) {
    const std::scoped_lock lock(mutex_);
    if (!given_.drain) given_.drain = how;
    version_.fetch_add(1, std::memory_order_release);
  }

  // Of a shard: what it has obeyed is no more the newest.
  [[nodiscard]] std::uint32_t version() const { return version_.load(std::memory_order_acquire); }
  struct orders {
    std::uint32_t version = 0;
    std::optional<running_options> changed{};
    std::optional<drain_options> drain{};
  };
  [[nodiscard]] orders given() const {
    const std::scoped_lock lock(mutex_);
    orders copy = given_;
    copy.version = version_.load(std::memory_order_relaxed);
    return copy;
  }

  // Of a shard that drains: how many connections it has left, by how many more or fewer than it said before. And once, that nobody is left;
  // true for the last one.
  void count_left(std::int64_t difference) { left_.fetch_add(difference, std::memory_order_relaxed); }
  [[nodiscard]] bool is_last_to_drain() { return shards_not_drained_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  [[nodiscard]] std::int64_t left() const { return left_.load(std::memory_order_relaxed); }

 private:
  mutable std::mutex mutex_;
  orders given_;
  std::atomic<std::uint32_t> version_{0};
  std::atomic<std::int64_t> left_{0};
  std::atomic<std::uint32_t> shards_not_drained_;
};

} // namespace ringcast::engine

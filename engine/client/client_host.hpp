// The clients of one shard: who has something to do, whose timer has expired, and the source of masking keys. It belongs to the shard and
// to its thread; notify() is for every thread.
#pragma once

#include "engine/base/timer_wheel.hpp"
#include "engine/mesh/doorbell.hpp"
#include "engine/shard/client_runner.hpp"
#include <ringcast/detail/intrusive_list.hpp>
#include <ringcast/task.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace ringcast::engine {

class client_core;
class shard;
struct in_client_host;

class client_host final : public client_runner {
 public:
  client_host(shard& owner, doorbell& bell, std::uint8_t timer_kind);
  ~client_host() override;

  // The one of this shard, made when the first client comes. On the shard's thread.
  [[nodiscard]] static client_host& of(shard& owner);

  // The host of the calling thread, or null.
  [[nodiscard]] static client_host* current() noexcept;
  // True on a thread that has clients: a callback may be running here.
  [[nodiscard]] static bool is_client_thread() noexcept;
  [[nodiscard]] bool is_own_thread() const noexcept;

  // Any thread: the client has something to do. It is listed once at a time, and keeps itself alive while it is.
  void notify(client_core& core) noexcept;

  // --- the shard's thread ---
  [[nodiscard]] shard& owner() { return shard_; }
  [[nodiscard]] std::uint8_t timer_kind() const { return timer_kind_; }
  [[nodiscard]] bool has_ready() const noexcept override {
    return ready_.load(std::memory_order_acquire) != nullptr || has_starts_.load(std::memory_order_acquire);
  }
  void run_ready() override;
  void on_timer(timer_node& node) override;
  void attach(client_core& core);
  // Any thread: `start` is called on this one, and what it returns is run.
  void spawn(std::function<task<void>()> start);

 private:
  template <class Visit> void take_ready(Visit&& visit);

  shard& shard_;
  doorbell& bell_;
  std::uint8_t timer_kind_;
  std::atomic<client_core*> ready_{nullptr}; // a stack that any thread pushes to and this one takes whole
  intrusive_list<client_core, in_client_host> attached_;
  std::mutex starts_lock_;           // guards starts_
  std::vector<std::function<task<void>()>> starts_;
  std::atomic<bool> has_starts_{false};
};

} // namespace ringcast::engine

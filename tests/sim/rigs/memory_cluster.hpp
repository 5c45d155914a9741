// An engine of a cluster in memory, behind the seam of engine/cluster, for several nodes in one process, with faults from a seed: a way to it is
// slow, is cut, also between a message and the answer to it, a subscription dies in silence, it forgets old messages, and it loses its newest ones
// and begins another epoch. None of that gives a node the right to lose, repeat or reorder a message without saying so.
#pragma once

#include "engine/cluster/cluster_engine.hpp"
#include "tests/sim/kernel/kernel.hpp"
#include "tests/sim/kernel/random_source.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace ringcast::sim {

class memory_link;

class memory_cluster {
 public:
  memory_cluster(kernel& world, random_source& draw) : world_(world), draw_(draw) {}

  [[nodiscard]] std::unique_ptr<engine::cluster_engine> connect();

  // What was asked and has arrived is done now.
  void step();

  // --- faults; the link is drawn ---
  void cut_one();
  void cut_all(std::uint64_t away_ns);
  void drop_a_subscription();
  void forget_all_but(std::size_t batches); // of each room
  void lose_all();    // and nobody is cut off: as FLUSHALL
  void lose_newest(); // some of each room's; everybody is cut off, and the epoch is another one

  // --- the truth ---
  struct numbered {
    std::uint64_t epoch, sequence;
    auto operator<=>(const numbered&) const = default;
  };
  // Whatever the engine has ever given a number, with what was said. What an epoch has lost stays here: somebody may have heard it.
  [[nodiscard]] const std::map<numbered, std::string>& said(const std::string& room) { return room_of(room).said; }
  [[nodiscard]] room_position top_of(const std::string& room) { return {room_of(room).epoch, room_of(room).sequence}; }

  struct counts {
    std::uint64_t cuts = 0, replies_lost = 0, subscriptions_dropped = 0, epochs = 0;
  };
  [[nodiscard]] const counts& happened() const { return counts_; }

 private:
  friend class memory_link;
  struct kept_batch {
    std::uint64_t first;
    std::uint32_t messages;
    std::vector<std::byte> bytes;
  };
  struct room {
    std::uint64_t epoch = 0, sequence = 0, base = 0;
    std::deque<kept_batch> kept;
    std::map<numbered, std::string> said;
  };

  [[nodiscard]] room& room_of(const std::string& name);
  room_position append(const std::string& name, std::uint32_t messages, const std::vector<std::byte>& bytes);

  kernel& world_;
  random_source& draw_;
  std::map<std::string, room> rooms_;
  std::vector<memory_link*> links_;
  counts counts_;
};

// The way of one shard.
class memory_link final : public engine::cluster_engine {
 public:
  explicit memory_link(memory_cluster& to);
  ~memory_link() override;

  [[nodiscard]] bool is_up() const override { return up_; }
  void subscribe(std::string_view room) override;
  void unsubscribe(std::string_view room) override;
  void ask_top(std::string_view room) override;
  void read(std::string_view room, std::uint64_t from) override;
  void publish(std::string_view room, std::uint64_t id, std::uint32_t messages, std::span<const std::byte> batch) override;
  void poll() override;
  void send() override {}
  [[nodiscard]] bool has_work() const override;
  void on_tick(std::uint64_t) override {}
  void on_completion(const engine::completion&) override {}
  [[nodiscard]] bool end() override { return true; }

 private:
  friend class memory_cluster;
  // What travels, in order: questions to the engine, and what it tells.
  struct travelling {
    std::uint64_t due_ns;
    std::function<void()> arrive;
  };
  using way = std::deque<travelling>;
  // Commands and subscriptions are two connections, as with a real one.
  enum class connection : std::uint8_t { commands, subscriptions };

  void ask(connection on, std::function<void()> arrive) { put(on == connection::commands ? commands_ : subscriptions_, std::move(arrive)); }
  void answer(connection on, std::function<void()> arrive) { put(on == connection::commands ? answers_ : pushes_, std::move(arrive)); }
  void put(way& on, std::function<void()> arrive);
  void arrive(way& on);
  void cut(std::uint64_t away_ns);

  memory_cluster& to_;
  way commands_, subscriptions_, answers_, pushes_;
  std::set<std::string, std::less<>> subscribed_;
  bool up_ = false;
  bool cut_untold_ = false;
  std::uint64_t up_at_ns_ = 0;
};

} // namespace ringcast::sim

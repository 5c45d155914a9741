// The seam to what orders the rooms of several machines: an engine that gives each message of a room its number, keeps the last ones, and tells
// them to every shard that has subscribed. Nothing here knows which engine it is; what a room makes of it is room/home_cluster.
//
// One cluster_engine a shard, on its thread. A question that was asked is answered once, by the listener, from within poll() and never from
// within the question; or not at all where on_down() comes first, which ends every question and every subscription. Virtual calls are made for
// a room and turn, not for a message.
#pragma once

#include <ringcast/position.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace ringcast::engine {

struct completion;

// Messages that were said together: bytes as batch_writer has written them, with the numbers from `first` on.
struct cluster_batch {
  std::uint64_t first;
  std::uint32_t messages;
  std::span<const std::byte> bytes;

  [[nodiscard]] std::uint64_t end() const { return first + messages; }
};

// Where a room stands.
struct cluster_top {
  std::uint64_t epoch;    // another one: what had numbers before may have been lost
  std::uint64_t sequence; // of its newest message
  std::uint64_t base;     // the newest number when the epoch began: what is behind it was said in this epoch
};

// Views are valid during the call.
class cluster_listener {
 public:
  virtual void on_up() = 0;
  virtual void on_down(std::string_view why) = 0;
  // What is published from now on is told by on_batch.
  virtual void on_subscribed(std::string_view room) = 0;
  virtual void on_batch(std::string_view room, std::uint64_t epoch, const cluster_batch& batch) = 0;
  virtual void on_top(std::string_view room, const cluster_top& top) = 0;
  // Oldest first. The first one may begin in front of what was asked for, or behind it, if that is not kept any more. `more`: ask again.
  virtual void on_range(std::string_view room, std::uint64_t from, std::uint64_t epoch, std::span<const cluster_batch> batches, bool more) = 0;
  // A question about this room was refused; the engine is there.
  virtual void on_failed(std::string_view room, std::string_view why) = 0;
  virtual void on_published(std::uint64_t id, const room_position& first) = 0;
  virtual void on_refused(std::uint64_t id, std::string_view why) = 0;

 protected:
  ~cluster_listener() = default;
};

class cluster_engine {
 public:
  cluster_engine() = default;
  cluster_engine(const cluster_engine&) = delete;
  cluster_engine& operator=(const cluster_engine&) = delete;
  virtual ~cluster_engine() = default;

  void tell(cluster_listener& listener) { listener_ = &listener; }
  [[nodiscard]] virtual bool is_up() const = 0;

  virtual void subscribe(std::string_view room) = 0; // again, if it is subscribed already
  virtual void unsubscribe(std::string_view room) = 0;
  virtual void ask_top(std::string_view room) = 0;
  virtual void read(std::string_view room, std::uint64_t from) = 0;
  // The id is the caller's own.
  virtual void publish(std::string_view room, std::uint64_t id, std::uint32_t messages, std::span<const std::byte> batch) = 0;

  // In each turn: tells the listener what has come; what was asked meanwhile goes out.
  virtual void poll() = 0;
  virtual void send() = 0;
  [[nodiscard]] virtual bool has_work() const = 0;
  // Several times a second.
  virtual void on_tick(std::uint64_t now_ms) = 0;
  // Of an operation that it has given to the shard's ring.
  virtual void on_completion(const completion& done) = 0;
  // At the end of the shard: lets go of its connections. False as long as the kernel holds memory of it: to be asked again.
  [[nodiscard]] virtual bool end() = 0;

 protected:
  cluster_listener* listener_ = nullptr;
};

} // namespace ringcast::engine

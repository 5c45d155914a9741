// What stands behind a websocket: the message it was given last, those that wait, and how the connection ended. It sits between the
// callbacks of the event face (they call on_...) and the awaiters of the coroutine face (they call the rest).
//
// Owned by its websocket and, while that is open, by the connection; the last of the two frees it. On the shard's thread.
//
// A message is given to the waiting coroutine within the callback. Up to copied_bytes_max (1,008 bytes) it is copied first; a larger one is a
// view of the bytes where they were received, as long as they can be kept there: in a leased receive buffer, in the hot buffer, or in the
// connection's own block. When the coroutine comes back to receive() before the callback returns, as most loops do, nothing is kept. When it
// does not, the bytes stay for it: by the lease, by the memory that is lent to it, or in the copy.
#pragma once

#include "engine/base/block_pool.hpp"
#include "engine/io/buffer_ring.hpp"
#include "engine/shard/shard.hpp"
#include <ringcast/detail/waiter.hpp>
#include <ringcast/event.hpp>
#include <ringcast/request.hpp>
#include <ringcast/websocket.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ringcast::engine {

// What senders on other threads know of a connection.
struct sender_state {
  std::atomic<bool> open{true};
  // Coroutines that wait in sender::drained(), as long as they do. Only the connection's shard looks at it.
  std::vector<std::weak_ptr<event>> draining;

  // Whoever waits goes on.
  void on_drain() noexcept {
    for (const auto& each : draining)
      if (const auto waiting = each.lock()) waiting->set();
    draining.clear();
  }
};

class websocket_session {
 public:
  // What may wait for a coroutine that does not receive, before TCP pushes back.
  static constexpr std::size_t waiting_messages_max = 32;
  static constexpr std::size_t waiting_bytes_max = 64 * 1024;

  explicit websocket_session(shard& owner) : owner_(&owner) {}
  websocket_session(const websocket_session&) = delete;
  websocket_session& operator=(const websocket_session&) = delete;

  // The endpoint whose callbacks lead here, of all coroutine websockets that were upgraded with these options. websocket_ref::user() is the
  // session.
  [[nodiscard]] static const websocket_endpoint& endpoint_of(shard& owner, const upgrade_options& options);

  // --- from the shard ---
  void attach(connection& c, std::string_view subprotocol);
  void on_message(const message_view& view);
  void on_control(opcode op, std::span<const std::byte> payload);
  void on_drain() noexcept;
  void on_gap(const message_gap& lost);
  void on_close(std::uint16_t code, std::string_view reason, bool by_peer);

  // --- from websocket and receiver ---
  void release() noexcept;
  void abandon() noexcept; // the websocket is gone: closes what is open
  [[nodiscard]] bool is_open() const noexcept { return connection_ != nullptr; }
  [[nodiscard]] connection* where() const noexcept { return connection_; }
  [[nodiscard]] shard& owner() const noexcept { return *owner_; }
  [[nodiscard]] std::string_view subprotocol() const noexcept { return subprotocol_; }
  [[nodiscard]] connection_handle handle() const noexcept { return handle_; }
  void close(std::uint16_t code, std::string_view reason);
  [[nodiscard]] std::shared_ptr<sender_state> shared_state();

  // Memory that its connection's peer has made it hold: what waits, and the message that the coroutine has.
  [[nodiscard]] std::size_t held_bytes() const;
  // What waits is lost. For a connection that ends because of what it holds.
  void drop_waiting() noexcept;

  [[nodiscard]] std::uint64_t waiting_bytes() const;
  [[nodiscard]] bool above_watermark() const { return connection_ != nullptr && waiting_bytes() > high_watermark_bytes; }
  send_status send(const message_view& what, framing framed = framing::message);
  // The message that is sent in fragments: begun; not finished, and given up.
  [[nodiscard]] bool begin_message() noexcept;
  void abandon_message() noexcept;
  [[nodiscard]] bool is_sending_message() const noexcept { return is_sending_message_; }
  [[nodiscard]] bool has_gap() const noexcept { return gaps_told_ < gaps_.size(); }
  [[nodiscard]] std::optional<message_gap> next_gap() noexcept;

 private:
  friend class ringcast::receive_operation;
  friend class ringcast::receive_awaiter;
  friend class ringcast::receive_frame_awaiter;
  friend class ringcast::receive_into_awaiter;
  friend class ringcast::send_awaiter;

  struct waiting_message {
    block memory;
    message_view view;
  };

  // --- the message that the coroutine has now ---
  [[nodiscard]] bool has_current() const noexcept { return current_.payload.data() != nullptr; }
  void drop_current() noexcept;
  [[nodiscard]] bool take_waiting(bool control_frames) noexcept;
  [[nodiscard]] waiting_message copy(const message_view& view);
  void enqueue(const message_view& view);
  void deliver(const message_view& view);
  [[nodiscard]] close_info end_info() const noexcept { return {websocket_end::closed, close_code_, close_reason_}; }

  shard* owner_;
  connection* connection_ = nullptr; // while it is open
  connection_handle handle_;
  std::uint32_t references_ = 1;
  std::uint16_t close_code_ = 1006;
  bool wants_control_ = false;
  message_view current_;
  std::size_t current_used_ = 0;    // bytes of it that receive_into() has given out
  bool current_unfinished_ = false; // receive_into() has left a part of it
  std::byte* current_lease_ = nullptr;
  block current_memory_;
  bool current_is_hot_ = false;     // current_memory_ is a hot buffer of the shard
  receive_operation* receiving_ = nullptr;
  waiter_queue draining_;           // senders above the high watermark
  std::vector<waiting_message> waiting_; // from waiting_begin_
  std::size_t waiting_begin_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::vector<message_gap> gaps_;   // from gaps_told_
  std::size_t gaps_told_ = 0;
  bool is_sending_message_ = false;  // in fragments
  bool has_sent_fragment_ = false;
  std::uint64_t sent_turn_ = 0;     // the turn in which
  std::uint64_t sent_bytes_ = 0;    // these were appended
  std::string close_reason_;
  std::string_view subprotocol_;    // of the endpoint, which outlives every connection
  std::shared_ptr<sender_state> shared_;
};

} // namespace ringcast::engine

// A client for coroutines that run on a client_loop or on a server's shard:
//
//   client_loop loop;
//   loop.run([]() -> task<void> {
//     coroutine_client c{"ws://127.0.0.1:8080/echo"};
//     if (!co_await c.connect()) co_return;
//     co_await c.send_text("hello");
//     while (auto message = co_await c.receive()) std::puts(std::string{message->text()}.c_str());
//   });
//
// It is the client of client.hpp with its queue, its reconnecting and its states; receive() goes on over a reconnect and ends when the client
// is closed. Made, used and destroyed on one thread, that of the loop or shard. One coroutine receives at a time.
#pragma once

#include <ringcast/client.hpp>
#include <ringcast/client_loop.hpp>
#include <ringcast/detail/waiter.hpp>
#include <ringcast/message.hpp>
#include <ringcast/position.hpp>
#include <ringcast/results.hpp>
#include <ringcast/task.hpp>
#include <ringcast/wait.hpp>

#include <coroutine>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ringcast {

// Why an awaited operation of a client ended without what was wanted.
struct client_end {
  enum class kind : std::uint8_t { closed, timed_out, stopped };
  kind why = kind::closed;
  std::uint16_t code = 0; // with closed: the close code; 1006 also where no attempt succeeded
  std::string reason;     // with closed: the server's, or what the last attempt met
  std::uint16_t http_status = 0; // the server's refusal, if that was it
};

class coroutine_client {
  class operation; // a wait for one of this client's events

 public:
  // On a thread of a client_loop or of a server's shard. Throws std::invalid_argument as client does.
  explicit coroutine_client(std::string_view url, client_options options = {});
  ~coroutine_client();
  coroutine_client(const coroutine_client&) = delete;
  coroutine_client& operator=(const coroutine_client&) = delete;

  // Until the connection is open, or was: what it brought before it ended is received all the same. The reconnect policy decides how many attempts that may take. A deadline or stop token gives it up.
  [[nodiscard]] task<std::expected<void, client_end>> connect(wait_limits limits = {});

  // The next message: a view that is valid until the next receive. A wait that was given up loses nothing. Messages that were received
  // before the end are delivered first.
  class receive_awaiter;
  class receive_frame_awaiter;
  [[nodiscard]] receive_awaiter receive(wait_limits limits = {});
  // The same into the caller's memory; a message that is larger comes in parts. Its rest is given up when receive() is called instead.
  class receive_into_awaiter;
  [[nodiscard]] receive_into_awaiter receive_into(std::span<std::byte> into, wait_limits limits = {});

  // Like receive(), and the server's pings and pongs, too; from the first call on they are kept for it. Pings are answered all the same.
  [[nodiscard]] receive_frame_awaiter receive_frame(wait_limits limits = {});

  // Completes at once while the outgoing queue has room, and waits for room otherwise. Waiting for room that will never be (a message
  // larger than queue_bytes_max) ends only by the limits.
  class send_awaiter;
  [[nodiscard]] send_awaiter send(opcode op, std::span<const std::byte> payload, wait_limits limits = {});
  [[nodiscard]] send_awaiter send_text(std::string_view text, wait_limits limits = {});
  [[nodiscard]] send_awaiter send_binary(std::span<const std::byte> bytes, wait_limits limits = {});

  // Never waits: full where send() would wait.
  send_status try_send(opcode op, std::span<const std::byte> payload) { return client_.send(op, payload); }
  send_status try_send_text(std::string_view text) { return client_.send_text(text); }
  send_status try_send_binary(std::span<const std::byte> bytes) { return client_.send_binary(bytes); }
  // At most 125 bytes (RFC 6455 5.5); the rest is cut off. receive_frame() shows the pong.
  send_status ping(std::string_view payload = {}) { return client_.ping(payload); }
  // The sending half for other threads and coroutines; what split() is on the server. It may outlive this client.
  [[nodiscard]] client_sender sender() const { return client_.sender(); }

  // Sends what is queued, closes, and waits for the end of the closing handshake.
  [[nodiscard]] task<void> close(std::uint16_t code = 1000, std::string_view reason = {});

  // With client_options::resume, of the message that was received last. Nothing before one was.
  [[nodiscard]] const std::optional<room_position>& position() const { return position_; }
  // Whether something that was said between it and the message received before it was not, or perhaps not: see client::on_gap.
  [[nodiscard]] bool is_behind_gap() const { return behind_gap_; }

  // Of the connection that was lost last: what had been sent and TCP did not take, and what of it goes out by the next one. Zeros before the first.
  [[nodiscard]] const unsent_messages& unsent() const { return unsent_; }

  [[nodiscard]] client_state state() const { return client_.state(); }
  [[nodiscard]] bool is_open() const { return state() == client_state::open; }
  // Of messages that wait for the connection or for the server to take them.
  [[nodiscard]] std::size_t buffered_bytes() const { return counts().queued_bytes; }
  [[nodiscard]] std::string subprotocol() const { return client_.subprotocol(); }
  [[nodiscard]] client_counts counts() const { return client_.counts(); }

 private:
  struct record_head;
  struct buffers;
  void keep(opcode op, std::span<const std::byte> payload);
  [[nodiscard]] bool has_record() const;
  // Control frames that stand in front are passed over where they are not wanted.
  [[nodiscard]] bool has_message(bool control_frames);
  [[nodiscard]] message_view take();
  [[nodiscard]] opcode front_op();
  void turn_over();
  [[nodiscard]] std::expected<message_view, client_end> received(wait_result how, bool control_frames);
  [[nodiscard]] received_part take_part(std::span<std::byte> into);
  [[nodiscard]] client_end end_of(wait_result how) const;
  static void wake_all(engine::waiter_queue& queue);

  client client_;
  bool closed_ = true;
  unsent_messages unsent_;
  std::uint64_t opens_ = 0; // how often a connection has opened
  client_end end_;
  std::unique_ptr<buffers> messages_; // that have come
  std::size_t read_ = 0;
  std::span<const std::byte> rest_; // of the message that receive_into() is in
  opcode rest_op_ = opcode::text;
  bool control_frames_wanted_ = false; // receive_frame() was called
  bool awaits_frames_ = false; // the receive under way shows them
  bool holding_ = false; // the server waits until receive() has caught up
  bool gap_is_next_ = false; // what arrives next is behind a gap
  bool behind_gap_ = false; // what was received last is
  std::optional<room_position> position_;
  engine::waiter_queue connecting_, receiving_, sending_, closing_;
};

class [[nodiscard]] coroutine_client::receive_awaiter : engine::waiter {
 public:
  receive_awaiter(coroutine_client& c, wait_limits limits, bool control_frames = false) noexcept
      : client_(c), limits_(std::move(limits)), control_frames_(control_frames) {}
  bool await_ready() noexcept { return client_.has_message(control_frames_) || client_.closed_ || is_over(limits_, at_stop::ends); }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    client_.receiving_.append(*this);
    wait(handle, limits_, at_stop::ends);
  }
  std::expected<message_view, client_end> await_resume() { return client_.received(finish(), control_frames_); }

 protected:
  coroutine_client& client_;

 private:
  wait_limits limits_;
  bool control_frames_;
};

class [[nodiscard]] coroutine_client::receive_into_awaiter : public receive_awaiter {
 public:
  receive_into_awaiter(coroutine_client& c, std::span<std::byte> into, wait_limits limits) noexcept
      : receive_awaiter(c, std::move(limits)), into_(into) {}
  bool await_ready() noexcept { return !client_.rest_.empty() || receive_awaiter::await_ready(); }
  std::expected<received_part, client_end> await_resume() {
    if (client_.rest_.empty()) {
      const auto message = receive_awaiter::await_resume();
      if (!message) return std::unexpected(message.error());
      client_.rest_ = message->payload;
      client_.rest_op_ = message->op;
    }
    return client_.take_part(into_);
  }

 private:
  std::span<std::byte> into_;
};

class [[nodiscard]] coroutine_client::receive_frame_awaiter : public receive_awaiter {
 public:
  receive_frame_awaiter(coroutine_client& c, wait_limits limits) noexcept : receive_awaiter(c, std::move(limits), true) {}
  std::expected<received_frame, client_end> await_resume() {
    const auto message = receive_awaiter::await_resume();
    if (!message) return std::unexpected(message.error());
    return received_frame{.op = message->op, .payload = message->payload};
  }
};

class [[nodiscard]] coroutine_client::send_awaiter : engine::waiter {
 public:
  send_awaiter(coroutine_client& c, opcode op, std::span<const std::byte> payload, wait_limits limits) noexcept
      : client_(c), op_(op), payload_(payload), limits_(std::move(limits)) {}
  bool await_ready() {
    result_ = client_.client_.send(op_, payload_);
    return result_ != send_status::full || is_over(limits_, at_stop::ends);
  }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    client_.sending_.append(*this);
    wait(handle, limits_, at_stop::ends);
  }
  // `full` if the limits ended the wait, or somebody else took the room.
  send_status await_resume() {
    if (result_ == send_status::full && finish() == wait_result::done) result_ = client_.client_.send(op_, payload_);
    return result_;
  }

 private:
  coroutine_client& client_;
  opcode op_;
  std::span<const std::byte> payload_;
  wait_limits limits_;
  send_status result_ = send_status::full;
};

} // namespace ringcast

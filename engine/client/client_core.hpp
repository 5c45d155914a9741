// A client's inside, shared between the threads that use it and the shard that owns its socket.
//
// Users' threads append records (messages, connect, disconnect) to one bounded queue under a short lock. The shard takes the whole queue at
// once and works on it; everything below "the shard's thread" is its alone. Both sides swap two buffers, so nothing is allocated per
// message once they have grown.
//
// No event begins after stop(): before each event the shard sets `in_event_` and then looks at `muted_`; stop() sets `muted_` and then looks
// at `in_event_`. Both are sequentially consistent, so one of the two sees the other.
#pragma once

#include "engine/base/timer_wheel.hpp"
#include "engine/client/backoff.hpp"
#include "engine/client/client_events.hpp"
#include "engine/client/handed_messages.hpp"
#include "engine/client/room_resume.hpp"
#include "engine/io/resolver.hpp"
#include "engine/shard/client_link.hpp"
#include "proto/byte_buffer.hpp"
#include "proto/url.hpp"
#include <ringcast/client.hpp>
#include <ringcast/client_options.hpp>
#include <ringcast/detail/intrusive_list.hpp>
#include <ringcast/events.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::engine {

class client_host;
struct in_client_host {};

class client_core final : public client_link, public list_link<in_client_host>, public std::enable_shared_from_this<client_core> {
 public:
  client_core(const url& server, const std::optional<url>& proxy, client_options options);

  // --- any thread ---
  // The first call says where the client lives, and takes the events.
  void connect(client_host& host, client_events& events);
  [[nodiscard]] send_status disconnect(std::uint16_t code, std::string_view reason);
  [[nodiscard]] send_status send(opcode op, std::span<const std::byte> payload);
  [[nodiscard]] send_status ping(std::string_view payload);
  void stop();
  [[nodiscard]] client_state state() const { return state_.load(std::memory_order_acquire); }
  [[nodiscard]] std::string subprotocol() const;
  [[nodiscard]] client_counts counts() const;
  void on_resolved(std::uint64_t attempt, const resolved_name& answer);

  // --- the shard's thread ---
  void run();
  void on_timer();
  void hold_input(bool hold);
  [[nodiscard]] std::optional<room_position> position() const { return resume_ ? resume_->position() : std::nullopt; }
  void host_is_gone();
  static client_core& of_timer(timer_node& node);
  client_core* next_ready = nullptr;          // client_host's
  std::shared_ptr<client_core> ready_self;    // while it is listed
  std::shared_ptr<client_core> attached_self; // while its host knows it

  void on_attempt_failed(connection_handle attempt, const client_error& error) override;
  void on_connected(connection_handle attempt) override;
  void on_accepted(std::string_view subprotocol) override;
  void on_ending() override;
  void on_output_taken(std::uint64_t taken, bool more_waits) override;
  void on_link_closed(std::uint16_t code, std::string_view reason, bool clean, std::uint64_t taken) override;

 private:
  enum class queued_kind : std::uint8_t { text, binary, ping, connect, disconnect };
  struct record_head {
    std::uint32_t bytes;
    queued_kind kind;
    std::uint16_t close_code;
  };
  enum class step : std::uint8_t {
    idle,       // no connection and none wanted
    resolving,  // the name
    connecting, // TCP, proxy, upgrade
    open,
    closing, // our Close frame has been sent
    waiting, // for the next attempt
  };
  struct client_timer : timer_node {
    client_timer(client_core& c, std::uint8_t timer_kind) : timer_node(timer_kind), owner(&c) {}
    client_core* owner;
  };

  [[nodiscard]] static opcode opcode_of(queued_kind kind) {
    return kind == queued_kind::text ? opcode::text : kind == queued_kind::ping ? opcode::ping : opcode::binary;
  }
  void append_record(record_head head, std::span<const std::byte> bytes);
  void list_locked();
  void set_state(client_state s);
  void set_state_locked(client_state s) { state_.store(s, std::memory_order_release); }

  static const websocket_endpoint& event_endpoint();
  void on_open();
  void on_message(const message_view& message);
  void on_numbered(const message_view& message);
  void tell_message(const message_view& message);
  void refuse_unnumbered();
  void on_control(opcode op, std::span<const std::byte> payload);
  void work_on_records();
  void take_message(const record_head& head, std::span<const std::byte> payload);
  bool hand_over(const record_head& head, std::span<const std::byte> payload);
  void hand_over_waiting(bool all);
  void drop_waiting();
  void tell_drained();
  template <class Visit> static void for_each_head(std::span<const std::byte> records, Visit&& visit);
  void drop_messages(std::span<const std::byte> records);
  void note_handed(const connection& c, std::uint32_t payload_bytes);
  void count_sent(bool some_waits);
  [[nodiscard]] unsent_messages count_unsent(std::uint64_t taken);
  void forget_queued(std::size_t bytes) { queued_bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  void begin_connecting();
  void begin_disconnecting(std::uint16_t code, std::string_view reason);
  void begin_attempt();
  void try_next_address();
  [[nodiscard]] bool may_try_another() const;
  void let_go(std::uint16_t code, std::string_view reason);
  void attempt_failed(const client_error& error);
  void try_again_or_close(std::chrono::milliseconds at_least, bool may, std::uint16_t code, std::string_view reason, bool clean,
                          backoff::from lowest = backoff::from::zero);
  void finish_closed(std::uint16_t code, std::string_view reason, bool clean);
  void detach();
  std::shared_ptr<client_core> leave_host();
  void arm_timer(std::uint64_t at_ms);
  void cancel_timer();
  template <class Call> void emit(Call&& call);
  template <class Callback, class... Values> void tell(std::string_view what, const Callback& callback, Values&&... values);
  void tell_thrown();
  void tell_error(const client_error& error);

  // Constant once made.
  client_plan plan_;
  const client_options options_;
  client_events events_;
  std::string connect_host_; // the server's, or the proxy's
  std::uint16_t connect_port_;

  // Any thread.
  mutable std::mutex lock_; // guards the following
  client_host* host_ = nullptr;
  byte_buffer outgoing_;
  std::string subprotocol_;
  std::optional<std::pair<std::uint64_t, resolved_name>> answer_; // by attempt
  std::uint32_t commands_ = 0;                                   // in outgoing_
  bool listed_ = false;
  bool stopped_ = false;
  bool gone_ = false; // its host has ended, or has let it go
  std::atomic<client_state> state_{client_state::closed}; // written under the lock
  std::atomic<std::size_t> queued_bytes_{0};              // of messages, in outgoing_, taken_ and waiting_
  std::atomic<bool> was_full_{false}; // a send was refused, so its sender may wait for on_drain
  std::atomic<bool> muted_{false};
  std::atomic<bool> in_event_{false};
  std::atomic<std::uint64_t> sent_{0}, lost_{0}, received_{0}, dropped_{0}, reconnected_{0};

  // The shard's thread.
  client_host* home_ = nullptr;
  step step_ = step::idle;
  bool ever_open_ = false; // since the last connect()
  bool reopen_ = false;    // connect() came while closing
  bool backed_up_ = false; // the connection has enough output; on_drain goes on
  backoff backoff_;
  std::uint64_t opened_ms_ = 0;   // when the connection opened
  bool brought_message_ = false;  // it has
  std::chrono::milliseconds retry_after_{0}; // that the server has asked for on it
  std::optional<room_resume> resume_; // with client_options::resume
  byte_buffer taken_;   // what was taken from outgoing_ last
  byte_buffer waiting_; // messages without a connection, or behind a slow one
  std::size_t waiting_begin_ = 0;
  handed_messages handed_;         // to this connection
  std::uint64_t handed_count_ = 0; // to all connections, without those that were lost
  connection_handle connection_;
  std::uint64_t attempt_ = 0;
  std::uint64_t attempt_deadline_ms_ = 0;
  std::vector<socket_address> addresses_;
  std::size_t next_address_ = 0;
  std::vector<connection_handle> racing_; // to some of the addresses, and none of them connected yet; connection_ is none meanwhile
  std::optional<client_timer> timer_;
};

} // namespace ringcast::engine

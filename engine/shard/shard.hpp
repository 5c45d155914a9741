// One core's worth of server: a ring, its receive buffers, its connections, its rooms, its timers. Everything in it belongs to one thread,
// which runs the loop; other shards reach it through the mesh, every other thread through its inbox.
//
// A loop turn has six phases, see turn():  submit what the last turn prepared and wait -> completions -> mesh and inbox -> timers ->
// callbacks -> publish and flush.
// Callbacks and received messages append output, and the flush at the end of the turn sends it. Two things go out before it: a large message
// that is sent back from where it was received (outbox::send_direct, because to copy it costs more than a system call of its own), and the
// next part of a backlog when the send before it completes. Callbacks that users have written are called by `handlers` alone, coroutines are
// resumed by the scheduler, or within on_message by the session that they receive from.
#pragma once

#include "engine/base/limits.hpp"
#include "engine/base/timer_wheel.hpp"
#include "engine/connection/compression.hpp"
#include "engine/connection/compressor.hpp"
#include "engine/connection/connection.hpp"
#include "engine/connection/connection_layers.hpp"
#include "engine/coroutine/scheduler.hpp"
#include "engine/io/buffer_ring.hpp"
#include "engine/io/ring.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_home.hpp"
#include "engine/room/room_host.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/admission.hpp"
#include "engine/shard/client_link.hpp"
#include "engine/shard/client_runner.hpp"
#include "engine/shard/events.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/http_router.hpp"
#include "engine/shard/idle_spin.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/turn_budget.hpp"
#include "engine/tls/tls_identity.hpp"
#include "engine/tls/tls_session.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ringcast {

// An endpoint whose users keep messages for somebody who receives them later. The shard asks what they hold, and has them drop it.
struct session_endpoint {
  virtual ~session_endpoint() = default;
  [[nodiscard]] virtual std::size_t held_bytes(const void* user) const = 0;
  virtual void drop_waiting(void* user) const = 0;

  websocket_endpoint endpoint;
};

struct shard_options {
  server_limits limits;
  admission* admits = nullptr; // shared by the shards of a server; null: no bound on connections
  std::vector<std::string> allowed_origins;
  slow_consumer policy = slow_consumer::close;
  std::uint32_t coalesce_wait_us = 0; // the longest wait for more under load; 0: never
  std::uint64_t memory_bytes = shard_memory_bytes_default; // what may be held for peers; above it the largest debtors are ended
  std::uint32_t spin_us = 0;          // how long a shard that was busy looks for more before it sleeps; 0: not at all
  compression_options compression;
};

class shard final : public room_host {
 public:
  shard(std::uint32_t index, const shard_options& options, mesh& between, inbox& from_threads, const http_router& router, std::unique_ptr<ring> r);
  ~shard();
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;

  // Takes over a listening socket. Before run(). With an identity, which outlives the shard, its connections speak TLS.
  void add_listener(int listener, const tls_identity* identity = nullptr);

  // The loop: returns when the shard was asked to stop (doorbell::ask_to_stop) and its last connection is gone, at the latest a close timeout
  // after it was asked. shard_stop.cpp says in which steps.
  void run();
  // One turn of it. Returns false when the shard is done. Waits only if nothing is left to do.
  bool turn();
  // All shards have ended. First all of them end what is left of their tasks, then all let go of other shards' memory and of what was on
  // its way to them; only then the first of them is destroyed.
  void end_tasks();
  void drop_rooms();

  [[nodiscard]] bool is_accepting() const { return !accept_failing_; }
  [[nodiscard]] const shard_counters& counters() const { return counters_; }
  [[nodiscard]] const compression_counters& compression() { return compressor_.counters(); }
  [[nodiscard]] std::uint32_t connection_count() const { return connections_.used(); }
  [[nodiscard]] std::uint32_t handshakes_in_progress() const { return handshakes_; }

  // --- for connections and their handlers ---
  send_status send(connection& c, opcode op, std::span<const std::byte> payload);
  send_status send_in_place(connection& c, const message_view& message);
  send_status publish(connection& c, room_part& r, opcode op, std::span<const std::byte> payload);
  void close_websocket(connection& c, std::uint16_t code, std::string_view reason) override;
  void respond(connection& c, http_status status, std::string_view content_type, std::string_view body, std::string_view extra_headers);
  // Publishes and calls back with what became of it on every shard.
  void publish_with_report(std::string_view room_name, opcode op, std::span<const std::byte> payload,
                           std::function<void(const broadcast_report&)> on_report,
                           const std::source_location& where = std::source_location::current());
  // Asks the home of one room.
  void query_room(std::string_view room_name, std::function<void(const room_listing&)> on_answer,
                  const std::source_location& where = std::source_location::current());
  // Lists the rooms with members that stand behind `after`, at most `rooms_max` of them: in the order of their home shards, which are asked
  // one after the other, and of one shard in the order of their names. Empty: from the first on.
  void query_rooms(std::string_view after, std::uint32_t rooms_max, std::function<void(const room_listing&)> on_answer,
                   const std::source_location& where = std::source_location::current());
  // Reserves a seat of the room for a connection, with a name if it is not empty, and calls back when the home knows of it, perhaps at once:
  // whatever is published from then on comes here. Ends with end_claim(), whether there was an answer or not.
  [[nodiscard]] std::uint32_t claim_seat(room_part& r, connection_handle who, std::string_view name, std::function<void()> on_answer);
  void end_claim(std::uint32_t id, room_ref room);

  // --- for clients that live on this shard ---
  static constexpr std::uint8_t client_timer = 3; // the kind of their timers, which clients() is given
  // Begins to connect: the link hears how it went, once. `timeout_ms` is for this address, the deadline for the whole attempt.
  // Where there is not even a socket for it, that is the answer: an errno.
  [[nodiscard]] std::expected<connection_handle, int> connect(client_link& link, const socket_address& to, std::uint64_t timeout_ms,
                                                              std::uint64_t deadline_ms);
  // The link will not be told anything any more; an open WebSocket is closed with this code, an attempt is given up.
  void let_go(connection_handle handle, std::uint16_t code, std::string_view reason);
  void hold_input(connection_handle handle, bool hold);
  // Null until the first client comes: see client_host::of().
  [[nodiscard]] client_runner* clients() { return clients_.get(); }
  void keep_clients(std::unique_ptr<client_runner> clients) { clients_ = std::move(clients); }
  [[nodiscard]] doorbell& bell() { return mesh_.bell(index_); }
  [[nodiscard]] timer_wheel& timers() { return timers_; }
  [[nodiscard]] std::uint64_t turn_ms() const { return now_ms_; }

  // --- for coroutines ---
  // The shard whose turn the calling thread is in, or nullptr.
  [[nodiscard]] static shard* current();
  [[nodiscard]] scheduler& coroutines() { return scheduler_; }
  [[nodiscard]] inbox& from_threads() { return inbox_; }
  // The endpoints of coroutine websockets, one for each set of options that was used.
  [[nodiscard]] std::vector<std::unique_ptr<session_endpoint>>& session_endpoints() { return session_endpoints_; }
  // Answers the request that the connection waits with: 101, then it is a WebSocket of that endpoint and `user` is its websocket_ref::user().
  // If the request asks for none, it is answered with what is wrong. Returns the one of the endpoint's subprotocols that was chosen.
  std::string_view upgrade(connection& c, const http_request& request, const websocket_endpoint& endpoint, void* user) {
    return on_upgrade(c, request, endpoint, user);
  }
  // No further message is handled, and soon no byte read, until release_input(). What has been received waits, and TCP pushes back.
  void hold_input(connection& c);
  void release_input(connection& c);
  // Nothing happens if either has gone.
  void leave_room(connection_handle who, room_ref where) noexcept;
  [[nodiscard]] buffer_ring& buffers() { return buffers_; }
  // A message that is being delivered may stay where it was received beyond its callback: can_lend() asks before, lend() gives that memory
  // away, and give_back_hot() returns it if it was the hot buffer.
  [[nodiscard]] bool can_lend(const connection& c, std::span<const std::byte> payload) const;
  struct lent_memory {
    block memory;
    bool is_hot = false;
  };
  [[nodiscard]] lent_memory lend(connection& c, std::span<const std::byte> payload);
  void give_back_hot(block memory);
  [[nodiscard]] bool is_stopping() const { return stopping_; }
  // A stopping shard, whose user has let go of this connection: it is over for the user, and closed when what is queued has been sent.
  void say_going_away(connection& c);
  // Whether what is published here now is still sent to anybody: until this shard has told the others that it has said all.
  [[nodiscard]] bool takes_publications() const { return takes_publications_; }

  // --- for the shard's own parts ---
  [[nodiscard]] room_table& rooms() { return rooms_; }
  [[nodiscard]] home_table& home() { return home_; }
  [[nodiscard]] outbox& output() { return outbox_; }
  [[nodiscard]] std::uint32_t record_bytes_max() const { return mesh_.record_bytes_max(); }
  // What waits for room in the lanes to other shards.
  [[nodiscard]] std::size_t overflow_bytes() const { return port_.overflow_bytes(); }
  void deliver(std::uint32_t to, record_kind kind, std::span<const std::byte> value, std::span<const std::byte> more) override;
  void on_output_failed(connection& c) override { end(c, 1006, "the connection was lost"); }
  void on_output_refused(connection& c) override {
    ++counters_.allocations_failed;
    give_up(c, 1013, "the server has no memory");
  }
  void on_output_progress(connection& c) override;
  void tell_gap(connection& c) override { handlers_.note(c, user_event::gap); }
  void release_if_done(connection& c) override;
  // Of handlers: what follows a callback.
  [[nodiscard]] handlers& user_code() { return handlers_; }
  void count_failed_handler() { ++counters_.handlers_failed; }
  void begin_input(connection& c);
  void fail_request(connection& c);
  void say_close(connection& c, violation broken);
  [[nodiscard]] std::pair<client_link*, bool> take_link(connection& c);
  [[nodiscard]] const server_limits& limits() const { return options_.limits; }
  [[nodiscard]] block_pool& blocks() { return blocks_; }
  // What this shard holds for its peers now (shard_memory.cpp).
  [[nodiscard]] std::uint64_t memory_held() const;
  void on_memory_refused(connection& c) noexcept;

 private:
  enum timer_kind : std::uint8_t { timer_connection, timer_accept, timer_stop, timer_client = client_timer, timer_trim };

  // shard.cpp: the loop
  void dispatch(const completion& done);
  [[nodiscard]] wait_plan plan_wait();
  [[nodiscard]] bool has_work() const;
  void on_doorbell();
  void drain_mesh();
  void drain_overflow();

  // shard_receive.cpp: accepting and receiving
  void arm_accept(std::uint32_t listener);
  void on_accept(op_tag tag, const completion& done);
  void refuse_one(int listener);
  [[nodiscard]] admission_result admit(int socket, connection_source& from);
  void open(int socket, std::uint32_t listener, connection_source from);
  void answer_refusal(int socket, std::uint32_t listener, std::string_view why);
  void release_admission(connection& c);
  void arm_receive(connection& c);
  void on_receive(op_tag tag, const completion& done);
  void on_poll(op_tag tag, const completion& done);
  void receive_hot(connection& c);
  void receive_again();
  void cancel_receives();
  void rearm_parked();
  void pause_receive(connection& c);
  void resume_receive(connection& c);
  void read_large_frames_hot(connection& c);
  // shard_budget.cpp: how much of its input a connection may have handled now
  [[nodiscard]] std::uint64_t work_done_elsewhere() const { return outbox_.produced_bytes() + fan_out_cost(home_.fan_out_bytes()); }
  [[nodiscard]] bool is_output_full(const connection& c) const;
  // `delivered_before` is what turn_budget::delivered() said when this connection's input of this turn began.
  [[nodiscard]] bool must_stop(const connection& c, std::uint64_t delivered_before) const {
    return budget_.delivered() - delivered_before >= connection_turn_bytes_max || budget_.is_spent(work_done_elsewhere()) || is_output_full(c);
  }
  void stop_input(connection& c);
  void continue_stopped();
  [[nodiscard]] std::size_t record_work(std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes);
  void on_end_of_stream(connection& c);
  void consume(connection& c, std::span<std::byte> bytes) {
    if (c.encrypted) [[unlikely]]
      return consume_encrypted(c, bytes);
    consume_plain(c, bytes);
  }
  void consume_plain(connection& c, std::span<std::byte> bytes);
  struct consumed {
    std::size_t bytes = 0;      // handled
    std::uint64_t wanted = 0;   // how many bytes from there are needed to go on
    bool stopped = false;       // the rest is not wanted now: the connection ends, or an answer is being prepared
    std::size_t kept = SIZE_MAX; // of the rest only this many bytes are to be kept
  };
  [[nodiscard]] consumed consume_once(connection& c, std::span<std::byte> bytes);
  void keep_partial(connection& c, std::span<const std::byte> bytes, std::uint64_t wanted);
  void make_partial_room(partial_input& partial, std::size_t more);
  void free_partial(connection& c);
  void resume_input(connection& c);

  // shard_tls.cpp
  void begin_tls(connection& c, const tls_identity& identity);
  void begin_handshake(connection& c);
  void end_handshake(connection& c);
  void consume_encrypted(connection& c, std::span<std::byte> bytes);
  void consume_handshake(connection& c, std::span<const std::byte> bytes);
  void wait_for_handshake_step(connection& c, std::span<const std::byte> bytes);
  void continue_handshakes();
  void continue_handshakes(std::deque<connection_handle>& waiting, std::uint32_t steps_max);
  void feed_tls(connection& c, std::span<const std::byte> bytes);
  void on_tls_failed(connection& c);
  [[nodiscard]] bool say_close_notify(connection& c);

  // shard_websocket.cpp: frames and messages
  [[nodiscard]] consumed consume_frames(connection& c, std::span<std::byte> bytes);
  [[nodiscard]] frame_rules rules_of(const connection& c) const {
    const std::uint64_t message_bytes_max = limits_of(c).message_bytes_max;
    return {.our_role = c.is_client ? role::client : role::server,
            .payload_bytes_max = c.deflate_bits != 0 ? compressed_bytes_max(message_bytes_max) : message_bytes_max,
            .rsv1_allowed = c.deflate_bits != 0};
  }
  // False where the frame that has not come whole broke a rule.
  bool check_unfinished_text(connection& c, std::span<const std::byte> bytes, const frame_rules& rules, std::uint64_t message_bytes_max);
  [[nodiscard]] assembled take_unfinished(connection& c, const frame& whole, std::uint64_t message_bytes_max);
  void on_fragment_or_control(connection& c, const assembled& m);
  void hand_over(connection& c, const message_view& view);
  // For the idle timeout. A shard without one has no such times, and then this is one comparison.
  void note_message(const connection& c) {
    if (c.slot < last_message_ms_.size()) [[unlikely]]
      last_message_ms_[c.slot] = static_cast<std::uint32_t>(now_ms_);
  }
  void on_message(connection& c, const assembled& m, bool in_receive_buffer);
  void on_control(connection& c, const assembled& m);
  void on_violation(connection& c, violation broken);
  void send_close(connection& c, std::uint16_t code, std::string_view reason);
  [[nodiscard]] bool takes_output(const connection& c) const;

  // shard_compression.cpp
  [[nodiscard]] const compression_options& compression_of(const connection& c) const;
  void begin_compression(connection& c, const deflate_params& agreed);
  void end_compression(connection& c);
  void on_compressed_message(connection& c, const assembled& m);
  void append_compressible_frame(connection& c, opcode op, std::span<const std::byte> payload);

  // shard_http.cpp: requests, answers, upgrades
  [[nodiscard]] consumed consume_http(connection& c, std::span<std::byte> bytes);
  [[nodiscard]] consumed consume_chunked(connection& c, std::span<std::byte> bytes);
  void on_request(connection& c, const request_head& head, std::span<const std::byte> body);
  std::string_view on_upgrade(connection& c, const http_request& request, const websocket_endpoint& endpoint, void* user);
  void finish_upgrade(connection& c, bool granted);
  void refuse_request(connection& c, http_status status, std::string_view why);
  [[nodiscard]] bool is_refused_by_its_head(const request_head& head) const;
  void send_continue(connection& c);
  void open_websocket(connection& c);
  void append_output(connection& c, std::string_view text);

  // shard_client.cpp: the client role, up to the open WebSocket
  void on_connect(op_tag tag, const completion& done);
  void on_way_open(connection& c);
  void begin_upgrade(connection& c);
  [[nodiscard]] consumed consume_response(connection& c, std::span<std::byte> bytes);
  void on_response(connection& c, const response_head& head);
  void on_proxy_response(connection& c, const response_head& head);
  void fail_attempt(connection& c, const client_error& error);
  void run_clients_before_their_end();
  void end_attempt(connection& c, std::string_view reason);
  void note_failed_attempt(connection& c, const client_error& error);
  void append_masked_frame(connection& c, opcode op, std::span<const std::byte> payload);
  [[nodiscard]] const server_limits& client_limits(const connection& c) const;
  [[nodiscard]] const server_limits& limits_of(const connection& c) const { return c.is_client ? client_limits(c) : options_.limits; }
  [[nodiscard]] std::uint32_t ping_interval_of(const connection& c) const {
    return c.endpoint != nullptr ? c.endpoint->ping_interval_ms.value_or(limits_of(c).ping_interval_ms) : limits_of(c).ping_interval_ms;
  }

  [[nodiscard]] std::uint32_t idle_timeout_of(const connection& c) const {
    if (c.is_client || c.endpoint == nullptr) return 0;
    return c.endpoint->idle_timeout_ms.value_or(options_.limits.idle_timeout_ms);
  }

  // shard_client_tls.cpp: the client role's handshake, between the connection and the upgrade
  void begin_client_tls(connection& c);
  void on_client_tls_open(connection& c);
  void on_client_tls_failed(connection& c);
  void keep_ticket(connection& c);

  // shard_close.cpp: the steps of an end, and timers
  void finish(connection& c);
  void shut_down_finished();
  void release_ended();
  void end(connection& c, std::uint16_t code, std::string_view reason);
  void give_up(connection& c, std::uint16_t code, std::string_view reason);
  [[nodiscard]] bool is_draining(connection& c);
  [[nodiscard]] static bool is_inside_body(const connection& c);
  [[nodiscard]] static message_progress* progress_of(connection& c);
  [[nodiscard]] bool makes_progress(const connection& c, message_progress& before, std::uint64_t arrived, std::uint32_t over_ms);
  void leave_rooms(connection& c);
  void tell_closed(connection& c, std::string_view reason);
  void on_timer(timer_node& node);
  void on_connection_timer(connection& c);
  void arm_timer(connection& c, std::uint64_t in_ms) { timers_.arm(c.timer, now_ms_ + in_ms); }
  // Something begins that is looked at after this time, at the latest.
  void look_within(connection& c, std::uint64_t in_ms) {
    if (!c.timer.armed() || c.timer.deadline_ms > now_ms_ + in_ms) arm_timer(c, in_ms);
  }

  // shard_memory.cpp: what is held for peers, and its bound
  void bound_memory() {
    if (memory_held() > options_.memory_bytes) [[unlikely]]
      end_debtors();
    if (!trim_timer_.armed() && (purge_owed_ || blocks_.kept_bytes() > pool_bytes_at_rest)) timers_.arm(trim_timer_, now_ms_ + trim_interval_ms);
  }
  void end_debtors();
  void end_debtor(connection& c, std::string_view why);
  [[nodiscard]] std::uint64_t debt_of(const connection& c);
  [[nodiscard]] session_endpoint* session_endpoint_of(const connection& c);
  void on_trim();
  // Runs what takes memory of a size that this peer decides. Where there is none, the connection ends.
  template <class Work> void spend_memory(connection& c, Work&& work) {
    try {
      work();
    } catch (const std::bad_alloc&) {
      on_memory_refused(c);
    }
  }

  // shard_stop.cpp: the steps of the end of all
  void begin_stop();
  [[nodiscard]] bool has_stop_step() const;
  void go_on_with_stop();
  [[nodiscard]] bool may_end() const;
  void end_all();
  void count_unsent(connection& c);

  // shard_records.cpp: what other shards and threads say
  void on_record(std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes);
  void on_room_call(std::uint32_t from, const room_call_record& call, std::span<const std::byte> bytes);
  void publish_at_home(std::uint32_t from, const publish_record& head, std::span<const std::byte> payload);
  void drop_records();
  void deliver_to(connection_handle to, opcode op, std::span<const std::byte> payload);
  void on_report_part(std::uint32_t id, const broadcast_report* counts, std::uint32_t expect);
  void on_claim_answer(std::uint32_t from, const claim_answer_record& answer, std::span<const std::byte> name);
  [[nodiscard]] std::uint32_t new_id();
  void on_room_query(const room_query_record& query, std::string_view name);
  void on_room_answer(const room_answer_record& answer, std::string_view text);
  template <class Answer> struct question {
    std::function<void(const Answer&)> answer;
    connection_handle by; // whose handler asked
    std::source_location where;
  };
  struct pending_report {
    question<broadcast_report> asked;
    broadcast_report sum;
    std::uint32_t expected = UINT32_MAX; // not known yet
    std::uint32_t answered = 0;
  };
  struct pending_query {
    question<room_listing> asked;
    room_listing sum;
    std::uint32_t at = 0;         // of all rooms: the shard that was asked
    std::uint32_t rooms_left = 0; // and how many more are wanted
    bool all = false;
  };
  struct pending_upgrade {
    std::string response, room, name;
    hearing hears;
    std::optional<deflate_params> deflate;
  };

  shard_options options_;
  mesh& mesh_;
  mesh_port port_;
  inbox& inbox_;
  const http_router& router_;
  block_pool blocks_;
  compressor compressor_;
  std::unique_ptr<ring> ring_;
  buffer_ring buffers_;
  timer_wheel timers_;
  home_table home_;
  room_table rooms_;
  outbox outbox_;
  handlers handlers_;

  std::vector<int> listeners_;
  std::vector<const tls_identity*> identities_; // by listener; null: plain
  std::vector<bool> accept_armed_;
  timer_node accept_timer_{timer_accept};
  timer_node stop_timer_{timer_stop};
  bool accept_failing_ = false;
  int reserve_descriptor_ = -1; // given up for a moment to refuse a connection when there are no descriptors left

  std::vector<connection_source> sources_;     // by slot; empty unless connections are counted by where they come from
  std::uint32_t refusals_ = 0;                 // being answered
  std::vector<std::uint32_t> last_message_ms_; // by slot; empty unless there is an idle timeout

  std::uint64_t now_ms_ = 0;
  std::uint64_t now_ns_ = 0;    // when the turn began
  idle_spin idle_;
  bool messages_came_ = false; // in the last turn that found anything
  std::uint64_t doorbell_value_ = 0;
  bool doorbell_armed_ = false;
  enum class stop_step : std::uint8_t { none, said_all, published_all, logs_ended, close, closing };
  stop_step stop_step_ = stop_step::none; // what comes next
  bool stopping_ = false;
  bool stop_now_ = false;
  bool takes_publications_ = true;
  std::uint32_t neighbours_said_all_ = 0, neighbours_published_all_ = 0;
  std::vector<connection_handle> parked_, parked_before_, finishing_, ended_, poll_again_, input_again_;
  turn_budget budget_;
  std::vector<connection_handle> stopped_, stopped_before_; // in this turn, and in turns before: first come, first continued
  std::vector<op_tag> cancels_; // receives to be cancelled behind the turn's sends
  std::deque<connection_handle> hellos_waiting_;  // for their handshake to begin
  std::deque<connection_handle> answers_waiting_; // of handshakes that have begun; at most as many as these are
  intrusive_list<connection_layers, handshake_order> handshakes_begun_;
  std::uint32_t handshakes_ = 0;      // in that list
  std::uint32_t handshake_steps_ = 0; // in this turn
  timer_node trim_timer_{timer_trim};
  bool purge_owed_ = false;          // memory went to the allocator that it may still keep from the kernel
  std::uint32_t busy_turns_ = 0;     // that found something to do, since the last look
  std::uint64_t hot_used_ms_ = 0;
  std::uint64_t debtors_next_ms_ = 0; // when a search that found nobody is tried again
  std::uint64_t debtors_said_ms_ = 0;
  std::unordered_map<std::uint32_t, std::uint64_t> draining_; // by slot: what the peer had still to take when its timer looked last
  block hot_;         // receives large frames
  std::uint32_t hot_lent_ = 0;
  request_head head_; // of the request that is being handled; 2 KiB, so not made anew for each
  std::unordered_map<std::uint32_t, pending_upgrade> upgrades_; // by slot
  std::unordered_map<std::uint32_t, pending_report> reports_;
  std::unordered_map<std::uint32_t, pending_query> queries_;
  std::unordered_map<std::uint32_t, std::function<void()>> claims_; // of coroutines that join
  std::uint32_t next_id_ = 0;
  std::vector<client_seat> client_seats_; // by slot, as far as there are clients
  std::unique_ptr<client_runner> clients_;
  shard_counters counters_;
  std::vector<std::unique_ptr<session_endpoint>> session_endpoints_;
  scheduler scheduler_; // last: the frames it destroys may use all of the above
};

} // namespace ringcast

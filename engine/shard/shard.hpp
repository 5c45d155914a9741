// One core's worth of server: a ring, its receive buffers, its connections, its rooms, its timers. Everything in it belongs to one thread,
// which runs the loop; other shards reach it through the mesh, every other thread through its inbox.
//
// A loop turn has six phases, see turn():  submit what the last turn prepared and wait -> completions -> mesh and inbox -> timers ->
// callbacks -> publish and flush.
// Callbacks and received messages append output, and the flush at the end of the turn sends it. Two things go out before it: a large message
// that is sent back from where it was received (outbox::send_direct, because to copy it costs more than a system call of its own), and the
// next part of a backlog when the send before it completes. Callbacks that users have written are called by `handlers` alone, coroutines are
// resumed by the scheduler, or within on_message by the session that they receive from.
//
// The shard is the loop, and what connects its parts: each part has fields of its own, and is given what else it works with. So this class
// has a field for each part, which makes them many.
#pragma once

#include "engine/base/limits.hpp"
#include "engine/base/timer_wheel.hpp"
#include "engine/cluster/cluster_engine.hpp"
#include "engine/connection/compressor.hpp"
#include "engine/coroutine/scheduler.hpp"
#include "engine/io/buffer_ring.hpp"
#include "engine/io/ring.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_home.hpp"
#include "engine/room/room_host.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/acceptor.hpp"
#include "engine/shard/access_book.hpp"
#include "engine/shard/client_runner.hpp"
#include "engine/shard/client_seats.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/connection_questions.hpp"
#include "engine/shard/connection_rules.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/connection_watch.hpp"
#include "engine/shard/connector.hpp"
#include "engine/shard/drainer.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/http_router.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/idle_spin.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/input_share.hpp"
#include "engine/shard/memory_ledger.hpp"
#include "engine/shard/message_compression.hpp"
#include "engine/shard/peer_book.hpp"
#include "engine/shard/proxied_input.hpp"
#include "engine/shard/rate_gate.hpp"
#include "engine/shard/receive_memory.hpp"
#include "engine/shard/record_reader.hpp"
#include "engine/shard/room_joins.hpp"
#include "engine/shard/room_questions.hpp"
#include "engine/shard/seat_claims.hpp"
#include "engine/shard/server_questions.hpp"
#include "engine/shard/session_endpoint.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/shard_options.hpp"
#include "engine/shard/socket_reader.hpp"
#include "engine/shard/stop_state.hpp"
#include "engine/shard/stopper.hpp"
#include "engine/shard/tls_layer.hpp"
#include "engine/shard/turn_budget.hpp"
#include "engine/shard/turn_clock.hpp"
#include "engine/shard/upgrader.hpp"
#include "engine/shard/websocket_side.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace ringcast::engine {

class shard final : public room_host, private accepted_host, private work_host {
 public:
  shard(std::uint32_t index, const shard_options& options, mesh& between, inbox& from_threads, const http_router& router, std::unique_ptr<ring> r);
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;

  // The loop: returns when the shard was asked to stop (doorbell::ask_to_stop) and its last connection is gone, at the latest a close timeout
  // after it was asked. stopper.hpp says in which steps.
  void run();
  // One turn of it. Returns false when the shard is done. Waits only if nothing is left to do.
  bool turn();
  // All shards have ended. First all of them end what is left of their tasks, then all let go of other shards' memory and of what was on
  // its way to them; only then the first of them is destroyed.
  void end_tasks();
  void drop_rooms();
  // The shard whose turn the calling thread is in, or nullptr.
  [[nodiscard]] static shard* current();

  // --- its parts ---
  [[nodiscard]] acceptor& accepting() { return accepting_; }
  [[nodiscard]] input_flow& input() { return input_; }
  [[nodiscard]] tls_layer& tls() { return tls_; }
  [[nodiscard]] http_side& http() { return http_; }
  [[nodiscard]] connection_watch& watching() { return watch_; }
  [[nodiscard]] upgrader& upgrades() { return upgrades_; }
  [[nodiscard]] websocket_side& websockets() { return websockets_; }
  [[nodiscard]] connector& connecting() { return connecting_; }
  [[nodiscard]] client_seats& seats() { return seats_; }
  [[nodiscard]] closer& closing() { return closing_; }
  [[nodiscard]] stopper& stopping() { return stopping_; }
  [[nodiscard]] memory_ledger& ledger() { return ledger_; }
  [[nodiscard]] receive_memory& received() { return received_; }
  [[nodiscard]] room_questions& questions() { return questions_; }
  [[nodiscard]] server_questions& asked() { return asked_; }
  [[nodiscard]] connection_questions& connection_list() { return connection_list_; }
  [[nodiscard]] seat_claims& claims() { return claims_; }
  // Or has no need to.
  [[nodiscard]] bool reaches_cluster() const { return cluster_ == nullptr || cluster_->is_up(); }
  [[nodiscard]] room_joins& joins() { return joins_; }
  [[nodiscard]] rate_gate& rates() { return rates_; }
  [[nodiscard]] handlers& user_code() { return users_; }
  [[nodiscard]] room_table& rooms() { return rooms_; }
  [[nodiscard]] home_table& home() { return home_; }
  [[nodiscard]] outbox& output() { return outbox_; }
  [[nodiscard]] scheduler& coroutines() { return scheduler_; }
  [[nodiscard]] inbox& from_threads() { return inbox_; }
  [[nodiscard]] doorbell& bell() { return mesh_.bell(index()); }
  [[nodiscard]] timer_wheel& timers() { return wheel_; }
  [[nodiscard]] buffer_ring& buffers() { return buffers_; }
  [[nodiscard]] block_pool& blocks() { return blocks_; }
  // Of coroutine websockets.
  [[nodiscard]] session_endpoints& endpoints() { return session_endpoints_; }
  // Null until the first client comes: see client_host::of().
  [[nodiscard]] client_runner* clients() { return clients_.get(); }
  void keep_clients(std::unique_ptr<client_runner> clients) { clients_ = std::move(clients); }

  // --- what is known of it ---
  [[nodiscard]] const shard_counters& counters() const { return counters_; }
  // The same with what its parts count or hold.
  [[nodiscard]] shard_statistics statistics() const;
  [[nodiscard]] const compression_counters& compression() { return compressor_.counters(); }
  [[nodiscard]] std::uint32_t connection_count() const { return connections_.used(); }
  [[nodiscard]] std::uint64_t turn_ms() const { return clock_.ms; }
  [[nodiscard]] bool is_stopping() const { return stop_.is_stopping; }
  [[nodiscard]] bool takes_publications() const { return stop_.takes_publications; }
  [[nodiscard]] std::uint32_t record_bytes_max() const { return mesh_.record_bytes_max(); }
  // What waits for room in the lanes to other shards.
  [[nodiscard]] std::size_t overflow_bytes() const { return port_.overflow_bytes(); }
  void count_failed_handler() { ++counters_.callbacks_failed; }
  void count_prepared_message(const connection& c) {
    ++counters_.messages_sent;
    ++connections_.traffic_of(c).messages_out;
  }

  // Nothing happens if either has gone.
  void leave_room(connection_handle who, room_ref where) noexcept;

  // --- as the parts below it see it: shard_parts.cpp ---
  void deliver(std::uint32_t to, record_kind kind, std::span<const std::byte> value, std::span<const std::byte> more) override;
  void on_output_failed(connection& c) override { closing_.end(c, 1006, "the connection was lost"); }
  void on_output_refused(connection& c) override;
  void on_output_progress(connection& c) override;
  void tell_gap(connection& c) override { users_.note(c, user_event::gap); }
  void release_if_done(connection& c) override { closing_.release_if_done(c); }
  [[nodiscard]] socket_address peer_of(const connection& c) const override { return peers_.peer_of(c); }
  void close_websocket(connection& c, std::uint16_t code, std::string_view reason) override { websockets_.close(c, code, reason); }

 private:
  void on_accepted(connection& c, const tls_identity* identity) override;
  void on_refused(connection& c, std::string_view why, std::uint32_t retry_after_s) override;
  void run_work(const std::function<void(shard&)>& work) override;

  // The phases of a turn.
  void submit_and_wait();
  void take_completions();
  void obey_orders();
  void change(running_options to);
  void take_records();
  void expire_timers();
  void run_callbacks();
  void publish_and_flush();
  void count_turn();

  void dispatch(const completion& done);
  void on_timer(timer_node& node);
  void keep_history();
  void on_cluster_tick();
  [[nodiscard]] wait_plan plan_wait();
  [[nodiscard]] bool has_work() const;
  [[nodiscard]] bool has_orders() const;
  void run_clients_before_their_end();

  shard_options options_; // its parts see what change() makes of it
  mesh& mesh_;
  mesh_port port_;
  inbox& inbox_;
  turn_clock clock_;
  shard_counters counters_;
  stop_state stop_;

  block_pool blocks_;
  compressor compressor_;
  std::unique_ptr<ring> ring_;
  buffer_ring buffers_;
  timer_wheel wheel_;
  connection_timers timers_;
  room_rulebook room_rules_;
  std::unique_ptr<cluster_engine> cluster_; // null: rooms are this server's alone
  home_table home_;
  room_table rooms_;
  outbox outbox_;
  handlers users_;
  access_book access_;

  client_seats seats_;
  connection_rules rules_;
  turn_budget budget_;
  input_share share_;
  receive_memory received_;
  peer_book peers_;
  acceptor accepting_;
  socket_reader receiving_;
  proxied_input proxied_;
  input_flow input_;
  tls_layer tls_;
  http_side http_;
  upgrader upgrades_;
  websocket_side websockets_;
  message_compression compression_;
  connector connecting_;
  closer closing_;
  connection_watch watch_;
  rate_gate rates_;
  memory_ledger ledger_;
  room_questions questions_;
  server_questions asked_;
  connection_questions connection_list_;
  seat_claims claims_;
  room_joins joins_;
  record_reader records_;
  stopper stopping_;
  drainer draining_;

  std::uint32_t orders_obeyed_ = 0; // the version of server_orders
  timer_node cluster_timer_ = timer_of(shard_timer::cluster);
  timer_node history_timer_ = timer_of(shard_timer::history);
  hold_watch watch_on_handlers_;
  idle_spin idle_;
  bool messages_came_ = false; // in the last turn that found anything
  bool found_ = false;         // in this turn, completions or records
  std::uint64_t messages_before_ = 0; // that were received before this turn
  std::uint64_t doorbell_value_ = 0;
  bool doorbell_armed_ = false;

  std::unique_ptr<client_runner> clients_;
  session_endpoints session_endpoints_;
  scheduler scheduler_; // last: the frames it destroys may use all of the above
};

} // namespace ringcast::engine

// What other shards and other threads say to a shard, and what a shard says to itself: the records of records.hpp. Each goes to the part that
// knows what it means. One a shard, on its thread.
#pragma once

#include "engine/connection/shard_connections.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/records.hpp"
#include "engine/room/room_home.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/input_share.hpp"
#include "engine/shard/room_questions.hpp"
#include "engine/shard/seat_claims.hpp"
#include "engine/shard/shard_counters.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace ringcast::engine {

class memory_ledger;
class rate_gate;
class shard;
class stopper;
class upgrader;
class websocket_side;

// Who runs the functions that other threads send.
class work_host {
 public:
  virtual void run_work(const std::function<void(shard&)>& work) = 0;

 protected:
  ~work_host() = default;
};

class record_reader {
 public:
  struct needs {
    work_host& host;
    const server_limits& limits;
    mesh& between;
    mesh_port& port;
    inbox& from_threads;
    shard_connections& connections;
    room_table& rooms;
    outbox& output;
    handlers& users;
    home_table& home;
    const input_share& share;
    websocket_side& websockets;
    upgrader& upgrades;
    seat_claims& claims;
    rate_gate& rates;
    room_questions& questions;
    memory_ledger& ledger;
    stopper& stopping;
    shard_counters& counters;
  };
  explicit record_reader(const needs& with) : with_(with) {}

  // To another shard through the mesh; to itself at once.
  void deliver(std::uint32_t to, record_kind kind, std::span<const std::byte> value, std::span<const std::byte> more);

  // --- steps of a turn ---
  void drain_overflow();
  void drain_mesh();
  void drain_inbox();

  // The shard has ended: what was still on its way to it is freed, and what waits here for the lanes to others. The mesh may hold both large
  // payloads and spans, whose chunks go home.
  void drop_records();

 private:
  [[nodiscard]] std::uint32_t own() const { return with_.connections.index(); }
  // Handles it and says what that has cost.
  [[nodiscard]] std::size_t take_record(std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes);
  void on_record(std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes);
  void on_room_call(const room_call_record& call, std::span<const std::byte> bytes);
  void tell_cluster(const cluster_notice_record& notice);
  void on_claim_answer(std::uint32_t from, const claim_answer_record& answer, std::span<const std::byte> name);
  void publish_at_home(std::uint32_t from, const publish_record& head, std::span<const std::byte> payload);
  void tell_watchers(room_ref room, std::span<const std::byte> json);
  // To an event stream it is an event of that name.
  void send_to(connection_handle to, opcode op, std::span<const std::byte> payload, std::string_view event_name = {});
  void leave_room(connection_handle who, std::string_view name);

  const needs with_;
};

} // namespace ringcast::engine

// From a request to an open WebSocket: origin, the endpoint's own decision, extensions, and a seat that the room's home grants. One a shard,
// on its thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_host.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/connection_rules.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/room_joins.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/shard_options.hpp"
#include "engine/shard/stop_state.hpp"
#include "engine/shard/turn_clock.hpp"
#include "proto/extension.hpp"
#include "proto/handshake.hpp"
#include <ringcast/events.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace ringcast::engine {

class access_book;
class connection_watch;
class http_side;
class input_flow;
class message_compression;
class peer_book;

class upgrader {
 public:
  struct needs {
    room_host& host;
    const shard_options& options;
    peer_book& peers;
    const connection_rules& rules;
    room_table& rooms;
    outbox& output;
    handlers& users;
    http_side& http;
    input_flow& input;
    connection_watch& watch;
    message_compression& compression;
    const stop_state& stop;
    access_book& access;
    shard_counters& counters;
    const turn_clock& clock;
  };
  explicit upgrader(const needs& with) : with_(with) {}

  // Answers the request that the connection waits with: 101, then it is a WebSocket of that endpoint and `user` is its websocket_ref::user().
  // `headers`, and those that the endpoint adds, are lines of the answer, be it 101 or the endpoint's refusal.
  // If the request asks for none, it is answered with what is wrong. Returns the one of the endpoint's subprotocols that was chosen.
  std::string_view upgrade(connection& c, const http_request& request, const websocket_endpoint& endpoint, void* user, std::string_view headers = {});
  // The home of the room has answered. False where nobody takes the seat any more.
  [[nodiscard]] bool on_claim_answer(const claim_record& claim, claim_verdict verdict, replay* heard);
  // The connection has ended.
  void forget(const connection& c);

  // A request that is under way, as long as the home is asked.
  [[nodiscard]] std::size_t held_bytes() const { return waiting_.size() * waiting_bytes; }
  [[nodiscard]] std::size_t held_bytes(const connection& c) const { return !waiting_.empty() && waiting_.contains(c.slot) ? waiting_bytes : 0; }

 private:
  struct waiting_upgrade {
    std::string response, room{};
    wanted_seat seat{};
    bool numbered = false;
    bool event_stream = false;
    std::optional<replay_options> replay{};
    std::optional<deflate_params> deflate{};
  };
  // What a session or a name that was asked for holds beside its text.
  static constexpr std::size_t waiting_bytes = 2'048;

  // What is wrong with it has been answered; then this is false.
  [[nodiscard]] bool may_upgrade(connection& c, const http_request& request, const websocket_endpoint& endpoint, const upgrade_check& check);
  void take_or_open(connection& c, upgrade_request_view& request, waiting_upgrade&& asked);
  void claim_seat(connection& c, waiting_upgrade&& asked);
  [[nodiscard]] room_part& part_of(const waiting_upgrade& asked);
  void finish(connection& c, claim_verdict verdict, replay* heard);
  void refuse(connection& c, const waiting_upgrade& asked, claim_verdict verdict);
  void accept(connection& c, const waiting_upgrade& asked);
  void open(connection& c);

  const needs with_;
  std::unordered_map<std::uint32_t, waiting_upgrade> waiting_; // by slot
};

} // namespace ringcast::engine

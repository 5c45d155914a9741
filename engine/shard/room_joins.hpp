// Seats that open connections of the event face take, and give up, while they live. The first seat of an upgrade is `upgrader`'s. One a shard, on its thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_host.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/seat_claims.hpp"
#include "engine/shard/stop_state.hpp"
#include <ringcast/events.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace ringcast::engine {

// What a connection wants of a room, with texts of its own.
struct wanted_seat {
  std::string name{}, user{};
  hearing hears = hearing::everyone;
  bool watches = false;
};

// Sits the connection down, with what it hears first: null, if it wished for nothing.
membership& sit_down(room_table& rooms, outbox& output, connection& c, room_part& r, wanted_seat&& wanted, replay* heard);

class rate_gate;

class room_joins {
 public:
  using answer = std::function<void(websocket_ref, const join_result&)>;

  struct needs {
    shard& owner;
    room_host& host;
    room_table& rooms;
    outbox& output;
    seat_claims& claims;
    handlers& users;
    rate_gate& rates;
    const stop_state& stop;
  };
  explicit room_joins(const needs& with) : with_(with) {}

  send_status join(connection& c, std::string_view room, const seat_wish& wish, answer on_answer);
  void leave(connection& c, std::string_view room);

 private:
  struct joining {
    std::string room;
    room_ref part;
    wanted_seat wanted;
    bool wants_position;
    answer on_answer;
  };
  // Answers whether the seat was taken.
  bool answered(connection_handle who, joining& asked, claim_verdict verdict, replay* heard);
  void tell(connection_handle who, joining& asked, std::string_view why_not, const joined_position& joined);

  const needs with_;
};

} // namespace ringcast::engine

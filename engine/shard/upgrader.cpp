#include "engine/shard/upgrader.hpp"

#include "engine/connection/handle_access.hpp"
#include "engine/connection/user_events.hpp"
#include "engine/shard/connection_watch.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/message_compression.hpp"
#include "engine/shard/origin.hpp"
#include "proto/handshake.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace ringcast::engine {

namespace {
constexpr std::size_t accept_response_bytes_variable_max = 1024; // with a subprotocol and the parameters of an extension
} // namespace

std::string_view upgrader::upgrade(connection& c, const http_request& request, const websocket_endpoint& endpoint, void* user,
                                   std::string_view headers) {
  const upgrade_check check = check_upgrade(handle_access::head_of(request));
  if (!may_upgrade(c, request, endpoint, check)) return {};
  upgrade_request_view asked = handle_access::upgrade_view(request);
  auto& decision = handle_access::decision_of(asked);
  decision.user = user;
  decision.headers = headers;
  const bool decided = with_.users.upgrade(c, endpoint, asked);
  if (!decided || decision.refused != http_status::switching_protocols) {
    with_.users.note_discarded(endpoint, decision.user);
    if (decided) {
      with_.counters.count(refusal::endpoint);
      with_.http.respond(c, decision.refused, "application/json", json_error(decision.why), decision.headers);
    }
    return {};
  }
  std::string_view subprotocol;
  if (!endpoint.subprotocols.empty()) {
    const std::vector<std::string_view> preferences{endpoint.subprotocols.begin(), endpoint.subprotocols.end()};
    subprotocol = choose_subprotocol(handle_access::head_of(request), preferences);
  }
  c.endpoint = &endpoint;
  c.user = decision.user;
  const auto deflate = negotiate_deflate(handle_access::head_of(request), policy_of(with_.rules.compression_of(c)));
  std::string response(accept_response_bytes_variable_max + decision.headers.size(), '\0');
  const std::size_t bytes =
      write_accept_response(response, check.key, subprotocol, deflate ? deflate->response_value() : std::string_view{}, decision.headers);
  RINGCAST_ASSERT(bytes > 0);
  response.resize(bytes);
  if (decision.seat_wanted) {
    claim_seat(c, {std::move(response), decision.room, decision.name, decision.hears, decision.numbered, decision.replay,
                   deflate ? std::optional{deflate->params} : std::nullopt});
    return subprotocol;
  }
  if (deflate) with_.compression.begin(c, deflate->params);
  with_.output.append_text(c, response);
  open(c);
  return subprotocol;
}

bool upgrader::may_upgrade(connection& c, const http_request& request, const websocket_endpoint& endpoint, const upgrade_check& check) {
  if (!check.ok) {
    with_.counters.count(refusal::bad_handshake);
    std::string_view extra;
    // RFC 9110 15.5.22 and 7.8: the protocol that is required, and that this header is for the next hop only.
    if (check.error == http_status::upgrade_required) extra = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    if (check.error == http_status::method_not_allowed) extra = "Allow: GET\r\n";
    with_.http.respond(c, check.error, "application/json", json_error(check.why), extra);
  } else if (!is_origin_allowed(handle_access::head_of(request),
                                endpoint.allowed_origins.empty() ? with_.options.allowed_origins : endpoint.allowed_origins)) {
    with_.counters.count(refusal::origin);
    with_.http.respond_error(c, http_status::forbidden, "pages of this origin may not connect here");
  } else if (with_.stop.is_stopping) {
    with_.counters.count(refusal::going_away);
    with_.http.respond_error(c, http_status::service_unavailable, "the server is going away");
  } else {
    return true;
  }
  return false;
}

// The name is granted by the room's home, which may be another shard, and it must know that somebody sits here; until it answers, the
// request is under way.
void upgrader::claim_seat(connection& c, waiting_upgrade&& asked) {
  room_part& r = part_of(asked);
  with_.rooms.reserve(r);
  const claim_record claim{.room = {r.index, r.generation},
                           .connection = with_.host.handle_of(c).value,
                           .asker = 0,
                           .first_seats = r.first_seats,
                           .takes_over = false,
                           .wish = asked.replay ? replay_wish{*asked.replay} : replay_wish{}};
  const std::string name = asked.name;
  waiting_.insert_or_assign(c.slot, std::move(asked));
  if (!name.empty() || claim.wish.wanted || !r.known_at_home)
    return with_.host.deliver(r.home_shard, record_kind::claim_seat, bytes_of(claim), std::as_bytes(std::span{name}));
  with_.rooms.home_answered(claim.room, claim.first_seats);
  (void)on_claim_answer(claim, true, nullptr);
}

// A shard that is going away refuses the upgrade, and the name is free again.
bool upgrader::on_claim_answer(const claim_record& claim, bool granted, replay* heard) {
  connection* c = with_.host.find({claim.connection});
  const bool waits = c != nullptr && waiting_.contains(c->slot);
  const bool taken = waits && !with_.stop.is_stopping;
  // Also where there is no memory for the seat.
  struct at_end {
    room_table& rooms;
    room_ref room;
    ~at_end() { rooms.end_reservation(room); }
  } end{with_.rooms, claim.room};
  if (waits) finish(*c, granted, heard);
  return taken;
}

room_part& upgrader::part_of(const waiting_upgrade& asked) {
  const room_encoding encoding = with_.host.encoding_of(asked.deflate ? asked.deflate->server_max_window_bits : 0);
  return with_.rooms.at(asked.room, encoding_with(is_deflating(encoding), asked.numbered));
}

void upgrader::finish(connection& c, bool granted, replay* heard) {
  auto found = waiting_.extract(c.slot);
  waiting_upgrade& asked = found.mapped();
  const bool has_no_replay = asked.replay.has_value() && heard == nullptr;
  if (!granted || has_no_replay || with_.stop.is_stopping) return refuse(c, asked, granted);
  with_.output.append_text(c, asked.response);
  if (asked.deflate) with_.compression.begin(c, *asked.deflate);
  if (heard != nullptr && !heard->spans.empty()) with_.output.begin_backlog(c);
  room_part& r = part_of(asked);
  membership& seat = heard != nullptr ? with_.rooms.join(c, r, asked.hears, *heard) : with_.rooms.join(c, r, asked.hears);
  if (heard != nullptr) seat.joined = std::make_unique<joined_position>(heard->joined);
  if (!asked.name.empty()) seat.name = std::make_unique<std::string>(std::move(asked.name));
  open(c);
}

void upgrader::refuse(connection& c, const waiting_upgrade& asked, bool granted) {
  with_.users.note_discarded(*c.endpoint, std::exchange(c.user, nullptr));
  with_.counters.count(with_.stop.is_stopping ? refusal::going_away : granted ? refusal::no_memory : refusal::name_taken);
  if (!granted && !with_.stop.is_stopping) return with_.http.respond_error(c, http_status::bad_request, "this name is taken in this room");
  if (granted) {
    const room_part& r = part_of(asked);
    with_.host.deliver(r.home_shard, record_kind::release_name, bytes_of(name_record{{r.index, r.generation}, with_.host.handle_of(c).value}),
                       std::as_bytes(std::span{asked.name}));
  }
  with_.http.refuse_request(c, http_status::service_unavailable, with_.stop.is_stopping ? "the server is going away" : "the server has no memory");
}

void upgrader::forget(const connection& c) {
  if (waiting_.erase(c.slot) > 0) with_.users.note_discarded(*c.endpoint, c.user);
}

void upgrader::open(connection& c) {
  c.phase = connection_phase::websocket;
  --with_.counters.http_connections;
  ++with_.counters.websocket_connections;
  ++with_.counters.handshakes;
  c.handler_told = true;
  with_.watch.begin(c);
  if (c.endpoint->on_open)
    with_.users.note(c, user_event::opened);
  else
    with_.input.begin(c);
}

} // namespace ringcast::engine

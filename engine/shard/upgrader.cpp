#include "engine/shard/upgrader.hpp"

#include "engine/connection/handle_access.hpp"
#include "engine/connection/user_events.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/access_book.hpp"
#include "engine/shard/connection_watch.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/message_compression.hpp"
#include "engine/shard/origin.hpp"
#include "engine/shard/peer_book.hpp"
#include "engine/shard/refusal_log.hpp"
#include "engine/shard/seat_claims.hpp"
#include "proto/event_stream.hpp"
#include "proto/handshake.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <utility>
#include <vector>

namespace ringcast::engine {

namespace {

constexpr std::size_t accept_response_bytes_variable_max = 1024; // with a subprotocol and the parameters of an extension

// Where the seat was granted there was no memory for what it is to hear.
refusal refusal_of(claim_verdict verdict) {
  switch (verdict) {
  case claim_verdict::granted: return refusal::no_memory;
  case claim_verdict::name_taken: return refusal::name_taken;
  case claim_verdict::room_full: return refusal::room_full;
  case claim_verdict::unavailable: return refusal::no_engine;
  }
  std::unreachable();
}

// Chunks came with HTTP/1.1, and an HTTP/1.0 stream has no end but that of the connection. Proxies that speak it upstream by default hold it back.
upgrade_check check_stream(const request_head& head) {
  if (head.minor_version != 0) return {.ok = true, .error = http_status::ok, .why = {}, .key = {}};
  return {.ok = false, .error = http_status::upgrade_required, .why = "an event stream needs HTTP/1.1", .key = {}};
}

// Whoever may read the stream was asked before: pages of other origins are told by the same rule as for a WebSocket (WHATWG Fetch 3.2). The
// stream is not to be kept or held back by anybody between.
std::string accept_stream(const request_head& head, std::string_view headers, std::uint64_t now_ms) {
  std::string response = fmt::format("HTTP/1.1 200 OK\r\n{}Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
                                     "Transfer-Encoding: chunked\r\nConnection: close\r\n",
                                     date_line(now_ms));
  if (const auto origin = head.find("Origin")) response += fmt::format("Access-Control-Allow-Origin: {}\r\nVary: Origin\r\n", *origin);
  return response.append(headers) + "\r\n";
}

} // namespace

std::string_view upgrader::upgrade(connection& c, const http_request& request, const websocket_endpoint& endpoint, void* user,
                                   std::string_view headers) {
  const request_head& head = handle_access::head_of(request);
  const bool streams = endpoint.event_streams && asks_for_event_stream(head);
  const upgrade_check check = streams ? check_stream(head) : check_upgrade(head);
  if (!may_upgrade(c, request, endpoint, check)) {
    with_.users.note_discarded(endpoint, user);
    return {};
  }
  upgrade_request_view asked = handle_access::upgrade_view(request, streams);
  auto& decision = handle_access::decision_of(asked);
  decision.user = user;
  decision.headers = headers;
  const bool decided = with_.users.upgrade(c, endpoint, asked);
  if (!decided || decision.refused != http_status::switching_protocols) {
    with_.users.note_discarded(endpoint, decision.user);
    if (decided) {
      with_.counters.count(refusal::endpoint);
      log_refusal(refusal::endpoint, with_.peers, c, head);
      with_.http.respond(c, decision.refused, "application/json", json_error(decision.why), decision.headers);
    }
    return {};
  }
  if (const admission_verdict judged = with_.peers.hand_over(c, head); !judged.is_admitted()) {
    with_.users.note_discarded(endpoint, decision.user);
    with_.counters.count(judged.why());
    log_refusal(judged.why(), with_.peers, c, head);
    if (judged.retry_after_s != 0)
      with_.http.refuse_for_now(c, judged.sentence(), judged.retry_after_s);
    else
      with_.http.respond_error(c, http_status::service_unavailable, judged.sentence());
    return {};
  }
  c.endpoint = &endpoint;
  c.user = decision.user;
  if (streams) {
    take_or_open(c, asked, {.response = accept_stream(head, decision.headers, with_.clock.ms), .event_stream = true});
    return {};
  }
  std::string_view subprotocol;
  if (!endpoint.subprotocols.empty()) {
    const std::vector<std::string_view> preferences{endpoint.subprotocols.begin(), endpoint.subprotocols.end()};
    subprotocol = choose_subprotocol(head, preferences);
  }
  const auto deflate = negotiate_deflate(head, policy_of(with_.rules.compression_of(c)));
  std::string response(accept_response_bytes_variable_max + decision.headers.size(), '\0');
  const std::size_t bytes =
      write_accept_response(response, check.key, subprotocol, deflate ? deflate->response_value() : std::string_view{}, decision.headers);
  RINGCAST_ASSERT(bytes > 0);
  response.resize(bytes);
  take_or_open(c, asked, {.response = std::move(response), .deflate = deflate ? std::optional{deflate->params} : std::nullopt});
  return subprotocol;
}

// The same whether the peer asked for a WebSocket or for an event stream: a seat is claimed first, if one is wanted.
void upgrader::take_or_open(connection& c, upgrade_request_view& request, waiting_upgrade&& asked) {
  auto& decided = handle_access::decision_of(request);
  if (!decided.seat_wanted) {
    accept(c, asked);
    return open(c);
  }
  asked.room = std::move(decided.room);
  asked.seat = {.name = std::move(decided.name), .user = std::move(decided.user_id), .hears = decided.hears, .watches = decided.watches};
  asked.numbered = decided.numbered;
  asked.replay = decided.replay;
  claim_seat(c, std::move(asked));
}

bool upgrader::may_upgrade(connection& c, const http_request& request, const websocket_endpoint& endpoint, const upgrade_check& check) {
  const request_head& head = handle_access::head_of(request);
  if (!check.ok) {
    with_.counters.count(refusal::bad_handshake);
    log_refusal(refusal::bad_handshake, with_.peers, c, head);
    std::string_view extra;
    // RFC 9110 15.5.22 and 7.8: the protocol that is required, and that this header is for the next hop only.
    if (check.error == http_status::upgrade_required)
      extra = endpoint.event_streams && asks_for_event_stream(head)
                  ? std::string_view{"Connection: Upgrade\r\nUpgrade: HTTP/1.1\r\n"}
                  : std::string_view{"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"};
    if (check.error == http_status::method_not_allowed) extra = "Allow: GET\r\n";
    with_.http.respond(c, check.error, "application/json", json_error(check.why), extra);
  } else if (!is_origin_allowed(head, endpoint.allowed_origins.empty() ? with_.options.allowed_origins : endpoint.allowed_origins)) {
    with_.counters.count(refusal::origin);
    log_refusal(refusal::origin, with_.peers, c, head);
    with_.http.respond_error(c, http_status::forbidden, "pages of this origin may not connect here");
  } else if (with_.stop.is_stopping) {
    with_.counters.count(refusal::going_away);
    log_refusal(refusal::going_away, with_.peers, c, head);
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
                           .seats = r.seats(),
                           .takes_over = false,
                           .wish = asked.replay ? replay_wish{*asked.replay} : replay_wish{}};
  const std::string name = asked.seat.name;
  waiting_.insert_or_assign(c.slot, std::move(asked));
  if (!name.empty() || claim.wish.wanted || !r.known_at_home || r.rules->counts_seats())
    return with_.host.deliver(r.home_shard, record_kind::claim_seat, bytes_of(claim), std::as_bytes(std::span{name}));
  with_.rooms.home_answered(claim.room, claim.first_seats);
  (void)on_claim_answer(claim, claim_verdict::granted, nullptr);
}

// A shard that is going away refuses the upgrade, and the name is free again.
bool upgrader::on_claim_answer(const claim_record& claim, claim_verdict verdict, replay* heard) {
  connection* c = with_.host.find({claim.connection});
  const bool waits = c != nullptr && waiting_.contains(c->slot);
  const bool taken = waits && !with_.stop.is_stopping;
  // Also where there is no memory for the seat.
  struct at_end {
    room_table& rooms;
    room_ref room;
    ~at_end() { rooms.end_reservation(room); }
  } end{with_.rooms, claim.room};
  if (waits) finish(*c, verdict, heard);
  return taken;
}

room_part& upgrader::part_of(const waiting_upgrade& asked) {
  if (asked.event_stream) return with_.rooms.at(asked.room, room_encoding::event_stream);
  const room_encoding encoding = with_.host.encoding_of(asked.deflate ? asked.deflate->server_max_window_bits : 0);
  return with_.rooms.at(asked.room, encoding_with(is_deflating(encoding), asked.numbered));
}

void upgrader::finish(connection& c, claim_verdict verdict, replay* heard) {
  auto found = waiting_.extract(c.slot);
  waiting_upgrade& asked = found.mapped();
  const bool has_no_replay = asked.replay.has_value() && heard == nullptr;
  if (verdict != claim_verdict::granted || has_no_replay || with_.stop.is_stopping) return refuse(c, asked, verdict);
  accept(c, asked);
  room_part& r = part_of(asked);
  sit_down(with_.rooms, with_.output, c, r, std::move(asked.seat), heard);
  open(c);
}

void upgrader::accept(connection& c, const waiting_upgrade& asked) {
  with_.output.append_text(c, asked.response);
  with_.access.opened(c);
  if (asked.deflate) with_.compression.begin(c, *asked.deflate);
  c.event_stream = asked.event_stream;
  if (!c.event_stream) return;
  // It answers no ping: TCP itself gives up a peer that has gone. 0 is the kernel's own patience.
  const std::uint32_t interval_ms = with_.rules.ping_interval_of(c);
  if (interval_ms != 0) set_user_timeout(c.socket, interval_ms + with_.rules.pong_timeout_of(c));
}

void upgrader::refuse(connection& c, const waiting_upgrade& asked, claim_verdict verdict) {
  with_.users.note_discarded(*c.endpoint, std::exchange(c.user, nullptr));
  const refusal why = with_.stop.is_stopping ? refusal::going_away : refusal_of(verdict);
  if (why != refusal::room_full) with_.counters.count(why); // the home has counted those
  log_refusal(why, with_.peers, c);
  if (verdict != claim_verdict::granted && !with_.stop.is_stopping)
    return with_.http.respond_error(c, verdict == claim_verdict::name_taken ? http_status::bad_request : http_status::service_unavailable,
                                    why_no_seat(verdict));
  if (verdict == claim_verdict::granted) {
    const room_part& r = part_of(asked);
    with_.host.deliver(r.home_shard, record_kind::release_name, bytes_of(name_record{{r.index, r.generation}, with_.host.handle_of(c).value}),
                       std::as_bytes(std::span{asked.seat.name}));
  }
  with_.http.refuse_request(c, http_status::service_unavailable, with_.stop.is_stopping ? "the server is going away" : "the server has no memory");
}

void upgrader::forget(const connection& c) {
  with_.watch.forget(c);
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
  else {
    with_.rooms.tell_users(c);
    with_.input.begin(c);
  }
}

} // namespace ringcast::engine

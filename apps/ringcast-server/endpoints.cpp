#include "apps/ringcast-server/endpoints.hpp"

#include "apps/page/page.hpp"
#include "apps/ringcast-server/admin.hpp"
#include "apps/ringcast-server/connections.hpp"
#include "apps/ringcast-server/idempotency.hpp"
#include "apps/ringcast-server/member.hpp"
#include "apps/ringcast-server/metrics.hpp"
#include <ringcast/base64.hpp>
#include <ringcast/close_code.hpp>
#include <ringcast/events.hpp>
#include <ringcast/position.hpp>
#include <ringcast/room.hpp>
#include <ringcast/utf8.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <expected>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace ringcast {

namespace {

// A member hears it between what its rooms say. An event stream sends nothing that could be dropped.
void tell_dropped(websocket_ref ws, std::uint64_t messages) { ws.send_text(fmt::format(R"({{"dropped":{}}})", messages)); }

// Who may connect at all may have an echo.
websocket_endpoint echo(const doors& by) {
  websocket_endpoint whole{.on_message = [](websocket_ref ws, const message_view& message) { ws.send(message); }, .on_dropped = tell_dropped};
  if (by.gate == nullptr && by.application == nullptr && by.ledger == nullptr) return whole;
  whole.on_upgrade = [by](upgrade_request_view& upgrade) {
    member who;
    if (let_in(by, upgrade, token_right::any, who)) keep_member(upgrade, who);
  };
  whole.on_discard = drop_member;
  whole.on_open = [](websocket_ref ws) { close_at_expiry(ws, member_of(ws)); };
  whole.on_close = [](websocket_ref ws, std::uint16_t, std::string_view) { drop_member(ws.user()); };
  return whole;
}

// The subprotocol of members that see the numbers of messages.
constexpr std::string_view numbered_protocol = "ringcast.v1";

bool offers(std::string_view protocols, std::string_view wanted) {
  while (!protocols.empty()) {
    const std::size_t end = std::min(protocols.find(','), protocols.size());
    std::string_view one = protocols.substr(0, end);
    while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
    while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
    if (one == wanted) return true;
    protocols.remove_prefix(std::min(end + 1, protocols.size()));
  }
  return false;
}

std::string_view as_text(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// A number of the query; nothing if it is none or above the bound.
std::optional<std::uint32_t> number_of(std::string_view text, std::uint32_t max) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || number > max) return std::nullopt;
  return number;
}

constexpr std::string_view wrong_position = "since is a position that this server has told: EPOCH:SEQUENCE";

// What of the past somebody asks for with ?history=N and ?since=EPOCH:SEQUENCE. An event stream that comes back says with Last-Event-ID what it has
// heard since it asked for the page's ?since=. The error is one sentence.
std::expected<std::optional<replay_options>, std::string_view> asked_replay(const http_request& request) {
  const auto last = request.query("history");
  auto after = request.query("since");
  if (const std::string_view id = request.header("Last-Event-ID"); !id.empty()) after = id;
  if (!last && !after) return std::nullopt;
  replay_options wanted;
  if (last) {
    const auto number = number_of(*last, UINT32_MAX);
    if (!number) return std::unexpected("history is a number of messages");
    wanted.last = *number;
  }
  if (after) {
    wanted.after = parse_position(*after);
    if (!wanted.after) return std::unexpected(wrong_position);
  }
  return wanted;
}

// What rooms like this one take is less than what a message may be here.
void refuse_large(websocket_ref ws, send_status sent) {
  if (sent == send_status::too_large) ws.close(static_cast<std::uint16_t>(close_code::message_too_big), "larger than this room takes");
}

void tell_reset(websocket_ref ws, const room_position& at) {
  const std::string json = fmt::format(R"({{"epoch":"{}","seq":{}}})", text_of_epoch(at.epoch), at.sequence);
  if (ws.is_event_stream())
    ws.send_event("reset", json, text_of(at));
  else if (member_of(ws).gaps || member_of(ws).numbered)
    ws.send_text("{\"reset\":" + json + "}");
}

// Who sees no numbers is told nothing but that its own message was not published, by being closed.
void tell_cluster(websocket_ref ws, std::string_view, cluster_state what) {
  static constexpr std::string_view words[] = {"lost", "back", "refused"};
  const std::string json = fmt::format(R"({{"cluster":"{}"}})", words[static_cast<std::size_t>(what)]);
  if (ws.is_event_stream())
    ws.send_event("cluster", json);
  else if (member_of(ws).numbered)
    ws.send_text(json);
  else if (what == cluster_state::refused)
    ws.close(static_cast<std::uint16_t>(close_code::try_again_later), "what was said could not be published");
}

// Whether it sees the numbers of messages: an event stream always does.
bool is_numbered(const upgrade_request_view& upgrade) {
  const http_request& request = upgrade.request();
  return upgrade.is_event_stream() || request.query("seq") == "1" || offers(request.header("Sec-WebSocket-Protocol"), numbered_protocol);
}

// Where it joined, in front of everything else.
void greet(websocket_ref ws) {
  const auto joined = ws.joined();
  if (!joined) return;
  std::string hello = "{\"room\":";
  append_json_string(hello, *ws.room_name());
  hello += fmt::format(R"(,"epoch":"{}","seq":{},"resumed":{}}})", text_of_epoch(joined->at.epoch), joined->at.sequence, joined->resumed);
  // Whoever hears no more than this goes on in front of the first message.
  if (ws.is_event_stream())
    ws.send_event("joined", hello, text_of(room_position{joined->at.epoch, joined->first - 1}));
  else
    ws.send_text(hello);
}

websocket_endpoint broadcast(const doors& by) {
  return {.on_upgrade =
              [by](upgrade_request_view& upgrade) {
                member who;
                if (!let_in(by, upgrade, token_right::join, who)) return;
                const http_request& request = upgrade.request();
                const auto replay = asked_replay(request);
                if (!replay) return upgrade.refuse(http_status::bad_request, replay.error());
                const bool numbered = is_numbered(upgrade);
                // A token without a user is nobody's, and what the application says holds, whatever was asked for.
                const auto user = who.has_token && (who.user.empty() || by.application != nullptr)
                                      ? std::optional{who.user}
                                      : own_name(by, upgrade, who, request.query("user"));
                if (!user) return;
                who.user = *user;
                upgrade.take_seat(request.parameter("room"), {.hears = request.query("self") == "0" ? hearing::others : hearing::everyone,
                                                              .user = who.user,
                                                              .watches_users = request.query("presence") == "1",
                                                              .numbered = numbered,
                                                              .position = numbered,
                                                              .replay = *replay});
                who.gaps = request.query("gaps") == "1";
                who.numbered = numbered;
                keep_member(upgrade, who);
              },
          .on_discard = drop_member,
          .on_open =
              [](websocket_ref ws) {
                const member& who = member_of(ws);
                if (who.has_token) close_at_expiry(ws, who);
                if (who.numbered) greet(ws);
              },
          .on_message =
              [gate = by.gate](websocket_ref ws, const message_view& message) {
                if (member& who = member_of(ws); is_watched(who) && !is_for_room(gate, ws, who, message)) return;
                refuse_large(ws, ws.broadcast(message.op, message.payload));
              },
          .on_dropped = tell_dropped,
          .on_gap =
              [](websocket_ref ws, std::uint64_t first, std::uint64_t last) {
                if (ws.is_event_stream())
                  ws.send_event("gap", fmt::format(R"({{"from":{},"to":{}}})", first, last));
                else if (member_of(ws).gaps)
                  ws.send_text(fmt::format(R"({{"gap":{{"from":{},"to":{}}}}})", first, last));
              },
          .on_reset = tell_reset,
          .on_cluster = tell_cluster,
          .on_going_away =
              [](websocket_ref ws, std::chrono::milliseconds retry_after) {
                if (!member_of(ws).numbered || ws.is_event_stream()) return;
                ws.send_text(fmt::format(R"({{"retry_after":{}.{:03}}})", retry_after.count() / 1000, retry_after.count() % 1000));
              },
          .on_close = [](websocket_ref ws, std::uint16_t, std::string_view) { drop_member(ws.user()); },
          .subprotocols = {std::string{numbered_protocol}},
          .event_streams = true};
}

// "NAME" and what it did or said, as one text message to the room.
void say(websocket_ref ws, std::string_view name, std::string_view between, std::string_view text) {
  thread_local std::string line;
  line.assign(name).append(between).append(text);
  refuse_large(ws, ws.broadcast(opcode::text, std::as_bytes(std::span{line})));
}

websocket_endpoint chat(const doors& by) {
  return {.on_upgrade =
              [by](upgrade_request_view& upgrade) {
                member who;
                if (!let_in(by, upgrade, token_right::join, who)) return;
                const auto name = own_name(by, upgrade, who, upgrade.request().query("name"));
                if (!name) return;
                if (name->empty()) return upgrade.refuse(http_status::bad_request, "a name is needed: ?name=NAME");
                const auto replay = asked_replay(upgrade.request());
                if (!replay) return upgrade.refuse(http_status::bad_request, replay.error());
                who.numbered = is_numbered(upgrade);
                upgrade.take_seat(upgrade.request().parameter("room"),
                                  {.name = *name, .user = who.user, .numbered = who.numbered, .position = who.numbered, .replay = *replay});
                keep_member(upgrade, who);
              },
          .on_discard = drop_member,
          .on_open =
              [](websocket_ref ws) {
                const member& who = member_of(ws);
                if (who.has_token) close_at_expiry(ws, who);
                if (who.numbered) greet(ws);
                say(ws, *ws.name_in_room(), " joined", {});
              },
          .on_message =
              [gate = by.gate](websocket_ref ws, const message_view& message) {
                if (member& who = member_of(ws); is_watched(who) && !is_for_room(gate, ws, who, message)) return;
                if (message.op != opcode::text) return ws.close(static_cast<std::uint16_t>(close_code::unsupported_data), "the chat is text");
                say(ws, *ws.name_in_room(), ": ", message.text());
              },
          .on_dropped = tell_dropped,
          .on_leave = [](websocket_ref ws) { say(ws, *ws.name_in_room(), " left", {}); },
          .on_close = [](websocket_ref ws, std::uint16_t, std::string_view) { drop_member(ws.user()); },
          .subprotocols = {std::string{numbered_protocol}}};
}

// Whether the request is to be carried out: it has no key, or is the first one with it. Otherwise it has been answered.
bool is_first_try(idempotent_answers& kept, const http_request& request, std::string_view room, std::string_view key, http_responder& responder) {
  if (key.empty()) return true;
  if (key.size() > idempotent_answers::key_bytes_max) {
    responder.respond_error(http_status::bad_request, "Idempotency-Key is longer than 255 bytes");
    return false;
  }
  const std::string whole = std::string{request.header("Content-Type")}.append(1, '\n').append(as_text(request.body));
  auto [what, answer] = kept.begin(room, key, whole);
  using enum idempotent_answers::verdict;
  switch (what) {
  case first: return true;
  case again: responder.respond_json(http_status::ok, answer); break;
  case under_way: responder.respond_error(http_status::conflict, "a request with this Idempotency-Key is still being answered"); break;
  case other: responder.respond_error(http_status::unprocessable_content, "this Idempotency-Key was used for another request"); break;
  case full: responder.respond_error(http_status::service_unavailable, "too many requests had an Idempotency-Key in the last two minutes"); break;
  }
  return false;
}

// The bucket of the room has a message's worth again by then.
void refuse_fast(http_responder responder) {
  responder.respond(http_status::too_many_requests, "application/json", json_error("this room is said more than it may be"), "Retry-After: 1\r\n");
}

void publish(server& s, idempotent_answers& kept, const http_request& request, http_responder responder) {
  room to = s.room(request.parameter("room"));
  if (!to.valid()) return responder.respond_error(http_status::bad_request, to.valid().error());
  if (request.body.size() > to.message_bytes_max()) return responder.respond_error(http_status::content_too_large, "larger than this room takes");
  const std::string_view type = request.header("Content-Type");
  const bool text = type.starts_with("text/") || type.starts_with("application/json");
  if (text && !is_valid_utf8(request.body)) return responder.respond_error(http_status::bad_request, "the body is not UTF-8");
  const std::string key{request.header("Idempotency-Key")};
  if (!is_first_try(kept, request, to.name(), key, responder)) return;
  to.broadcast_reported(text ? opcode::text : opcode::binary, request.body,
                        [responder, &kept, key, name = to.name()](const broadcast_report& report) mutable {
                          if (report.too_fast || report.unavailable) kept.give_up(name, key);
                          if (report.too_fast) return refuse_fast(responder);
                          if (report.unavailable)
                            return responder.respond_error(http_status::service_unavailable,
                                                           "what orders this room over all servers did not say that it was published");
                          std::string answer = fmt::format(R"({{"members":{},"queued":{},"conflated":{},"dropped":{},"epoch":"{}","seq":{}}})",
                                                           report.members, report.queued, report.conflated, report.dropped,
                                                           text_of_epoch(report.position.epoch), report.position.sequence);
                          responder.respond_json(http_status::ok, answer);
                          if (!key.empty()) kept.keep(name, key, std::move(answer));
                        });
}

// A page of it: a server may have more rooms than anybody wants to wait for.
constexpr std::uint32_t page_max = 1000;
constexpr std::string_view limit_rule = "limit is a number from 1 to 1000";

std::optional<std::uint32_t> asked_limit(const http_request& request, std::uint32_t otherwise) {
  const auto wanted = request.query("limit");
  if (!wanted) return otherwise;
  const auto limit = number_of(*wanted, page_max);
  return limit == 0u ? std::nullopt : limit;
}

void list_rooms(server& s, const http_request& request, http_responder responder) {
  const auto limit = asked_limit(request, page_max);
  if (!limit) return responder.respond_error(http_status::bad_request, limit_rule);
  const auto after = request.query("after");
  if (after)
    if (const auto valid = check_room_name(*after); !valid)
      return responder.respond_error(http_status::bad_request, fmt::format("after: {}", valid.error()));
  s.rooms(after.value_or(""), *limit, [responder](const room_page& page) mutable {
    std::string json = "{\"rooms\":[";
    for (const room_summary& each : page.rooms) {
      json += &each == page.rooms.data() ? "{\"name\":" : ",{\"name\":";
      append_json_string(json, each.name);
      json += fmt::format(",\"members\":{}}}", each.members);
    }
    json += "],\"next\":";
    if (page.next)
      append_json_string(json, *page.next);
    else
      json += "null";
    responder.respond_json(http_status::ok, json + "}");
  });
}

void list_room(server& s, const http_request& request, http_responder responder) {
  room asked = s.room(request.parameter("room"));
  if (!asked.valid()) return responder.respond_error(http_status::bad_request, asked.valid().error());
  asked.info([responder, name = asked.name()](const room_info& info) mutable {
    if (info.members == 0) return responder.respond_error(http_status::not_found, "nobody is in this room");
    std::string json = "{\"name\":";
    append_json_string(json, name);
    json += fmt::format(",\"members\":{},\"names\":[", info.members);
    for (const std::string& each : info.names) {
      if (&each != info.names.data()) json += ',';
      append_json_string(json, each);
    }
    json += fmt::format("],\"user_count\":{},\"users\":[", info.user_count);
    for (const room_user& each : info.users) {
      json += &each == info.users.data() ? "{\"user\":" : ",{\"user\":";
      append_json_string(json, each.id);
      json += fmt::format(",\"connections\":{}}}", each.connections);
    }
    responder.respond_json(http_status::ok, json + "]}");
  });
}

constexpr std::uint32_t messages_read_usually = 100;
// Proxies end a request that is silent for longer.
constexpr std::uint32_t wait_s_max = 60;

// What a room keeps, a page at a time: all behind ?since=, or else the last ones.
void read_messages(server& s, const http_request& request, http_responder responder) {
  room asked = s.room(request.parameter("room"));
  if (!asked.valid()) return responder.respond_error(http_status::bad_request, asked.valid().error());
  const auto limit = asked_limit(request, messages_read_usually);
  if (!limit) return responder.respond_error(http_status::bad_request, limit_rule);
  replay_options wanted{.last = *limit};
  if (const auto since = request.query("since")) {
    wanted = {.after = parse_position(*since)};
    if (!wanted.after) return responder.respond_error(http_status::bad_request, wrong_position);
  }
  std::uint32_t wait_s = 0;
  if (const auto wait = request.query("wait")) {
    const auto seconds = number_of(*wait, wait_s_max);
    if (!seconds) return responder.respond_error(http_status::bad_request, "wait is a number of seconds up to 60");
    wait_s = *seconds;
  }
  asked.read(wanted, *limit, wait_s * 1000, [responder, name = asked.name()](const room_messages& read) mutable {
    if (read.newest.epoch == 0) return responder.respond_error(http_status::not_found, "there is no such room");
    std::string json = "{\"room\":";
    append_json_string(json, name);
    json += fmt::format(R"(,"epoch":"{}","messages":[)", text_of_epoch(read.newest.epoch));
    for (const room_message& message : read.messages) {
      if (&message != read.messages.data()) json += ',';
      json += fmt::format("{{\"seq\":{},", message.sequence);
      if (message.op == opcode::text) {
        json += "\"text\":";
        append_json_string(json, message.text());
      } else {
        json += "\"binary\":\"";
        const std::size_t before = json.size();
        json.resize(before + base64_encoded_bytes(message.payload.size()));
        base64_encode(message.payload, json.data() + before);
        json += '"';
      }
      json += '}';
    }
    responder.respond_json(http_status::ok,
                           json + fmt::format(R"(],"next":"{}","more":{},"missing":{}}})", text_of(read.next()), read.more, read.missing));
  });
}

void list_connections(server& s, const http_request& request, http_responder responder) {
  const auto asked = asked_connections(request);
  if (!asked) return responder.respond_error(http_status::bad_request, asked.error());
  s.connections(*asked, [responder](const connection_page& page) mutable { responder.respond_json(http_status::ok, connections_json(page)); });
}

application_numbers numbers_of(const application_gate& gate) {
  application_numbers now{.questions = gate.questions(), .from_cache = gate.from_cache(), .results = {}};
  for (std::size_t i = 0; i < application_results; ++i) {
    const auto what = static_cast<application_result>(i);
    now.results.emplace_back(name_of(what), gate.counted(what));
  }
  return now;
}

void metrics(server& s, const endpoint_options& options, const shared_guard& guard, http_responder responder) {
  s.statistics([responder, options, guard](const server_statistics& told) mutable {
    process_numbers process = process_numbers_now();
    if (options.access_lines_dropped) process.access_lines_dropped = options.access_lines_dropped();
    const doors& by = options.by;
    process.admin_actions = guard->counted();
    for (std::size_t i = 0; by.gate != nullptr && i < token_refusals; ++i) {
      const auto why = static_cast<token_refusal>(i);
      process.token_refusals.emplace_back(name_of(why), by.gate->refusals(why));
    }
    if (by.application != nullptr) process.application = numbers_of(*by.application);
    if (by.ledger != nullptr) process.webhooks = by.ledger->numbers();
    responder.respond(http_status::ok, metrics_content_type, metrics_text(told, process));
  });
}

void page(const http_request&, http_responder responder) {
  const std::string headers =
      fmt::format("Content-Security-Policy: {}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-cache\r\n",
                  chat_page_csp());
  responder.respond(http_status::ok, "text/html; charset=utf-8", chat_page(), headers);
}

// The page asks for what lies beside it, and so must stand behind a slash. What a request asked for besides, a token, goes with it.
void add_way_to_the_page(routes& to, const std::string& base) {
  to.add("GET", base, [base](const http_request& request, http_responder responder) {
    const std::string_view target = request.target();
    const std::string_view query = target.substr(std::min(target.find('?'), target.size()));
    responder.respond(http_status::permanent_redirect, "text/plain", "the page is behind a slash", fmt::format("Location: {}/{}\r\n", base, query));
  });
}

} // namespace

void add_endpoints(server& s, const endpoint_options& options) {
  // Each of these asks the server for what its handler is given.
  const auto with_server = [&s](auto handler) {
    return [&s, handler](const http_request& request, http_responder responder) { handler(s, request, responder); };
  };
  const doors& by = options.by;
  const auto for_members = [&](auto handler) { return behind(by, token_right::join, with_server(handler)); };
  // As long as the server has routes: its handlers hold it.
  const auto kept = std::make_shared<idempotent_answers>();
  routes all = s.routes();
  if (!options.base_path.empty()) add_way_to_the_page(all, options.base_path);
  routes_below routes{all, options.base_path};
  // What tells of the whole server, or says something in any room, is for those who run it.
  routes_below admin = options.admin_apart ? routes.admin() : routes;
  routes.add("GET", "/", page);
  add_behind(routes, "/echo", echo(by), by, token_right::any);
  add_behind(routes, "/broadcast/{room}", broadcast(by), by, token_right::join);
  add_behind(routes, "/chat/{room}", chat(by), by, token_right::join);
  const auto guard = std::make_shared<admin_guard>();
  const http_handler published =
      behind(by, token_right::publish, [&s, kept](const http_request& request, http_responder responder) { publish(s, *kept, request, responder); });
  admin.add("POST", "/rooms/{room}/messages", [published, guard](const http_request& request, http_responder responder) {
    if (!may_publish(*guard, request, request.parameter("room"), responder)) return;
    published(request, responder);
  });
  // Not 405: there is nothing to post to.
  if (options.admin_apart)
    routes.add("POST", "/rooms/{room}/messages", [](const http_request&, http_responder responder) {
      responder.respond_error(http_status::not_found, "there is nothing at this path");
    });
  routes.add("GET", "/rooms/{room}/messages", for_members(read_messages));
  admin.add("GET", "/rooms", with_server(list_rooms));
  routes.add("GET", "/rooms/{room}", for_members(list_room));
  admin.add("GET", "/connections", with_server(list_connections));
  admin.add("GET", "/metrics", [&s, options, guard](const http_request&, http_responder responder) { metrics(s, options, guard, responder); });
  add_dashboard(s, admin, guard, options.admin_apart);
  routes.add("GET", "/health/live",
             [](const http_request&, http_responder responder) { responder.respond_json(http_status::ok, R"({"status":"live"})"); });
  routes.add("GET", "/health/ready", [&s](const http_request&, http_responder responder) {
    if (s.is_ready()) return responder.respond_json(http_status::ok, R"({"status":"ready"})");
    responder.respond_error(http_status::service_unavailable, "new connections are better made elsewhere now");
  });
}

} // namespace ringcast

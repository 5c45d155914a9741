#include "apps/ringcast-server/endpoints.hpp"

#include "apps/page/page.hpp"
#include <ringcast/close_code.hpp>
#include <ringcast/events.hpp>
#include <ringcast/room.hpp>
#include <ringcast/utf8.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>

namespace ringcast {

using namespace engine;

namespace {

websocket_endpoint echo() {
  return {.on_message = [](websocket_ref ws, const message_view& message) { ws.send(message); }};
}

// The mark of a connection that asked to be told which messages the slow-consumer policy took from it.
char wants_gaps;

websocket_endpoint broadcast() {
  return {.on_upgrade =
              [](upgrade_request_view& upgrade) {
                upgrade.take_seat(upgrade.request().parameter("room"), upgrade.request().query("self") == "0" ? hearing::others : hearing::everyone);
                if (upgrade.request().query("gaps") == "1") upgrade.set_user(&wants_gaps);
              },
          .on_message = [](websocket_ref ws, const message_view& message) { ws.broadcast(message.op, message.payload); },
          .on_gap =
              [](websocket_ref ws, std::uint64_t first, std::uint64_t last) {
                if (ws.user() == &wants_gaps) ws.send_text(fmt::format(R"({{"gap":{{"from":{},"to":{}}}}})", first, last));
              }};
}

// "NAME" and what it did or said, as one text message to the room.
void say(websocket_ref ws, std::string_view name, std::string_view between, std::string_view text) {
  thread_local std::string line;
  line.assign(name).append(between).append(text);
  ws.broadcast(opcode::text, std::as_bytes(std::span{line}));
}

websocket_endpoint chat() {
  return {.on_upgrade =
              [](upgrade_request_view& upgrade) {
                const std::string name = upgrade.request().query("name").value_or("");
                if (name.empty()) return upgrade.refuse(http_status::bad_request, "a name is needed: ?name=NAME");
                upgrade.take_seat(upgrade.request().parameter("room"), hearing::everyone, name);
              },
          .on_open = [](websocket_ref ws) { say(ws, *ws.name_in_room(), " joined", {}); },
          .on_message =
              [](websocket_ref ws, const message_view& message) {
                if (message.op != opcode::text) return ws.close(static_cast<std::uint16_t>(close_code::unsupported_data), "the chat is text");
                say(ws, *ws.name_in_room(), ": ", message.text());
              },
          .on_leave = [](websocket_ref ws) { say(ws, *ws.name_in_room(), " left", {}); }};
}

void publish(server& s, const http_request& request, http_responder responder) {
  room to = s.room(request.parameter("room"));
  if (!to.valid()) return responder.respond_error(http_status::bad_request, to.valid().error());
  const std::string_view type = request.header("Content-Type");
  const bool text = type.starts_with("text/") || type.starts_with("application/json");
  if (text && !is_valid_utf8(request.body)) return responder.respond_error(http_status::bad_request, "the body is not UTF-8");
  to.broadcast_reported(text ? opcode::text : opcode::binary, request.body, [responder](const broadcast_report& report) mutable {
    responder.respond_json(http_status::ok, fmt::format(R"({{"members":{},"queued":{},"conflated":{},"dropped":{}}})", report.members, report.queued,
                                                        report.conflated, report.dropped));
  });
}

// A page of it: a server may have more rooms than anybody wants to wait for.
constexpr std::uint32_t rooms_listed_max = 1000;

void list_rooms(server& s, const http_request& request, http_responder responder) {
  std::uint32_t limit = rooms_listed_max;
  if (const auto wanted = request.query("limit")) {
    const auto [end, error] = std::from_chars(wanted->data(), wanted->data() + wanted->size(), limit);
    if (error != std::errc{} || end != wanted->data() + wanted->size() || limit == 0 || limit > rooms_listed_max)
      return responder.respond_error(http_status::bad_request, "limit is a number from 1 to 1000");
  }
  const auto after = request.query("after");
  if (after)
    if (const auto valid = check_room_name(*after); !valid)
      return responder.respond_error(http_status::bad_request, fmt::format("after: {}", valid.error()));
  s.rooms(after.value_or(""), limit, [responder](const room_page& page) mutable {
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
    responder.respond_json(http_status::ok, json + "]}");
  });
}

void page(const http_request&, http_responder responder) {
  const std::string headers =
      fmt::format("Content-Security-Policy: {}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-cache\r\n",
                  chat_page_csp());
  responder.respond(http_status::ok, "text/html; charset=utf-8", chat_page(), headers);
}

} // namespace

void add_endpoints(server& s) {
  // Each of these asks the server for what its handler is given.
  const auto with_server = [&s](auto handler) {
    return [&s, handler](const http_request& request, http_responder responder) { handler(s, request, responder); };
  };
  routes routes = s.routes();
  routes.add("GET", "/", page);
  routes.add("/echo", echo());
  routes.add("/broadcast/{room}", broadcast());
  routes.add("/chat/{room}", chat());
  routes.add("POST", "/rooms/{room}/messages", with_server(publish));
  routes.add("GET", "/rooms", with_server(list_rooms));
  routes.add("GET", "/rooms/{room}", with_server(list_room));
  routes.add("GET", "/health/live",
             [](const http_request&, http_responder responder) { responder.respond_json(http_status::ok, R"({"status":"live"})"); });
  routes.add("GET", "/health/ready", [&s](const http_request&, http_responder responder) {
    if (s.is_ready()) return responder.respond_json(http_status::ok, R"({"status":"ready"})");
    responder.respond_error(http_status::service_unavailable, "new connections are not accepted now");
  });
}

} // namespace ringcast

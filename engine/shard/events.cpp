#include <ringcast/events.hpp>

#include "engine/shard/response_headers.hpp"
#include "engine/shard/shard.hpp"
#include "proto/percent.hpp"
#include <ringcast/names.hpp>

#include <algorithm>
#include <fmt/format.h>

namespace ringcast {

using namespace engine;

send_status websocket_ref::send(opcode op, std::span<const std::byte> payload) { return shard_->websockets().send(*connection_, op, payload); }
send_status websocket_ref::send(const message_view& message) { return shard_->websockets().send_in_place(*connection_, message); }
void websocket_ref::close(std::uint16_t code, std::string_view reason) { shard_->websockets().close(*connection_, code, reason); }
void websocket_ref::close_after(std::chrono::milliseconds time, std::uint16_t code, std::string_view reason) {
  shard_->watching().close_after(*connection_, static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0)), code, reason);
}
void websocket_ref::keep_open() { shard_->watching().forget(*connection_); }

send_status websocket_ref::broadcast(opcode op, std::span<const std::byte> payload) {
  const membership* seat = connection_->memberships;
  if (seat == nullptr) return send_status::closed;
  while (seat->next != nullptr) seat = seat->next;
  return shard_->websockets().publish(*connection_, *seat->where, op, payload);
}

send_status websocket_ref::broadcast(std::string_view room, opcode op, std::span<const std::byte> payload) {
  for (const membership* seat = connection_->memberships; seat != nullptr; seat = seat->next)
    if (seat->where->name == room) return shard_->websockets().publish(*connection_, *seat->where, op, payload);
  return send_status::closed;
}

send_status websocket_ref::join(std::string_view room, const seat_wish& wish, std::function<void(websocket_ref, const join_result&)> on_answer) {
  return shard_->joins().join(*connection_, room, wish, std::move(on_answer));
}

void websocket_ref::leave(std::string_view room) { shard_->joins().leave(*connection_, room); }

std::vector<std::string_view> websocket_ref::rooms() const {
  std::vector<std::string_view> names;
  for (const membership* seat = connection_->memberships; seat != nullptr; seat = seat->next) names.emplace_back(seat->where->name);
  return names;
}

const std::string* websocket_ref::name_in_room() const {
  for (const membership* seat = connection_->memberships; seat != nullptr; seat = seat->next)
    if (seat->has_name()) return &seat->details->name;
  return nullptr;
}

connection_handle websocket_ref::handle() const { return shard_->handle_of(*connection_); }
std::optional<tls_details> http_request::tls() const { return connection_ != nullptr ? tls_details_of(*connection_) : std::nullopt; }

socket_address websocket_ref::peer() const { return shard_->peer_of(*connection_); }
std::optional<tls_details> websocket_ref::tls() const { return tls_details_of(*connection_); }
void*& websocket_ref::user() { return connection_->user; }

namespace {

// The seats of a connection stand with the newest in front.
const membership* first_seat(const connection& c) {
  const membership* seat = c.memberships;
  while (seat != nullptr && seat->next != nullptr) seat = seat->next;
  return seat;
}

} // namespace

const std::string* websocket_ref::room_name() const {
  const membership* seat = first_seat(*connection_);
  return seat == nullptr ? nullptr : &seat->where->name;
}

bool websocket_ref::is_event_stream() const { return connection_->event_stream; }

send_status websocket_ref::send_event(std::string_view name, std::string_view text, std::string_view id) {
  return shard_->websockets().send_event(*connection_, {.name = name, .id = id, .payload = std::as_bytes(std::span{text})});
}

std::optional<joined_position> websocket_ref::joined() const {
  const membership* seat = first_seat(*connection_);
  return seat == nullptr || seat->details == nullptr ? std::nullopt : seat->details->joined;
}

void upgrade_request_view::add_header(std::string_view name, std::string_view value) { append_response_header(made_.headers, name, value); }

void upgrade_request_view::take_seat(std::string_view room, const seat_wish& wish) {
  auto valid = check_room_name(room);
  if (valid && !wish.name.empty()) valid = check_member_name(wish.name);
  if (valid && !wish.user.empty()) valid = check_member_name(wish.user);
  if (!valid) return refuse(http_status::bad_request, valid.error());
  made_.seat_wanted = true;
  made_.room = room, made_.hears = wish.hears, made_.name = wish.name, made_.numbered = wish.numbered;
  made_.user_id = wish.user, made_.watches = wish.watches_users;
  made_.replay = wish.replay ? wish.replay : wish.position ? std::optional{replay_options{}} : std::nullopt;
}

std::string_view http_request::method() const noexcept { return head_.method; }
std::string_view http_request::target() const noexcept { return head_.target; }
std::string_view http_request::header(std::string_view name) const noexcept { return head_.header(name); }

std::string_view http_request::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters)
    if (key == name) return value;
  return {};
}

std::optional<std::string> http_request::query(std::string_view name) const { return query_value(head_.query, name); }

void http_responder::respond(http_status status, std::string_view content_type, std::string_view body, std::string_view extra_headers) {
  if (connection* c = shard_->find(connection_)) shard_->http().respond(*c, status, content_type, body, extra_headers);
}

void http_responder::respond_error(http_status status, std::string_view why) { respond(status, "application/json", json_error(why)); }

void routes::add(std::string_view method, std::string_view pattern, http_handler handler, const std::source_location& where) {
  to_->add(method, pattern, std::move(handler), where, admin_only_);
}

void routes::add(std::string_view pattern, websocket_endpoint endpoint, const std::source_location& where) {
  to_->add(pattern, std::move(endpoint), where, admin_only_);
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default:
      if (static_cast<unsigned char>(c) < 0x20)
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
      else
        out += c;
    }
  }
  out += '"';
}

std::string json_error(std::string_view why) {
  std::string json = "{\"error\":";
  append_json_string(json, why);
  json += '}';
  return json;
}

} // namespace ringcast

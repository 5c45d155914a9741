#include "apps/ringcast-server/room_ledger.hpp"

#include "apps/ringcast-server/member.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace ringcast {

namespace {

void append_member(std::string& json, std::string_view name, std::string_view value) {
  json.append(",\"").append(name).append("\":");
  append_json_string(json, value);
}

} // namespace

room_ledger::room_ledger(webhooks& to, std::span<const std::string> wanted) : to_(to) {
  for (std::size_t i = 0; i < webhook_events; ++i)
    if (wanted.empty() || std::ranges::find(wanted, name_of(static_cast<webhook_event>(i))) != wanted.end()) wanted_ |= 1u << i;
}

void room_ledger::joined(std::string_view room, std::string_view user) {
  const std::lock_guard lock{mutex_};
  room_users& here = rooms_[std::string{room}];
  if (here.connections++ == 0) tell_user(webhook_event::room_occupied, room, {});
  if (!user.empty() && here.users[std::string{user}]++ == 0) tell_user(webhook_event::user_joined, room, user);
}

void room_ledger::left(std::string_view room, std::string_view user) {
  const std::lock_guard lock{mutex_};
  const auto at = rooms_.find(std::string{room});
  if (at == rooms_.end()) return;
  room_users& here = at->second;
  if (const auto known = here.users.find(std::string{user}); known != here.users.end() && --known->second == 0) {
    here.users.erase(known);
    tell_user(webhook_event::user_left, room, user);
  }
  if (--here.connections > 0) return;
  tell_user(webhook_event::room_vacated, room, {});
  rooms_.erase(at);
}

void room_ledger::closed(const closed_connection& gone) {
  std::string json = fmt::format(R"(,"connection":"{:016x}","code":{})", gone.id.value, gone.code);
  append_member(json, "address", gone.address);
  if (!gone.room.empty()) append_member(json, "room", gone.room);
  if (!gone.user.empty()) append_member(json, "user", gone.user);
  tell(webhook_event::connection_closed, json);
}

void room_ledger::tell_user(webhook_event what, std::string_view room, std::string_view user) {
  std::string json;
  append_member(json, "room", room);
  if (!user.empty()) append_member(json, "user", user);
  tell(what, json);
}

void room_ledger::tell(webhook_event what, std::string_view members) {
  if ((wanted_ >> static_cast<unsigned>(what) & 1u) != 0) to_.add(name_of(what), members);
}

websocket_endpoint told_to(room_ledger* ledger, websocket_endpoint endpoint) {
  if (ledger == nullptr) return endpoint;
  endpoint.on_open = [ledger, inner = std::move(endpoint.on_open)](websocket_ref ws) {
    if (const member& who = member_of(ws); !who.room.empty()) ledger->joined(who.room, who.user);
    if (inner) inner(ws);
  };
  // In front of what is inside, with which the member goes.
  endpoint.on_close = [ledger, inner = std::move(endpoint.on_close)](websocket_ref ws, std::uint16_t code, std::string_view reason) {
    const member& who = member_of(ws);
    if (!who.room.empty()) ledger->left(who.room, who.user);
    ledger->closed({.id = ws.handle(), .address = who.address, .room = who.room, .user = who.user, .code = code});
    if (inner) inner(ws, code, reason);
  };
  return endpoint;
}

} // namespace ringcast

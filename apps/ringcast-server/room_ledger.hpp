// Which rooms and users are there, over all shards, as the endpoints tell it: what changes goes to the application.
//
// Threads: any. It is asked once for each connection that opens and that ends, under a lock, and never for a message.
#pragma once

#include "apps/ringcast-server/webhook_event.hpp"
#include "apps/ringcast-server/webhooks.hpp"
#include <ringcast/events.hpp>

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace ringcast {

class room_ledger {
 public:
  // Those that are told; none: all.
  room_ledger(webhooks& to, std::span<const std::string> wanted);

  void joined(std::string_view room, std::string_view user);
  void left(std::string_view room, std::string_view user);
  struct closed_connection {
    connection_handle id;
    std::string_view address, room, user;
    std::uint16_t code;
  };
  void closed(const closed_connection& gone);

  [[nodiscard]] webhook_numbers numbers() const { return to_.numbers(); }

 private:
  struct room_users {
    std::uint32_t connections = 0;
    std::unordered_map<std::string, std::uint32_t> users; // connections of each
  };
  void tell(webhook_event what, std::string_view members);
  void tell_user(webhook_event what, std::string_view room, std::string_view user);

  webhooks& to_;
  std::uint32_t wanted_ = 0; // a bit for each
  std::mutex mutex_;         // so that what is told has the order in which it happened
  std::unordered_map<std::string, room_users> rooms_;
};

// The endpoint, and what is told of its connections, which are members (member.hpp). Null: nobody is told anything.
[[nodiscard]] websocket_endpoint told_to(room_ledger* ledger, websocket_endpoint endpoint);

} // namespace ringcast

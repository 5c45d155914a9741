// What a shard holds of its connections in the client role beside their two cache lines. `connector` writes it; others look.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/client_link.hpp"
#include "proto/handshake.hpp"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace ringcast::engine {

struct client_seat {
  client_link* link = nullptr;        // null: the client has let go
  std::unique_ptr<socket_address> address; // the kernel reads it while the connect is under way
  websocket_key key{};
  bool proxy_pending = false;         // CONNECT has been sent and not answered
  bool tls_pending = false;           // the TLS handshake is under way
  bool clean = false;                 // the server sent a Close frame
};

// By slot, as far as there are clients.
class client_seats {
 public:
  client_seat& take(const connection& c) {
    if (seats_.size() <= c.slot) seats_.resize(c.slot + 1);
    return seats_[c.slot];
  }
  // Of a connection in the client role.
  [[nodiscard]] client_seat& operator[](const connection& c) { return seats_[c.slot]; }
  [[nodiscard]] const client_seat& operator[](const connection& c) const { return seats_[c.slot]; }
  // The link, which is told of the end now and never again, and whether that was clean.
  [[nodiscard]] std::pair<client_link*, bool> take_link(const connection& c) {
    client_seat& seat = seats_[c.slot];
    return {std::exchange(seat.link, nullptr), seat.clean};
  }

 private:
  std::vector<client_seat> seats_;
};

} // namespace ringcast::engine

// What a shard knows of the client behind a connection in the client role: where to connect, what to ask for, and whom to tell. The
// client owns it; both live on the shard's thread. Once the connection has ended, or the client has let go of it, neither knows the other.
#pragma once

#include "engine/base/limits.hpp"
#include "engine/io/socket.hpp"
#include "engine/tls/tls_session.hpp"
#include "proto/handshake.hpp"
#include <ringcast/client_error.hpp>
#include <ringcast/compression.hpp>
#include <ringcast/connection_handle.hpp>
#include <ringcast/events.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::engine {

// What does not change from one attempt to the next; made when the client is made.
struct client_plan {
  std::string host_field, target;
  std::string connect_request; // to the proxy; empty without one
  std::vector<std::string> subprotocols;
  std::vector<std::pair<std::string, std::string>> headers;
  compression_options compression{.mode = compression_mode::off};
  server_limits limits; // of the connection: message size and timeouts
  std::shared_ptr<const tls_context> tls; // null: plain
  std::string server_name;                // for SNI, and what the certificate must be for
};

class client_link {
 public:
  virtual void on_attempt_failed(connection_handle attempt, const client_error& error) = 0;
  // TCP is there. Of attempts that race this one has won; the client lets go of the others.
  virtual void on_connected(connection_handle attempt) = 0;
  // The WebSocket is open; its endpoint's on_open is called next. The subprotocol is valid during the call.
  virtual void on_accepted(std::string_view subprotocol) = 0;
  // The server has said Close, or broken a rule: what is to be sent before our Close frame is sent now.
  virtual void on_ending() = 0;
  // TCP has taken some of what had waited for it; what stands for `taken` is outbox::taken_bytes().
  virtual void on_output_taken(std::uint64_t taken, bool more_waits) = 0;
  // An open WebSocket is over, and of all of its output it is known whether TCP took it; `clean` if both Close frames were exchanged.
  virtual void on_link_closed(std::uint16_t code, std::string_view reason, bool clean, std::uint64_t taken) = 0;

  const client_plan* plan = nullptr;
  const websocket_endpoint* endpoint = nullptr; // of the WebSocket once it is open
  void* endpoint_user = nullptr;
  tls_ticket ticket; // of the last connection, for the next one

 protected:
  ~client_link() = default;
};

} // namespace ringcast::engine

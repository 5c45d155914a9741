// What a shard knows of the client behind a connection in the client role: where to connect, what to ask for, and whom to tell. The
// client owns it; both live on the shard's thread. Once the connection has ended, or the client has let go of it, neither knows the other.
#pragma once

#include "engine/base/limits.hpp"
#include "engine/connection/compression.hpp"
#include "engine/io/connection_handle.hpp"
#include "engine/io/socket.hpp"
#include "engine/tls/tls_session.hpp"
#include "proto/handshake.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

// Why an attempt to connect, or a connection, failed.
enum class client_error_kind : std::uint8_t {
  bad_options,   // the URL, the proxy or a header cannot be used
  name_lookup,   // the host's name has no address
  connect,       // no TCP connection: refused, unreachable, reset
  timed_out,     // the attempt took longer than connect_timeout
  proxy,         // the proxy refused, or did not speak HTTP
  certificate,   // wss: the server's certificate was not accepted: unknown authority, other host name, expired
  tls,           // wss: the server does not speak TLS, no version in common, or it refused (as for a certificate of ours)
  refused,       // the server answered the upgrade with another status than 101, see http_status
  bad_handshake, // its answer is not HTTP, or breaks the rules of the opening handshake
  lost,          // the server went away before the connection was open
  handler,       // a callback of this client threw
};

// Its name as it is written here, for logs. Any thread.
[[nodiscard]] std::string_view name_of(client_error_kind kind) noexcept;

struct client_error {
  client_error_kind kind = client_error_kind::connect;
  std::string_view text;         // one sentence; valid during the callback
  std::uint16_t http_status = 0; // with refused and proxy
  std::chrono::milliseconds retry_after{0}; // what the server asked for
  bool is_fatal = false;         // trying again would not help
};

struct websocket_endpoint;

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
  virtual void on_attempt_failed(const client_error& error) = 0;
  // The WebSocket is open; its endpoint's on_open is called next. The subprotocol is valid during the call.
  virtual void on_accepted(std::string_view subprotocol) = 0;
  // The server has said Close, or broken a rule: what is to be sent before our Close frame is sent now.
  virtual void on_ending() = 0;
  // An open WebSocket is over; `clean` if both Close frames were exchanged.
  virtual void on_link_closed(std::uint16_t code, std::string_view reason, bool clean) = 0;

  const client_plan* plan = nullptr;
  const websocket_endpoint* endpoint = nullptr; // of the WebSocket once it is open
  void* endpoint_user = nullptr;
  tls_ticket ticket; // of the last connection, for the next one

 protected:
  ~client_link() = default;
};

} // namespace ringcast

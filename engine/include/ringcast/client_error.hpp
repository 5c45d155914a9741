// Why a client has no connection: what client::on_error() is told. On the client's own thread; the text is valid during the callback.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

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

} // namespace ringcast

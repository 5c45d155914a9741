// Opening connections: TCP, and the WebSocket upgrade where the server speaks it.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/load/dialer.hpp"
#include "apps/load/link.hpp"
#include "apps/load/slices/options.hpp"

namespace ringcast::load::slices {

using namespace engine;

// Where the options say. The sources are 127.0.0.1 - 127.0.0.32, since one address has only 28,000 ports, and closed
// connections keep theirs for a while.
[[nodiscard]] destination destination_of(const options& chosen);

// Whom a TLS session asks for; what it is answered is not looked at.
inline constexpr std::string_view tls_host = "localhost";

// The client's side of the opening handshake (RFC 6455 section 4.1), with a fixed key; `deflate` offers RFC 7692.
[[nodiscard]] std::string opening_request(std::string_view path, bool deflate = false);

// Whether a complete response head is 101 with the Sec-WebSocket-Accept that belongs to the fixed key.
[[nodiscard]] bool is_upgraded(std::string_view head);

struct open_connection {
  int fd = -1;
  std::unique_ptr<link> through; // Where needs_link(options).
};

// What connection i asks for, and whether it is to hear anything (NATS subscribes only then).
struct request {
  std::string path; // Empty: no upgrade.
  bool hears = true;
};

// Opens `count` connections and returns them in order. At most 128 are under way at once, well below any listen
// backlog.
[[nodiscard]] std::expected<std::vector<open_connection>, std::string> open_connections(const options& chosen, unsigned count,
                                                                                        const std::function<request(unsigned)>& request_of);

} // namespace ringcast::load::slices

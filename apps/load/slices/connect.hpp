// Opening connections: TCP, and the WebSocket upgrade where the server speaks it.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/load/slices/link.hpp"
#include "apps/load/slices/options.hpp"

namespace ringcast::load::slices {

// A socket whose connect has been started, non-blocking, without Nagle's delay; -1 with errno otherwise. The source
// address moves on through 127.0.0.1 - 127.0.0.32 with `ordinal`, since one address has only 28,000 ports.
[[nodiscard]] int start_connect(std::uint16_t port, unsigned ordinal);

// The client's side of the opening handshake (RFC 6455 section 4.1), with a fixed key; `deflate` offers RFC 7692.
[[nodiscard]] std::string upgrade_request(std::string_view path, bool deflate = false);

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
[[nodiscard]] std::expected<std::vector<open_connection>, std::string>
open_connections(const options& chosen, unsigned count, const std::function<request(unsigned)>& request_of);

} // namespace ringcast::load::slices

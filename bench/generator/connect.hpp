// Opening connections: TCP, and the WebSocket upgrade where the server speaks it.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

// A socket whose connect has been started, non-blocking, without Nagle's delay; -1 with errno otherwise. The source
// address moves on through 127.0.0.1 - 127.0.0.32 with `ordinal`, since one address has only 28,000 ports.
[[nodiscard]] int start_connect(std::uint16_t port, unsigned ordinal);

// The client's side of the opening handshake (RFC 6455 section 4.1), with a fixed key.
[[nodiscard]] std::string upgrade_request(std::string_view path);

// Whether a complete response head is 101 with the Sec-WebSocket-Accept that belongs to the fixed key.
[[nodiscard]] bool is_upgraded(std::string_view head);

// Opens `count` connections and returns their descriptors in order; connection i asks for path_of(i). With an empty
// path there is no upgrade. At most 128 are under way at once, well below any listen backlog.
[[nodiscard]] std::expected<std::vector<int>, std::string>
open_connections(std::uint16_t port, unsigned count, const std::function<std::string(unsigned)>& path_of);

} // namespace ringcast

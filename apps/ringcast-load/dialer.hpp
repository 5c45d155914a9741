// How a connection begins: a socket from one of the source addresses to the server, and the client's opening handshake
// (RFC 6455 section 4.1).
#pragma once

#include "apps/ringcast-load/options.hpp"
#include "proto/handshake.hpp"

#include <expected>
#include <span>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace ringcast {

class dialer {
 public:
  explicit dialer(const load_options& options) : options_{options} {}

  // Finds the server's address, and as many source addresses as the ports of `connections` need if none were named. One
  // sentence if one of them cannot be used.
  [[nodiscard]] std::expected<void, std::string> prepare(unsigned connections);

  // A socket whose connect is under way, non-blocking, without Nagle's delay. The source address goes round with the
  // ordinal.
  [[nodiscard]] std::expected<int, std::string> dial(unsigned ordinal);

  [[nodiscard]] std::string request(unsigned ordinal, const websocket_key& key) const;

  // How long the head of the answer is, 0 while it is incomplete; or one sentence about why it opens nothing.
  [[nodiscard]] std::expected<std::size_t, std::string> check(std::span<const std::byte> answer,
                                                              const websocket_key& key) const;

  [[nodiscard]] std::string where() const { return options_.server.authority(); }

 private:
  struct address {
    sockaddr_storage bytes{};
    socklen_t length = 0;
  };
  static bool resolve(const std::string& host, std::uint16_t port, bool numeric, address& out, std::string& why);

  const load_options& options_;
  address server_;
  std::vector<address> sources_;
  std::vector<std::string_view> subprotocols_;
};

} // namespace ringcast

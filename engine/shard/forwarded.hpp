// Whose requests a proxy hands on: X-Forwarded-For, or Forwarded (RFC 7239). Both are whatever the sender says, so they count only in a request of a
// proxy that is trusted, and in it only as far as trusted proxies wrote them: from the end of the list back to the first address that is
// none of theirs.
#pragma once

#include "engine/io/socket.hpp"
#include "proto/http_fields.hpp"
#include <ringcast/server_options.hpp>

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::engine {

// Of a server; its shards only read it.
class trusted_proxies {
 public:
  // Entries of proxy_options::trusted. The error is one sentence.
  [[nodiscard]] static std::expected<trusted_proxies, std::string> parse(const proxy_options& options);

  [[nodiscard]] bool trusts(const socket_address& peer) const;
  // Of a request by a peer that is trusted: who asked the proxy. The peer itself, or the last proxy, if nothing readable stands there.
  [[nodiscard]] socket_address client_of(const http_fields& head, const socket_address& peer) const;

 private:
  using address_bytes = std::array<std::uint8_t, 16>; // of IPv4 as the mapped IPv6 address (RFC 4291 2.5.5.2)
  struct network {
    address_bytes address;
    unsigned bits;
  };
  [[nodiscard]] static address_bytes bytes_of(const socket_address& address);

  forwarded_header header_ = forwarded_header::x_forwarded_for;
  std::vector<network> networks_;
  bool trusts_unix_ = false;
};

} // namespace ringcast::engine

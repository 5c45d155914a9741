// Where a Redis or Valkey is, and as whom it is spoken to.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace ringcast::engine {

struct redis_address {
  std::string host;
  std::uint16_t port = 6379;
  std::string user, password; // without both nobody logs in
  std::uint32_t database = 0;

  // Without the password: for the log.
  [[nodiscard]] std::string text() const;
};

// redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE], user and password in percent-encoding (RFC 3986 2.1), an IPv6 address in brackets. ":PASSWORD@" is
// that of the default user. The error is a sentence, and does not quote the text.
[[nodiscard]] std::expected<redis_address, std::string> parse_redis_url(std::string_view url);

} // namespace ringcast::engine

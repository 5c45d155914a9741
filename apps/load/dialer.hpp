// How a connection begins: a socket from one of the source addresses to the server, and the client's opening handshake
// (RFC 6455 section 4.1).
#pragma once

#include "apps/load/destination.hpp"
#include "engine/tls/tls_context.hpp"
#include "proto/handshake.hpp"

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace ringcast::load {

using namespace engine;

class dialer {
 public:
  explicit dialer(const destination& to) : to_{to} {}

  // Finds the server's address, and as many source addresses as the ports of `connections` need if none were named. One
  // sentence if one of them cannot be used.
  [[nodiscard]] std::expected<void, std::string> prepare(unsigned connections);

  // A socket whose connect is under way, non-blocking, without Nagle's delay. The source address goes round with the
  // ordinal.
  [[nodiscard]] std::expected<int, std::string> dial(unsigned ordinal);

  [[nodiscard]] std::string request(unsigned ordinal, const websocket_key& key, std::string_view more_query = {}) const;

  // A GET of the same target as an event stream, that goes on behind `last_event_id` if there is one.
  [[nodiscard]] std::string stream_request(unsigned ordinal, std::string_view last_event_id) const;

  // What opens a connection: how long its head is, 0 while it is incomplete, and what was agreed on.
  struct opening {
    std::size_t head_bytes = 0;
    std::optional<deflate_params> deflate;
  };
  // Or one sentence about why it opens nothing.
  // Of an event stream's answer.
  struct stream_opening {
    std::size_t head_bytes = 0;
    bool chunked = false;
  };
  [[nodiscard]] std::expected<stream_opening, std::string> check_stream(std::span<const std::byte> answer) const;
  [[nodiscard]] std::expected<opening, std::string> check(std::span<const std::byte> answer, const websocket_key& key) const;

  // Null for ws://. After prepare().
  [[nodiscard]] const std::shared_ptr<const tls_context>& tls() const { return tls_; }
  [[nodiscard]] const std::string& host() const { return to_.server.host; }

  [[nodiscard]] std::string where() const { return to_.server.authority(); }

 private:
  struct address {
    sockaddr_storage bytes{};
    socklen_t length = 0;
  };
  [[nodiscard]] std::string target_of(unsigned ordinal) const;
  static bool resolve(const std::string& host, std::uint16_t port, bool numeric, address& out, std::string& why);

  const destination& to_;
  address server_;
  std::shared_ptr<const tls_context> tls_;
  std::vector<address> sources_;
  std::vector<std::string_view> subprotocols_;
};

} // namespace ringcast::load

// The PROXY header in front of a connection of a listener that is for proxies (server_options::proxies): it is read before anything else, and what it
// names is the peer from then on. How long it may take is the time of a handshake. One a shard, on its thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/shard/shard_counters.hpp"
#include "proto/proxy_header.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

class closer;
class http_side;
class peer_book;

class proxied_input {
 public:
  struct needs {
    peer_book& peers;
    http_side& http;
    closer& closing;
    shard_counters& counters;
  };
  explicit proxied_input(const needs& with) : with_(with) {}

  // What has come and stands behind the header; nothing while more of it is awaited, and where the connection is over.
  [[nodiscard]] std::span<std::byte> take(connection& c, std::span<std::byte> bytes);
  // It is over.
  void forget(const connection& c) {
    if (!begun_.empty()) begun_.erase(c.slot);
  }

 private:
  void on_header(connection& c, const proxy_header& header);
  void refuse(connection& c, std::string_view why);

  const needs with_;
  std::unordered_map<std::uint32_t, std::vector<std::byte>> begun_; // by slot; of headers that were cut, at most proxy_header_bytes_max each
};

} // namespace ringcast::engine

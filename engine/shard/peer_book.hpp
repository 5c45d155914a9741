// Who is at the other end of each connection that was accepted, and how many come from where. The kernel's answer counts, but where a trusted proxy
// says better: for a whole connection (the PROXY protocol), or for a request (X-Forwarded-For, Forwarded). One a shard, on its thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/admission.hpp"
#include "engine/shard/arrival_rates.hpp"
#include "engine/shard/forwarded.hpp"
#include "engine/shard/turn_clock.hpp"
#include "proto/http_fields.hpp"
#include <ringcast/statistics.hpp>

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

// Whether somebody may have a connection, and if not why.
struct admission_verdict {
  admission_result result = admission_result::admitted;
  std::uint32_t retry_after_s = 0; // of one that came too soon
  [[nodiscard]] bool is_admitted() const { return result == admission_result::admitted; }
  [[nodiscard]] refusal why() const;
  [[nodiscard]] std::string_view sentence() const;
};

class peer_book {
 public:
  struct needs {
    admission* admits; // null: no bound
    arrival_rates* arrivals; // null: no limit
    const trusted_proxies* proxies; // null: none is trusted
    const turn_clock& clock;
  };
  explicit peer_book(const needs& with) : with_(with) {}

  // --- of the acceptor ---
  [[nodiscard]] bool is_proxy(int socket) const { return with_.proxies != nullptr && with_.proxies->trusts(peer_address_of(socket)); }
  // Counts one more connection, from `from`.
  [[nodiscard]] admission_verdict admit(int socket, connection_source& from) const;
  void take(const connection& c, connection_source from);
  void release(const connection& c);

  // --- of what proxies say ---
  // The connection is that of `client`, as long as it lives, if that address may have one.
  [[nodiscard]] admission_verdict set_client(const connection& c, const socket_address& client);
  // From now on the connection of a proxy is that of whoever asked it, if that address may have one.
  [[nodiscard]] admission_verdict hand_over(const connection& c, const http_fields& head);

  // Whose connection it is.
  [[nodiscard]] socket_address peer_of(const connection& c) const;
  // Whose request this is.
  [[nodiscard]] socket_address peer_of(const connection& c, const http_fields& head) const;

 private:
  [[nodiscard]] bool counts_sources() const { return with_.admits != nullptr && with_.admits->counts_sources(); }
  [[nodiscard]] bool trusts(const socket_address& peer) const { return with_.proxies != nullptr && with_.proxies->trusts(peer); }
  [[nodiscard]] admission_verdict judge_rate(connection_source from) const;
  [[nodiscard]] admission_verdict add_source(const connection& c, const socket_address& client);
  [[nodiscard]] socket_address own_peer_of(const connection& c) const;
  void take_back(const connection& c);

  const needs with_;
  std::vector<connection_source> sources_; // by slot; empty unless connections are counted by where they come from
  std::unordered_map<std::uint32_t, socket_address> clients_; // by slot; of connections that the PROXY protocol has said something of
  std::unordered_map<std::uint32_t, socket_address> handed_over_; // by slot; of proxies' connections that are a WebSocket or an event stream
};

} // namespace ringcast::engine

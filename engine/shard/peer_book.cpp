#include "engine/shard/peer_book.hpp"

#include <utility>

namespace ringcast::engine {

refusal admission_verdict::why() const {
  switch (result) {
  case admission_result::address_is_full: return refusal::address_full;
  case admission_result::address_is_too_fast: return refusal::connection_rate;
  case admission_result::admitted:
  case admission_result::server_is_full: break;
  }
  return refusal::server_full;
}

std::string_view admission_verdict::sentence() const {
  switch (result) {
  case admission_result::address_is_full: return "there are too many connections from this address";
  case admission_result::address_is_too_fast: return "connections come too fast from this address";
  case admission_result::admitted:
  case admission_result::server_is_full: break;
  }
  return "the server has as many connections as it takes";
}

// The address is asked for now and kept: a connection that was reset no longer has it.
admission_verdict peer_book::admit(int socket, connection_source& from) const {
  if (with_.arrivals != nullptr || counts_sources()) {
    const socket_address peer = peer_address_of(socket);
    from = trusts(peer) ? no_connection_source : source_of(peer);
  }
  const admission_verdict judged = judge_rate(from);
  if (!judged.is_admitted() || with_.admits == nullptr) return judged;
  return {with_.admits->enter(from)};
}

admission_verdict peer_book::judge_rate(connection_source from) const {
  const std::uint64_t wait_ms = with_.arrivals != nullptr ? with_.arrivals->take(from, with_.clock.ms) : 0;
  if (wait_ms == 0) return {};
  return {admission_result::address_is_too_fast, static_cast<std::uint32_t>((wait_ms + 999) / 1000)};
}

void peer_book::take(const connection& c, connection_source from) {
  if (!counts_sources()) return;
  if (sources_.size() <= c.slot) sources_.resize(c.slot + 1);
  sources_[c.slot] = from;
}

void peer_book::release(const connection& c) {
  if (!clients_.empty()) clients_.erase(c.slot);
  if (!handed_over_.empty()) handed_over_.erase(c.slot);
  if (with_.admits != nullptr) with_.admits->leave(c.slot < sources_.size() ? sources_[c.slot] : 0);
}

// It was admitted as a proxy's, which are not counted.
admission_verdict peer_book::add_source(const connection& c, const socket_address& client) {
  const connection_source from = source_of(client);
  if (const admission_verdict judged = judge_rate(from); !judged.is_admitted() || !counts_sources()) return judged;
  if (!with_.admits->add_source(from)) return {admission_result::address_is_full};
  sources_[c.slot] = from;
  return {};
}

// Another proxy that is trusted is asked in its turn, by its requests.
admission_verdict peer_book::set_client(const connection& c, const socket_address& client) {
  if (!trusts(client))
    if (const admission_verdict judged = add_source(c, client); !judged.is_admitted()) return judged;
  clients_.insert_or_assign(c.slot, client);
  return {};
}

admission_verdict peer_book::hand_over(const connection& c, const http_fields& head) {
  if (with_.proxies == nullptr) return {};
  take_back(c); // an upgrade of somebody before may have come to nothing
  const socket_address peer = own_peer_of(c);
  if (!trusts(peer)) return {};
  const socket_address client = with_.proxies->client_of(head, peer);
  if (trusts(client)) return {}; // nobody is named
  if (const admission_verdict judged = add_source(c, client); !judged.is_admitted()) return judged;
  handed_over_.insert_or_assign(c.slot, client);
  return {};
}

void peer_book::take_back(const connection& c) {
  if (handed_over_.erase(c.slot) == 0 || !counts_sources()) return;
  with_.admits->drop_source(std::exchange(sources_[c.slot], no_connection_source));
}

socket_address peer_book::peer_of(const connection& c) const {
  if (!handed_over_.empty())
    if (const auto found = handed_over_.find(c.slot); found != handed_over_.end()) return found->second;
  return own_peer_of(c);
}

socket_address peer_book::peer_of(const connection& c, const http_fields& head) const {
  const socket_address peer = own_peer_of(c);
  return trusts(peer) ? with_.proxies->client_of(head, peer) : peer;
}

socket_address peer_book::own_peer_of(const connection& c) const {
  if (!clients_.empty())
    if (const auto found = clients_.find(c.slot); found != clients_.end()) return found->second;
  return peer_address_of(c.socket);
}

} // namespace ringcast::engine

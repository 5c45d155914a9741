#include "engine/shard/peer_book.hpp"

#include <utility>

namespace ringcast::engine {

// The address is asked for now and kept: a connection that was reset no longer has it.
admission_result peer_book::admit(int socket, connection_source& from) const {
  if (with_.admits == nullptr) return admission_result::admitted;
  if (counts_sources()) {
    const socket_address peer = peer_address_of(socket);
    from = trusts(peer) ? no_connection_source : source_of(peer);
  }
  return with_.admits->enter(from);
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
bool peer_book::add_source(const connection& c, const socket_address& client) {
  if (!counts_sources()) return true;
  const connection_source from = source_of(client);
  if (!with_.admits->add_source(from)) return false;
  sources_[c.slot] = from;
  return true;
}

// Another proxy that is trusted is asked in its turn, by its requests.
bool peer_book::set_client(const connection& c, const socket_address& client) {
  if (!trusts(client) && !add_source(c, client)) return false;
  clients_.insert_or_assign(c.slot, client);
  return true;
}

bool peer_book::hand_over(const connection& c, const http_fields& head) {
  if (with_.proxies == nullptr) return true;
  take_back(c); // an upgrade of somebody before may have come to nothing
  const socket_address peer = own_peer_of(c);
  if (!trusts(peer)) return true;
  const socket_address client = with_.proxies->client_of(head, peer);
  if (trusts(client)) return true; // nobody is named
  if (!add_source(c, client)) return false;
  handed_over_.insert_or_assign(c.slot, client);
  return true;
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

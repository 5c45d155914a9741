// TLS of a shard in the client role: between the open way to the server and the upgrade. From there on it is like a server's (shard_tls.cpp).
#include "engine/base/log.hpp"
#include "engine/connection/connection_layers.hpp"
#include "engine/shard/client_link.hpp"
#include "engine/shard/shard.hpp"

#include <fmt/format.h>
#include <utility>

namespace ringcast {

namespace {

// What trying again would not help: our two sides do not agree, and will not a second later.
bool is_fatal_failure(tls_failure failure) {
  switch (failure) {
  case tls_failure::certificate:
  case tls_failure::handshake:
  case tls_failure::refused:
  case tls_failure::not_tls:
  case tls_failure::plain_http: return true;
  case tls_failure::none:
  case tls_failure::peer_trouble:
  case tls_failure::broken_record:
  case tls_failure::truncated: return false;
  }
  return false;
}

} // namespace

void shard::begin_client_tls(connection& c) {
  client_seat& seat = client_seats_[c.slot];
  client_link& link = *seat.link;
  c.layers.reset(new connection_layers);
  // A ticket serves once (RFC 8446 C.4).
  tls_session& tls = c.layers->tls.emplace(link.plan->tls, link.plan->server_name, std::exchange(link.ticket, {}));
  c.layers->handshaking = true;
  c.encrypted = true;
  c.always_gathered = true;
  seat.tls_pending = true;
  ciphertext_target target{outbox_, c};
  tls.start(target);
  if (tls.state() == tls_state::failed) on_tls_failed(c);
}

void shard::on_client_tls_open(connection& c) {
  client_seats_[c.slot].tls_pending = false;
  if (c.phase == connection_phase::upgrading) begin_upgrade(c);
}

// Before the WebSocket is open. The connection goes on for a moment, so that the server hears of it by an alert; its link hears now.
void shard::on_client_tls_failed(connection& c) {
  const tls_session& tls = *c.layers->tls;
  const std::string why = fmt::format("TLS: {}", tls.reason());
  note_failed_attempt(c, {.kind = tls.failure() == tls_failure::certificate ? client_error_kind::certificate : client_error_kind::tls,
                          .text = why,
                          .is_fatal = is_fatal_failure(tls.failure())});
  finish(c);
}

// For the next connection to the same server. TLS 1.3 servers send it behind the handshake, so it is taken when the connection ends.
void shard::keep_ticket(connection& c) {
  if (!c.is_client || !c.encrypted || client_seats_[c.slot].link == nullptr) return;
  if (tls_ticket ticket = c.layers->tls->ticket()) client_seats_[c.slot].link->ticket = std::move(ticket);
}

} // namespace ringcast

// TLS of a shard: from ciphertext to the plaintext that the rest of the shard knows, handshakes within their bounds, and how a session ends.
#include "engine/connection_layers.hpp"
#include "engine/log.hpp"
#include "engine/shard.hpp"

#include <algorithm>

namespace ringcast {

void delete_connection_layers::operator()(connection_layers* layers) const noexcept { delete layers; }

tls_scratch& shard::tls_memory() {
  if (tls_memory_ == nullptr) tls_memory_ = std::make_unique<tls_scratch>();
  return *tls_memory_;
}

// False: too many handshakes are in progress, so this connection is refused.
bool shard::begin_tls(connection& c, const tls_identity& identity) {
  if (handshakes_ >= options_.limits.tls_handshakes_max) {
    ++counters_.handshakes_refused;
    return false;
  }
  ++handshakes_;
  c.layers.reset(new connection_layers);
  c.layers->tls.emplace(identity.now());
  c.layers->handshaking = true;
  c.encrypted = true;
  c.always_gathered = true;
  return true;
}

void shard::end_handshake(connection& c) {
  if (!c.layers->handshaking) return;
  c.layers->handshaking = false;
  c.layers->arrived.release();
  if (!c.is_client) --handshakes_;
}

void shard::consume_encrypted(connection& c, std::span<std::byte> bytes) {
  if (c.phase == connection_phase::ending) return;
  connection_layers& layers = *c.layers;
  if (layers.handshaking) {
    // A signature is worth some hundred messages: a flood of handshakes takes a part of each turn and leaves the rest to open connections.
    if (handshake_steps_ >= tls_handshake_steps_per_turn_max || !layers.arrived.empty()) {
      if (layers.arrived.empty()) handshakes_waiting_.push_back(handle_of(c));
      layers.arrived.append(bytes);
      pause_receive(c);
      return;
    }
    ++handshake_steps_;
  }
  feed_tls(c, bytes);
}

void shard::continue_handshakes() {
  handshake_steps_ = 0;
  if (handshakes_waiting_.empty()) return;
  std::vector<connection_handle> waiting;
  waiting.swap(handshakes_waiting_);
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (handshake_steps_ == tls_handshake_steps_per_turn_max) {
      handshakes_waiting_.insert(handshakes_waiting_.end(), waiting.begin() + static_cast<std::ptrdiff_t>(i), waiting.end());
      return;
    }
    connection* c = find(waiting[i]);
    if (c == nullptr || c->phase == connection_phase::ending || c->layers == nullptr) continue;
    ++handshake_steps_;
    const byte_buffer arrived = std::move(c->layers->arrived);
    feed_tls(*c, arrived.bytes());
    if (c->phase == connection_phase::ending) continue;
    resume_receive(*c);
    // Its end of stream may have come while it waited.
    if (c->peer_closed) on_end_of_stream(*c);
  }
}

void shard::feed_tls(connection& c, std::span<const std::byte> bytes) {
  connection_layers& layers = *c.layers;
  tls_session& tls = *layers.tls;
  ciphertext_target target{outbox_, c};
  tls.feed(bytes, tls_memory(), target, [&](std::span<std::byte> plaintext) { consume_plain(c, plaintext); });
  if (tls.state() == tls_state::handshaking) return;
  end_handshake(c);
  if (c.phase == connection_phase::ending) return;
  if (tls.state() == tls_state::failed) return on_tls_failed(c);
  if (c.is_client && client_seats_[c.slot].tls_pending) on_client_tls_open(c);
  if (tls.state() == tls_state::peer_closed && !c.peer_closed) on_end_of_stream(c);
}

void shard::on_tls_failed(connection& c) {
  const tls_session& tls = *c.layers->tls;
  ++counters_.tls_failures;
  log_debug("TLS failed: {}", tls.reason());
  if (tls.failure() == tls_failure::plain_http) {
    // Such a client understands an answer, in clear text.
    c.encrypted = false;
    c.layers.reset();
    refuse_request(c, http_status::bad_request, "this port speaks TLS: ask for https:// or wss://");
    return;
  }
  if (c.phase == connection_phase::finishing) return;
  if (c.phase == connection_phase::upgrading) return on_client_tls_failed(c);
  if (c.phase == connection_phase::websocket) {
    leave_rooms(c);
    if (c.closing.state() == close_state::open) c.close_code = 1006;
    tell_closed(c, tls.reason());
  }
  // The alert that names the reason is on its way out.
  finish(c);
}

// True where a close_notify had still to be said; it goes out with the next flush.
bool shard::say_close_notify(connection& c) {
  if (!c.encrypted) return false;
  tls_session& tls = *c.layers->tls;
  if (tls.close_notify_sent() || (tls.state() != tls_state::open && tls.state() != tls_state::peer_closed)) return false;
  ciphertext_target target{outbox_, c};
  tls.close_notify(target);
  return true;
}

} // namespace ringcast

// TLS of a shard: from ciphertext to the plaintext that the rest of the shard knows, handshakes within their bounds, and how a session ends.
#include "engine/base/assert.hpp"
#include "engine/base/log.hpp"
#include "engine/connection/connection_layers.hpp"
#include "engine/shard/shard.hpp"

#include <algorithm>

namespace ringcast {

void delete_connection_layers::operator()(connection_layers* layers) const noexcept { delete layers; }

// Costs no cryptography and no object of the library: most of those who only connect say nothing, and are none of the handshakes in progress.
void shard::begin_tls(connection& c, const tls_identity& identity) {
  c.layers.reset(new connection_layers);
  c.layers->whose = handle_of(c);
  c.layers->tls.emplace(identity.now());
  c.layers->handshaking = true;
  c.layers->count_held();
  c.encrypted = true;
  c.always_gathered = true;
}

// Its ClientHello is complete. Above the bound the oldest goes: nobody who answers at once is older than those who do not.
void shard::begin_handshake(connection& c) {
  if (handshakes_ >= options_.limits.tls_handshakes_max) {
    connection* oldest = find(handshakes_begun_.front().whose);
    RINGCAST_ASSERT(oldest != nullptr);
    ++counters_.handshakes_refused;
    end_handshake(*oldest);
    end(*oldest, oldest->close_code, "others waited for the end of its TLS handshake");
  }
  ++handshakes_;
  handshakes_begun_.append(*c.layers);
}

void shard::end_handshake(connection& c) {
  if (!c.layers->handshaking) return;
  c.layers->handshaking = false;
  c.layers->arrived.release();
  if (!c.layers->linked()) return;
  c.layers->unlink();
  --handshakes_;
}

void shard::consume_encrypted(connection& c, std::span<std::byte> bytes) {
  if (c.phase == connection_phase::ending) return;
  if (c.layers->handshaking) return consume_handshake(c, bytes);
  feed_tls(c, bytes);
}

// A signature is worth some hundred messages: a flood of handshakes takes a part of each turn and leaves the rest to open connections.
void shard::consume_handshake(connection& c, std::span<const std::byte> bytes) {
  if (c.phase == connection_phase::finishing && !c.is_client) return; // it took too long
  connection_layers& layers = *c.layers;
  if (layers.waiting) return wait_for_handshake_step(c, bytes);
  if (!c.is_client && !layers.linked()) {
    if (!layers.tls->gather_client_hello(bytes)) return;
    if (layers.tls->state() == tls_state::failed) return feed_tls(c, {}); // it is none
    if (handshake_steps_ >= tls_handshake_steps_per_turn_max || !hellos_waiting_.empty()) return wait_for_handshake_step(c, bytes);
    begin_handshake(c);
  } else if (handshake_steps_ >= tls_handshake_steps_per_turn_max || !answers_waiting_.empty()) {
    return wait_for_handshake_step(c, bytes);
  }
  ++handshake_steps_;
  feed_tls(c, bytes);
}

void shard::wait_for_handshake_step(connection& c, std::span<const std::byte> bytes) {
  connection_layers& layers = *c.layers;
  if (!layers.waiting) {
    const bool begins = !c.is_client && !layers.linked();
    if (begins && hellos_waiting_.size() >= tls_hellos_waiting_max) {
      ++counters_.handshakes_refused;
      return end(c, c.close_code, "too many TLS handshakes wait to begin");
    }
    (begins ? hellos_waiting_ : answers_waiting_).push_back(handle_of(c));
    layers.waiting = true;
  }
  layers.arrived.append(bytes);
  layers.count_held();
  pause_receive(c);
}

// Those that have begun go first, since they end sooner, but not at the cost of all that wait to begin.
void shard::continue_handshakes() {
  handshake_steps_ = 0;
  continue_handshakes(answers_waiting_, hellos_waiting_.empty() ? tls_handshake_steps_per_turn_max : tls_handshake_answers_per_turn_max);
  continue_handshakes(hellos_waiting_, tls_handshake_steps_per_turn_max);
}

void shard::continue_handshakes(std::deque<connection_handle>& waiting, std::uint32_t steps_max) {
  while (!waiting.empty() && handshake_steps_ < steps_max) {
    connection* c = find(waiting.front());
    waiting.pop_front();
    if (c == nullptr || c->phase == connection_phase::ending || c->layers == nullptr || !c->layers->waiting) continue;
    c->layers->waiting = false;
    if (c->phase == connection_phase::finishing && !c->is_client) continue;
    if (!c->is_client && !c->layers->linked()) {
      if (c->peer_closed) { // meanwhile: nobody would hear the answer
        on_end_of_stream(*c);
        continue;
      }
      begin_handshake(*c);
    }
    ++handshake_steps_;
    const byte_buffer arrived = std::move(c->layers->arrived);
    c->layers->count_held();
    spend_memory(*c, [&] { feed_tls(*c, arrived.bytes()); });
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
  layers.count_held();
  if (tls.state() == tls_state::handshaking) return;
  end_handshake(c);
  if (c.phase == connection_phase::ending) return;
  // What TLS answers by itself is output, too: who does not take it is not read. on_output_progress() goes on.
  if (is_output_full(c)) stop_input(c);
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

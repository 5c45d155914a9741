#include "engine/shard/tls_layer.hpp"

#include "engine/base/log.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/connector.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/memory_ledger.hpp"
#include "engine/shard/peer_book.hpp"
#include "engine/shard/refusal_log.hpp"
#include "engine/shard/socket_reader.hpp"
#include <ringcast/detail/assert.hpp>

#include <utility>

namespace ringcast::engine {

std::optional<tls_details> tls_details_of(const connection& c) {
  if (!c.encrypted || c.layers == nullptr || !c.layers->tls) return std::nullopt;
  const tls_agreement agreed = c.layers->tls->agreement();
  return tls_details{.version = std::string{agreed.version},
                     .cipher = std::string{agreed.cipher},
                     .server_name = std::string{agreed.server_name},
                     .peer_subject = std::string{agreed.peer_subject},
                     .peer_common_name = std::string{agreed.peer_common_name},
                     .peer_names = {agreed.peer_names.begin(), agreed.peer_names.end()},
                     .resumed = agreed.resumed};
}

void delete_connection_layers::operator()(connection_layers* layers) const noexcept { delete layers; }

// Costs no cryptography and no object of the library: most of those who only connect say nothing, and are none of the handshakes in progress.
void tls_layer::begin(connection& c, const tls_identity& identity) {
  c.layers.reset(new connection_layers);
  c.layers->whose = with_.host.handle_of(c);
  c.layers->tls.emplace(identity.now());
  c.layers->handshaking = true;
  c.layers->count_held();
  c.encrypted = true;
  c.always_gathered = true;
}

void tls_layer::begin_client(connection& c, client_link& link) {
  c.layers.reset(new connection_layers);
  // A ticket serves once (RFC 8446 C.4).
  tls_session& tls = c.layers->tls.emplace(link.plan->tls, link.plan->server_name, std::exchange(link.ticket, {}));
  c.layers->handshaking = true;
  c.encrypted = true;
  c.always_gathered = true;
  ciphertext_target target{with_.output, c};
  tls.start(target);
  if (tls.state() == tls_state::failed) on_failed(c);
}

// Its ClientHello is complete. Above the bound the oldest goes: nobody who answers at once is older than those who do not.
void tls_layer::begin_handshake(connection& c) {
  if (handshakes_ >= with_.limits.tls_handshakes_max) {
    connection* oldest = with_.host.find(handshakes_begun_.front().whose);
    RINGCAST_ASSERT(oldest != nullptr);
    with_.counters.count(refusal::tls_handshakes);
    log_refusal(refusal::tls_handshakes, with_.peers, *oldest);
    end_handshake(*oldest);
    with_.closing.end(*oldest, oldest->close_code, "others waited for the end of its TLS handshake");
  }
  ++handshakes_;
  handshakes_begun_.append(*c.layers);
}

void tls_layer::end_handshake(connection& c) {
  if (!c.layers->handshaking) return;
  c.layers->handshaking = false;
  c.layers->arrived.release();
  if (!c.layers->linked()) return;
  c.layers->unlink();
  --handshakes_;
}

void tls_layer::consume_encrypted(connection& c, std::span<std::byte> bytes) {
  if (c.phase == connection_phase::ending) return;
  if (c.layers->handshaking) return consume_handshake(c, bytes);
  feed(c, bytes);
}

// A signature is worth some hundred messages: a flood of handshakes takes a part of each turn and leaves the rest to open connections.
void tls_layer::consume_handshake(connection& c, std::span<const std::byte> bytes) {
  if (c.phase == connection_phase::finishing && !c.is_client) return; // it took too long
  connection_layers& layers = *c.layers;
  if (layers.waiting) return wait_for_handshake_step(c, bytes);
  if (!c.is_client && !layers.linked()) {
    if (!layers.tls->gather_client_hello(bytes)) return;
    if (layers.tls->state() == tls_state::failed) return feed(c, {}); // it is none
    if (handshake_steps_ >= tls_handshake_steps_per_turn_max || !hellos_waiting_.empty()) return wait_for_handshake_step(c, bytes);
    begin_handshake(c);
  } else if (handshake_steps_ >= tls_handshake_steps_per_turn_max || !answers_waiting_.empty()) {
    return wait_for_handshake_step(c, bytes);
  }
  ++handshake_steps_;
  feed(c, bytes);
}

void tls_layer::wait_for_handshake_step(connection& c, std::span<const std::byte> bytes) {
  connection_layers& layers = *c.layers;
  if (!layers.waiting) {
    const bool begins = !c.is_client && !layers.linked();
    if (begins && hellos_waiting_.size() >= tls_hellos_waiting_max) {
      with_.counters.count(refusal::tls_handshakes);
      log_refusal(refusal::tls_handshakes, with_.peers, c);
      return with_.closing.end(c, c.close_code, "too many TLS handshakes wait to begin");
    }
    (begins ? hellos_waiting_ : answers_waiting_).push_back(with_.host.handle_of(c));
    layers.waiting = true;
  }
  layers.arrived.append(bytes);
  layers.count_held();
  with_.receiving.pause(c);
}

// Those that have begun go first, since they end sooner, but not at the cost of all that wait to begin.
void tls_layer::continue_handshakes() {
  handshake_steps_ = 0;
  continue_some(answers_waiting_, hellos_waiting_.empty() ? tls_handshake_steps_per_turn_max : tls_handshake_answers_per_turn_max);
  continue_some(hellos_waiting_, tls_handshake_steps_per_turn_max);
}

void tls_layer::continue_some(std::deque<connection_handle>& waiting, std::uint32_t steps_max) {
  while (!waiting.empty() && handshake_steps_ < steps_max) {
    connection* c = with_.host.find(waiting.front());
    waiting.pop_front();
    if (c == nullptr || c->phase == connection_phase::ending || c->layers == nullptr || !c->layers->waiting) continue;
    c->layers->waiting = false;
    if (c->phase == connection_phase::finishing && !c->is_client) continue;
    if (!c->is_client && !c->layers->linked()) {
      if (c->peer_closed) { // meanwhile: nobody would hear the answer
        with_.input.on_end_of_stream(*c);
        continue;
      }
      begin_handshake(*c);
    }
    ++handshake_steps_;
    const byte_buffer arrived = std::move(c->layers->arrived);
    c->layers->count_held();
    with_.ledger.spend(*c, [&] { feed(*c, arrived.bytes()); });
    if (c->phase == connection_phase::ending) continue;
    with_.receiving.resume(*c);
    // Its end of stream may have come while it waited.
    if (c->peer_closed) with_.input.on_end_of_stream(*c);
  }
}

void tls_layer::feed(connection& c, std::span<const std::byte> bytes) {
  connection_layers& layers = *c.layers;
  tls_session& tls = *layers.tls;
  ciphertext_target target{with_.output, c};
  tls.feed(bytes, with_.host.tls_memory(), target, [&](std::span<std::byte> plaintext) { with_.input.consume_plain(c, plaintext); });
  layers.count_held();
  if (tls.state() == tls_state::handshaking) return;
  if (layers.handshaking && !c.is_client && tls.state() == tls_state::open)
    ++(tls.agreement().resumed ? with_.counters.tls_handshakes_resumed : with_.counters.tls_handshakes_full);
  end_handshake(c);
  if (c.phase == connection_phase::ending) return;
  // What TLS answers by itself is output, too: who does not take it is not read. shard::on_output_progress() goes on.
  if (with_.share.is_output_full(c)) with_.input.stop(c);
  if (tls.state() == tls_state::failed) return on_failed(c);
  if (c.is_client && with_.seats[c].tls_pending) with_.connecting.on_tls_open(c);
  if (tls.state() == tls_state::peer_closed && !c.peer_closed) with_.input.on_end_of_stream(c);
}

void tls_layer::on_failed(connection& c) {
  const tls_session& tls = *c.layers->tls;
  ++with_.counters.tls_failures;
  log_debug("TLS failed: {}", tls.reason());
  if (tls.failure() == tls_failure::plain_http) {
    // Such a client understands an answer, in clear text.
    c.encrypted = false;
    c.layers.reset();
    with_.http.refuse_request(c, http_status::bad_request, "this port speaks TLS: ask for https:// or wss://");
    return;
  }
  if (c.phase == connection_phase::finishing) return;
  if (c.phase == connection_phase::upgrading) return with_.connecting.on_tls_failed(c);
  if (c.phase == connection_phase::websocket) {
    with_.closing.leave_rooms(c);
    if (c.closing.state() == close_state::open) c.close_code = 1006;
    with_.closing.tell_closed(c, tls.reason());
  }
  // The alert that names the reason is on its way out.
  with_.closing.finish(c);
}

bool tls_layer::on_end_of_stream(connection& c) {
  if (c.layers->waiting) return true; // continue_handshakes() comes back
  if (c.is_client && with_.seats[c].tls_pending) {
    with_.closing.end(c, c.close_code, "the server closed the connection in the TLS handshake");
    return true;
  }
  if (c.layers->tls->state() != tls_state::open) return false;
  keep_ticket(c);
  // Without close_notify nobody knows whether bytes are missing (RFC 8446 6.1): an HTTP request is not answered then.
  c.layers->tls->end_of_stream();
  ++with_.counters.tls_failures;
  with_.closing.end(c, c.close_code, "the connection ended without close_notify");
  return true;
}

bool tls_layer::say_close_notify(connection& c) {
  if (!c.encrypted) return false;
  tls_session& tls = *c.layers->tls;
  if (tls.close_notify_sent() || (tls.state() != tls_state::open && tls.state() != tls_state::peer_closed)) return false;
  ciphertext_target target{with_.output, c};
  tls.close_notify(target);
  return true;
}

void tls_layer::keep_ticket(const connection& c) {
  if (!c.is_client || !c.encrypted || with_.seats[c].link == nullptr) return;
  if (tls_ticket ticket = c.layers->tls->ticket()) with_.seats[c].link->ticket = std::move(ticket);
}

} // namespace ringcast::engine

#include "engine/shard/connector.hpp"

#include "engine/connection/user_events.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/message_compression.hpp"
#include "engine/shard/retry_after.hpp"
#include "engine/shard/socket_reader.hpp"
#include "engine/shard/tls_layer.hpp"
#include "engine/shard/websocket_side.hpp"
#include "proto/handshake.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <string>
#include <utility>
#include <vector>

namespace ringcast::engine {

namespace {

constexpr http_limits head_limits{};

// Does nothing: for connections whose client has let go.
const websocket_endpoint nobody;

// Trying again cannot help where the server says that it does not want this client (RFC 9110 15.5).
bool is_fatal_status(std::uint16_t status) {
  if (status >= 500) return false;
  return status != static_cast<std::uint16_t>(http_status::request_timeout) && status != static_cast<std::uint16_t>(http_status::too_many_requests);
}

client_error refusal(client_error_kind kind, const response_head& head, std::string_view text) {
  return {.kind = kind,
          .text = text,
          .http_status = head.status_code,
          .retry_after = parse_retry_after(head.header("Retry-After"), std::time(nullptr)),
          .is_fatal = is_fatal_status(head.status_code)};
}

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

std::expected<connection_handle, int> connector::connect(client_link& link, const socket_address& to, std::uint64_t deadline_ms) {
  const std::expected<int, int> socket = open_client_socket(to);
  if (!socket) return std::unexpected(socket.error());
  connection& c = with_.connections.take();
  c.socket = *socket;
  c.is_client = true;
  c.closing = close_handshake{role::client};
  c.phase = connection_phase::connecting;
  ++with_.counters.client_connections;
  with_.output.count_taken(c);
  c.last_heard_ms = static_cast<std::uint32_t>(with_.clock.ms);
  client_seat& seat = with_.seats.take(c);
  seat = {.link = &link, .address = std::make_unique<socket_address>(to)};
  set_user_timeout(c.socket, link.plan->limits.pong_timeout_ms);
  ++c.operations;
  with_.io.arm_connect({operation::connect, c.generation, c.slot}, c.socket, reinterpret_cast<const sockaddr*>(&seat.address->storage),
                       seat.address->bytes);
  with_.wheel.arm(c.timer, deadline_ms);
  return with_.connections.handle_of(c);
}

void connector::on_connect(op_tag tag, const completion& done) {
  connection* c = with_.connections.find(tag.slot, tag.generation);
  RINGCAST_ASSERT(c != nullptr);
  --c->operations;
  client_seat& seat = with_.seats[*c];
  seat.address.reset();
  if (c->phase != connection_phase::connecting) return with_.closing.release_if_done(*c);
  if (done.result < 0) {
    const std::string why = fmt::format("no connection: {}", std::strerror(-done.result));
    return fail_attempt(*c, {.kind = client_error_kind::connect, .text = why});
  }
  c->phase = connection_phase::upgrading;
  seat.link->on_connected(with_.connections.handle_of(*c));
  with_.receiving.arm(*c);
  if (seat.link->plan->connect_request.empty()) return on_way_open(*c);
  seat.proxy_pending = true;
  with_.output.append_text(*c, seat.link->plan->connect_request);
}

// The way to the server is open, directly or through the proxy.
void connector::on_way_open(connection& c) {
  client_seat& seat = with_.seats[c];
  if (seat.link->plan->tls == nullptr) return begin_upgrade(c);
  seat.tls_pending = true;
  with_.tls.begin_client(c, *seat.link);
}

void connector::begin_upgrade(connection& c) {
  client_seat& seat = with_.seats[c];
  const client_plan& plan = *seat.link->plan;
  seat.key = make_websocket_key(with_.clients->keys().next_nonce());
  const std::vector<std::string_view> subprotocols{plan.subprotocols.begin(), plan.subprotocols.end()};
  std::vector<http_header> headers;
  for (const auto& [name, value] : plan.headers) headers.push_back({name, value});
  const bool deflates = plan.compression.mode != compression_mode::off;
  const extension_text extensions = deflates ? write_deflate_offer(offer_of(plan.compression)) : extension_text{};
  const upgrade_request request{.host = plan.host_field,
                                .target = plan.target,
                                .key = {seat.key.data(), seat.key.size()},
                                .subprotocols = subprotocols,
                                .extensions = extensions.view(),
                                .headers = headers};
  std::string text(upgrade_request_bytes_max(request), '\0');
  const auto bytes = write_upgrade_request(text, request);
  if (!bytes) return fail_attempt(c, {.kind = client_error_kind::bad_options, .text = bytes.error(), .is_fatal = true});
  with_.output.append_text(c, std::string_view{text}.substr(0, *bytes));
}

consumed connector::consume_response(connection& c, std::span<std::byte> bytes) {
  consumed done;
  while (done.bytes < bytes.size() && c.phase == connection_phase::upgrading) {
    const std::span<std::byte> rest = bytes.subspan(done.bytes);
    head_progress progress = c.partial != nullptr && done.bytes == 0 ? c.partial->head : head_progress{};
    response_head head;
    const head_result result = parse_response_head(rest, head_limits, head, &progress);
    if (result.status == head_status::need_more) {
      if (c.partial == nullptr) c.partial = std::make_unique<partial_input>();
      c.partial->head = progress;
      done.wanted = rest.size() + 1;
      return done;
    }
    if (c.partial != nullptr) c.partial->head = {};
    if (result.status == head_status::bad) {
      fail_attempt(c, {.kind = client_error_kind::bad_handshake, .text = result.why, .is_fatal = true});
      done.bytes = bytes.size();
      return done;
    }
    done.bytes += head.head_bytes;
    if (head.is_interim()) continue;
    if (with_.seats[c].proxy_pending) {
      on_proxy_response(c, head);
      // In TLS the client speaks first, so nothing can stand behind the proxy's answer yet.
      if (!c.encrypted || c.phase != connection_phase::upgrading || done.bytes == bytes.size()) continue;
      fail_attempt(c, {.kind = client_error_kind::proxy, .text = "the proxy sent bytes before TLS began", .is_fatal = true});
      done.bytes = bytes.size();
    } else {
      on_response(c, head);
    }
  }
  return done;
}

void connector::on_proxy_response(connection& c, const response_head& head) {
  if (head.status_code < 200 || head.status_code >= 300) {
    const std::string why = fmt::format("the proxy answered {} {}", head.status_code, head.reason);
    return fail_attempt(c, refusal(client_error_kind::proxy, head, why));
  }
  with_.seats[c].proxy_pending = false;
  on_way_open(c);
}

void connector::on_response(connection& c, const response_head& head) {
  const client_seat& seat = with_.seats[c];
  client_link& link = *seat.link;
  const std::vector<std::string_view> subprotocols{link.plan->subprotocols.begin(), link.plan->subprotocols.end()};
  const deflate_offer offer = offer_of(link.plan->compression);
  const bool deflates = link.plan->compression.mode != compression_mode::off;
  const auto accepted = check_upgrade_response(head, {seat.key.data(), seat.key.size()}, subprotocols, deflates ? &offer : nullptr);
  if (!accepted) {
    if (accepted.error().error != handshake_error::wrong_status)
      return fail_attempt(c, {.kind = client_error_kind::bad_handshake, .text = accepted.error().why, .is_fatal = true});
    const std::string why = fmt::format("the server answered {} {}", head.status_code, head.reason);
    return fail_attempt(c, refusal(client_error_kind::refused, head, why));
  }
  c.phase = connection_phase::websocket;
  c.endpoint = link.endpoint;
  c.user = link.endpoint_user;
  c.handler_told = true;
  if (link.plan->limits.ping_interval_ms != 0)
    with_.timers.arm(c, link.plan->limits.ping_interval_ms);
  else
    with_.timers.cancel(c);
  if (accepted->deflate) with_.compression.begin(c, *accepted->deflate);
  link.on_accepted(accepted->subprotocol);
  c.answering = true; // until on_open has been called
  with_.users.note(c, user_event::opened);
}

void connector::on_tls_open(connection& c) {
  with_.seats[c].tls_pending = false;
  if (c.phase == connection_phase::upgrading) begin_upgrade(c);
}

// Before the WebSocket is open. The connection goes on for a moment, so that the server hears of it by an alert; its link hears now.
void connector::on_tls_failed(connection& c) {
  const tls_session& tls = *c.layers->tls;
  const std::string why = fmt::format("TLS: {}", tls.reason());
  note_failed_attempt(c, {.kind = tls.failure() == tls_failure::certificate ? client_error_kind::certificate : client_error_kind::tls,
                          .text = why,
                          .is_fatal = is_fatal_failure(tls.failure())});
  with_.closing.finish(c);
}

// The attempt is over before the WebSocket was open.
void connector::fail_attempt(connection& c, const client_error& error) {
  note_failed_attempt(c, error);
  with_.closing.end(c, 1006, error.text);
}

void connector::end_attempt(connection& c, std::string_view reason) {
  if (!is_untold(c, user_event::closed)) note_failed_attempt(c, {.kind = client_error_kind::lost, .text = reason});
}

void connector::note_failed_attempt(connection& c, const client_error& error) {
  if (with_.seats[c].link == nullptr || is_untold(c, user_event::attempt_failed)) return;
  with_.tls.keep_ticket(c);
  with_.users.note_attempt_failed(c, error);
}

void connector::let_go(connection_handle handle, std::uint16_t code, std::string_view reason) {
  connection* c = with_.connections.find(handle);
  if (c == nullptr) return;
  with_.seats[*c].link = nullptr;
  c->handler_told = false;
  if (c->phase == connection_phase::connecting || c->phase == connection_phase::upgrading) return with_.closing.end(*c, code, reason);
  c->endpoint = &nobody;
  c->user = nullptr;
  with_.websockets.close(*c, code, reason);
}

void connector::hold_input(connection_handle handle, bool hold) {
  connection* c = with_.connections.find(handle);
  if (c == nullptr || c->phase != connection_phase::websocket) return;
  if (hold)
    with_.input.hold(*c);
  else
    with_.input.release(*c);
}

void connector::on_timer(connection& c) {
  const bool in_tls = with_.seats[c].tls_pending;
  fail_attempt(
      c, {.kind = client_error_kind::timed_out, .text = in_tls ? "the TLS handshake was not finished in time" : "the server did not answer in time"});
}

} // namespace ringcast::engine

// The client role of a shard's connections: TCP, the proxy, the upgrade, and the frames that go out masked. From the open WebSocket on a
// client's connection is received, timed and closed like a server's; what differs there is asked of connection::is_client.
#include "engine/io/socket.hpp"
#include "engine/shard/retry_after.hpp"
#include "engine/shard/shard.hpp"
#include "proto/frame_writer.hpp"
#include "proto/handshake.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <utility>

namespace ringcast {

namespace {

constexpr http_limits head_limits{};

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

} // namespace

std::expected<connection_handle, int> shard::connect(client_link& link, const socket_address& to, std::uint64_t timeout_ms,
                                                     std::uint64_t deadline_ms) {
  const std::expected<int, int> socket = open_client_socket(to);
  if (!socket) return std::unexpected(socket.error());
  connection& c = connections_.take();
  c.socket = *socket;
  c.is_client = true;
  c.closing = close_handshake{role::client};
  c.phase = connection_phase::connecting;
  c.last_heard_ms = static_cast<std::uint32_t>(now_ms_);
  if (client_seats_.size() <= c.slot) client_seats_.resize(c.slot + 1);
  client_seat& seat = client_seats_[c.slot];
  seat = {.link = &link, .address = std::make_unique<socket_address>(to), .attempt_deadline_ms = deadline_ms};
  set_user_timeout(c.socket, link.plan->limits.pong_timeout_ms);
  ++c.operations;
  ring_->arm_connect({operation::connect, c.generation, c.slot}, c.socket, reinterpret_cast<const sockaddr*>(&seat.address->storage),
                     seat.address->bytes);
  timers_.arm(c.timer, std::min(now_ms_ + timeout_ms, deadline_ms));
  return handle_of(c);
}

void shard::on_connect(op_tag tag, const completion& done) {
  connection* c = connections_.find(tag.slot, tag.generation);
  RINGCAST_ASSERT(c != nullptr);
  --c->operations;
  client_seat& seat = client_seats_[c->slot];
  seat.address.reset();
  if (c->phase != connection_phase::connecting) return release_if_done(*c);
  if (done.result < 0) {
    const std::string why = fmt::format("no connection: {}", std::strerror(-done.result));
    return fail_attempt(*c, {.kind = client_error_kind::connect, .text = why});
  }
  c->phase = connection_phase::upgrading;
  timers_.arm(c->timer, seat.attempt_deadline_ms);
  arm_receive(*c);
  if (seat.link->plan->connect_request.empty()) return on_way_open(*c);
  seat.proxy_pending = true;
  append_output(*c, seat.link->plan->connect_request);
}

// The way to the server is open, directly or through the proxy.
void shard::on_way_open(connection& c) {
  if (client_seats_[c.slot].link->plan->tls != nullptr)
    begin_client_tls(c);
  else
    begin_upgrade(c);
}

void shard::begin_upgrade(connection& c) {
  client_seat& seat = client_seats_[c.slot];
  const client_plan& plan = *seat.link->plan;
  seat.key = make_websocket_key(clients()->keys().next_nonce());
  const std::vector<std::string_view> subprotocols{plan.subprotocols.begin(), plan.subprotocols.end()};
  std::vector<http_header> headers;
  for (const auto& [name, value] : plan.headers) headers.push_back({name, value});
  const bool deflates = plan.compression.mode != compression_mode::off;
  const extension_text extensions = deflates ? write_deflate_offer(plan.compression.offer()) : extension_text{};
  const upgrade_request request{.host = plan.host_field,
                                .target = plan.target,
                                .key = {seat.key.data(), seat.key.size()},
                                .subprotocols = subprotocols,
                                .extensions = extensions.view(),
                                .headers = headers};
  std::string text(upgrade_request_bytes_max(request), '\0');
  const auto bytes = write_upgrade_request(text, request);
  if (!bytes) return fail_attempt(c, {.kind = client_error_kind::bad_options, .text = bytes.error(), .is_fatal = true});
  append_output(c, std::string_view{text}.substr(0, *bytes));
}

shard::consumed shard::consume_response(connection& c, std::span<std::byte> bytes) {
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
    if (client_seats_[c.slot].proxy_pending) {
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

void shard::on_proxy_response(connection& c, const response_head& head) {
  if (head.status_code < 200 || head.status_code >= 300) {
    const std::string why = fmt::format("the proxy answered {} {}", head.status_code, head.reason);
    return fail_attempt(c, refusal(client_error_kind::proxy, head, why));
  }
  client_seats_[c.slot].proxy_pending = false;
  on_way_open(c);
}

void shard::on_response(connection& c, const response_head& head) {
  const client_seat& seat = client_seats_[c.slot];
  client_link& link = *seat.link;
  const std::vector<std::string_view> subprotocols{link.plan->subprotocols.begin(), link.plan->subprotocols.end()};
  const deflate_offer offer = link.plan->compression.offer();
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
    arm_timer(c, link.plan->limits.ping_interval_ms);
  else
    timers_.cancel(c.timer);
  if (accepted->deflate) begin_compression(c, *accepted->deflate);
  link.on_accepted(accepted->subprotocol);
  c.answering = true; // until on_open has been called
  handlers_.note(c, user_event::opened);
}

// The attempt is over before the WebSocket was open.
void shard::fail_attempt(connection& c, const client_error& error) {
  note_failed_attempt(c, error);
  end(c, 1006, error.text);
}

// From end(): an attempt that nobody has reported yet.
void shard::end_attempt(connection& c, std::string_view reason) {
  if (!is_untold(c, user_event::closed)) note_failed_attempt(c, {.kind = client_error_kind::lost, .text = reason});
}

void shard::note_failed_attempt(connection& c, const client_error& error) {
  if (client_seats_[c.slot].link == nullptr || is_untold(c, user_event::attempt_failed)) return;
  keep_ticket(c);
  handlers_.note_attempt_failed(c, error);
}

// The link, which is told of the end now and never again, and whether that was clean.
std::pair<client_link*, bool> shard::take_link(connection& c) {
  client_seat& seat = client_seats_[c.slot];
  return {std::exchange(seat.link, nullptr), seat.clean};
}

// Before the turn says the Close frames of clients: what their coroutines and callbacks answer to the messages of this turn stands in front.
void shard::run_clients_before_their_end() {
  if (clients_ == nullptr || !handlers_.has_untold()) return;
  if (scheduler_.has_ready()) scheduler_.run_ready();
  clients_->run_ready();
}

namespace {
// Does nothing: for connections whose client has let go.
const websocket_endpoint nobody;
} // namespace

void shard::let_go(connection_handle handle, std::uint16_t code, std::string_view reason) {
  connection* c = find(handle);
  if (c == nullptr) return;
  client_seats_[c->slot].link = nullptr;
  c->handler_told = false;
  if (c->phase == connection_phase::connecting || c->phase == connection_phase::upgrading) return end(*c, code, reason);
  c->endpoint = &nobody;
  c->user = nullptr;
  close_websocket(*c, code, reason);
}

void shard::hold_input(connection_handle handle, bool hold) {
  connection* c = find(handle);
  if (c == nullptr || c->phase != connection_phase::websocket) return;
  if (hold)
    hold_input(*c);
  else
    release_input(*c);
}

const server_limits& shard::client_limits(const connection& c) const {
  const client_link* link = client_seats_[c.slot].link;
  return link != nullptr ? link->plan->limits : options_.limits;
}

// RFC 6455 5.3: each frame has a key of its own.
void shard::append_masked_frame(connection& c, opcode op, std::span<const std::byte> payload) {
  std::byte* out = outbox_.extend(c, frame_bytes(payload.size(), true));
  write_masked_frame(out, op, payload, clients_->keys().next());
}

} // namespace ringcast

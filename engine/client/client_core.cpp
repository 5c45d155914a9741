// The side of a client that its users' threads see: the queue, the state, stop().
#include "engine/client/client_core.hpp"

#include "engine/client/client_host.hpp"
#include "engine/shard/shard.hpp"
#include "proto/frame_header.hpp"
#include <ringcast/close_code.hpp>
#include <ringcast/detail/clock.hpp>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <sys/random.h>

namespace ringcast::engine {

namespace {

// Commands that wait for the shard; far above what anybody has a use for.
constexpr std::uint32_t commands_max = 256;

std::uint32_t ms_of(std::chrono::milliseconds duration) {
  return static_cast<std::uint32_t>(std::clamp<std::chrono::milliseconds::rep>(duration.count(), 0, UINT32_MAX / 4));
}

client_plan plan_of(const url& server, const std::optional<url>& proxy, const client_options& options) {
  client_plan plan{.host_field = server.host_field(),
                   .target = server.target,
                   .subprotocols = options.subprotocols,
                   .headers = options.headers,
                   .server_name = options.tls_server_name.empty() ? server.host : options.tls_server_name};
  if (server.is_tls()) {
    auto context = tls_context::shared_client(options.tls);
    if (!context) throw std::invalid_argument(std::move(context.error()));
    plan.tls = std::move(*context);
  }
  const bool has_authorization =
      std::ranges::any_of(plan.headers, [](const auto& header) { return equal_ignoring_case(header.first, "Authorization"); });
  if (server.has_userinfo && !has_authorization) plan.headers.emplace_back("Authorization", server.basic_authorization());
  if (proxy) {
    plan.connect_request = "CONNECT " + server.authority() + " HTTP/1.1\r\nHost: " + server.authority() + "\r\n";
    if (proxy->has_userinfo) plan.connect_request += "Proxy-Authorization: " + proxy->basic_authorization() + "\r\n";
    plan.connect_request += "\r\n";
  }
  plan.compression = options.compression;
  plan.limits.message_bytes_max = options.message_bytes_max;
  plan.limits.frame_timeout_ms = ms_of(options.frame_timeout);
  plan.limits.ping_interval_ms = ms_of(options.ping_interval);
  plan.limits.pong_timeout_ms = ms_of(options.pong_timeout);
  plan.limits.close_timeout_ms = ms_of(options.close_timeout);
  return plan;
}

// What a server would be sent is written once now, so that a header that cannot be sent is the maker's error and not the network's.
void check(const client_plan& plan) {
  const std::vector<std::string_view> subprotocols{plan.subprotocols.begin(), plan.subprotocols.end()};
  std::vector<http_header> headers;
  for (const auto& [name, value] : plan.headers) headers.push_back({name, value});
  const websocket_key key = make_websocket_key(std::array<std::byte, 16>{});
  const upgrade_request request{.host = plan.host_field,
                                .target = plan.target,
                                .key = {key.data(), key.size()},
                                .subprotocols = subprotocols,
                                .extensions = {},
                                .headers = headers};
  std::string text(upgrade_request_bytes_max(request), '\0');
  if (const auto written = write_upgrade_request(text, request); !written) throw std::invalid_argument(std::string{written.error()});
}

// Clients that lost their server at the same moment must not come back at the same moment, whatever process or machine they are in.
std::uint64_t draw_seed() {
  std::uint64_t seed = now_ns();
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) seed ^= now_ns() << 20;
  return seed;
}

} // namespace

client_core::client_core(const url& server, const std::optional<url>& proxy, client_options options)
    : plan_(plan_of(server, proxy, options)), options_(std::move(options)), connect_host_(proxy ? proxy->host : server.host),
      connect_port_(proxy ? proxy->port : server.port), backoff_(options_.reconnect, draw_seed()) {
  if (options_.resume) {
    resume_.emplace(plan_.target, options_.resume_from);
    plan_.target = resume_->longest_target();
  }
  check(plan_);
  plan = &plan_;
  endpoint = &event_endpoint();
  endpoint_user = this;
}

void client_core::connect(client_host& host, client_events& events) {
  const std::lock_guard lock(lock_);
  if (stopped_ || gone_) return;
  if (host_ == nullptr) {
    host_ = &host;
    events_ = std::move(events);
  }
  if (commands_ >= commands_max) return; // one of them is a connect() or will be followed by one
  if (state_.load(std::memory_order_relaxed) == client_state::closed) set_state_locked(client_state::connecting);
  ++commands_;
  append_record({.bytes = 0, .kind = queued_kind::connect, .close_code = 0}, {});
}

send_status client_core::disconnect(std::uint16_t code, std::string_view reason) {
  if (!may_be_sent(code)) code = static_cast<std::uint16_t>(close_code::normal);
  const std::lock_guard lock(lock_);
  const client_state now = state_.load(std::memory_order_relaxed);
  if (host_ == nullptr || stopped_ || now == client_state::closed) return send_status::closed;
  if (commands_ >= commands_max) return send_status::full;
  set_state_locked(client_state::closing);
  ++commands_;
  append_record(
      {.bytes = static_cast<std::uint32_t>(std::min(reason.size(), close_reason_bytes_max)), .kind = queued_kind::disconnect, .close_code = code},
      std::as_bytes(std::span{reason}).first(std::min(reason.size(), close_reason_bytes_max)));
  return send_status::queued;
}

send_status client_core::send(opcode op, std::span<const std::byte> payload) {
  const std::size_t bytes = sizeof(record_head) + payload.size();
  const std::lock_guard lock(lock_);
  if (host_ == nullptr || stopped_) return send_status::closed;
  switch (state_.load(std::memory_order_relaxed)) {
  case client_state::closed:
  case client_state::closing: return send_status::closed;
  case client_state::connecting:
  case client_state::reconnecting:
    if (options_.offline == offline_policy::keep) break;
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return send_status::dropped;
  case client_state::open: break;
  }
  if (payload.size() > options_.queue_bytes_max || queued_bytes_.load(std::memory_order_relaxed) + payload.size() > options_.queue_bytes_max) {
    was_full_.store(true, std::memory_order_relaxed);
    list_locked(); // the room may have come before the flag was seen
    return send_status::full;
  }
  const record_head head{
      .bytes = static_cast<std::uint32_t>(payload.size()), .kind = op == opcode::text ? queued_kind::text : queued_kind::binary, .close_code = 0};
  queued_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  append_record(head, payload);
  return send_status::queued;
}

send_status client_core::ping(std::string_view payload) {
  payload = payload.substr(0, control_payload_bytes_max);
  const std::size_t bytes = sizeof(record_head) + payload.size();
  const std::lock_guard lock(lock_);
  if (host_ == nullptr || stopped_) return send_status::closed;
  switch (state_.load(std::memory_order_relaxed)) {
  case client_state::closed:
  case client_state::closing: return send_status::closed;
  case client_state::connecting:
  case client_state::reconnecting: return send_status::dropped;
  case client_state::open: break;
  }
  if (queued_bytes_.load(std::memory_order_relaxed) + bytes > options_.queue_bytes_max) return send_status::full;
  queued_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  append_record({.bytes = static_cast<std::uint32_t>(payload.size()), .kind = queued_kind::ping, .close_code = 0}, std::as_bytes(std::span{payload}));
  return send_status::queued;
}

// Under the lock.
void client_core::append_record(record_head head, std::span<const std::byte> bytes) {
  outgoing_.append(std::as_bytes(std::span{&head, 1}));
  outgoing_.append(bytes);
  list_locked();
}

void client_core::list_locked() {
  if (listed_) return;
  listed_ = true;
  ready_self = shared_from_this();
  host_->notify(*this);
}

void client_core::stop() {
  muted_.store(true, std::memory_order_seq_cst);
  {
    const std::lock_guard lock(lock_);
    if (!stopped_) {
      stopped_ = true;
      set_state_locked(client_state::closed);
      if (host_ != nullptr) list_locked();
    }
  }
  // On a thread of clients a callback is running, perhaps one that the other thread's callback waits for: nothing is awaited there.
  if (client_host::is_client_thread()) return;
  while (in_event_.load(std::memory_order_seq_cst)) in_event_.wait(true, std::memory_order_seq_cst);
}

std::string client_core::subprotocol() const {
  const std::lock_guard lock(lock_);
  return subprotocol_;
}

client_counts client_core::counts() const {
  return {.sent = sent_.load(std::memory_order_relaxed),
          .lost = lost_.load(std::memory_order_relaxed),
          .received = received_.load(std::memory_order_relaxed),
          .dropped = dropped_.load(std::memory_order_relaxed),
          .reconnected = reconnected_.load(std::memory_order_relaxed),
          .queued_bytes = queued_bytes_.load(std::memory_order_relaxed)};
}

void client_core::on_resolved(std::uint64_t attempt, const resolved_name& answer) {
  const std::lock_guard lock(lock_);
  if (host_ == nullptr || stopped_) return;
  answer_.emplace(attempt, answer);
  list_locked();
}

} // namespace ringcast::engine

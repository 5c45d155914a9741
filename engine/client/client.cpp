#include <ringcast/client.hpp>

#include "engine/client/client_core.hpp"
#include "engine/client/client_events.hpp"
#include "engine/client/client_host.hpp"
#include "engine/connection/handle_access.hpp"
#include "engine/shard/shard.hpp"
#include <ringcast/client_loop.hpp>

#include <stdexcept>
#include <utility>

namespace ringcast {

using namespace engine;

namespace {

url url_or_throw(std::string_view text) {
  auto parsed = parse_url(text);
  if (!parsed) throw std::invalid_argument(std::string{parsed.error()});
  return std::move(*parsed);
}

client_host& host_here() {
  shard* here = shard::current();
  RINGCAST_ASSERT(here != nullptr); // not on a thread of a client_loop or a server's shard
  return client_host::of(*here);
}

} // namespace

client::client(std::string_view server_url, client_options options) : client(server_url, std::move(options), client_loop::shared()) {}

client::client(std::string_view server_url, client_options options, client_loop& loop)
    : client(server_url, std::move(options), handle_access::host_of(loop)) {}

client::client(std::string_view server_url, client_options options, on_this_shard_t) : client(server_url, std::move(options), host_here()) {}

client::client(std::string_view server_url, client_options options, client_host& host) : events_(std::make_unique<client_events>()), host_(&host) {
  const url server = url_or_throw(server_url);
  if (server.scheme != url_scheme::ws && server.scheme != url_scheme::wss) throw std::invalid_argument("The URL's scheme is not ws or wss.");
  if (options.resume && room_resume::has_position(server.target))
    throw std::invalid_argument("The URL has since=, and with client_options::resume it must not: resume_from says it.");
  std::optional<url> proxy;
  if (!options.proxy.empty()) {
    proxy = url_or_throw(options.proxy);
    if (proxy->scheme != url_scheme::http) throw std::invalid_argument("The proxy's scheme is not http.");
  }
  core_ = std::make_shared<client_core>(server, proxy, std::move(options));
}

client::~client() { stop(); }

void client::on_open(std::function<void()> call, place where) { events_->on_open = {std::move(call), where}; }
void client::on_message(std::function<void(const message_view&)> call, place where) { events_->on_message = {std::move(call), where}; }
void client::on_control(std::function<void(opcode, std::span<const std::byte>)> call, place where) { events_->on_control = {std::move(call), where}; }
void client::on_error(std::function<void(const client_error&)> call, place where) { events_->on_error = {std::move(call), where}; }
void client::on_disconnected(std::function<void(std::uint16_t, std::string_view)> call, place where) {
  if (!call) return on_disconnected(told_of_unsent{}, where);
  on_disconnected([call = std::move(call)](std::uint16_t code, std::string_view reason, const unsent_messages&) { call(code, reason); }, where);
}
void client::on_disconnected(told_of_unsent call, place where) { events_->on_disconnected = {std::move(call), where}; }
void client::on_close(std::function<void(std::uint16_t, std::string_view, bool)> call, place where) { events_->on_close = {std::move(call), where}; }
void client::on_reconnecting(std::function<void(unsigned, std::chrono::milliseconds)> call, place where) {
  events_->on_reconnecting = {std::move(call), where};
}
void client::on_reconnected(std::function<void()> call, place where) { events_->on_reconnected = {std::move(call), where}; }
void client::on_resumed(std::function<void(const room_position&, const room_position&)> call, place where) {
  events_->on_resumed = {std::move(call), where};
}
void client::on_gap(std::function<void(const room_position&, const room_position&)> call, place where) { events_->on_gap = {std::move(call), where}; }
void client::on_drain(std::function<void()> call, place where) { events_->on_drain = {std::move(call), where}; }

void client::start() { core_->connect(*host_, *events_); }
send_status client::disconnect(std::uint16_t code, std::string_view reason) { return core_->disconnect(code, reason); }
send_status client::send(opcode op, std::span<const std::byte> payload) { return core_->send(op, payload); }
send_status client::ping(std::string_view payload) { return core_->ping(payload); }
client_sender client::sender() const { return client_sender{core_}; }
void client::hold_input(bool hold) { core_->hold_input(hold); }
std::optional<room_position> client::position() const { return core_->position(); }
void client::stop() { core_->stop(); }
client_state client::state() const { return core_->state(); }
std::string client::subprotocol() const { return core_->subprotocol(); }
client_counts client::counts() const { return core_->counts(); }

send_status client_sender::send(opcode op, std::span<const std::byte> payload) const {
  return core_ != nullptr ? core_->send(op, payload) : send_status::closed;
}
send_status client_sender::ping(std::string_view payload) const { return core_ != nullptr ? core_->ping(payload) : send_status::closed; }
client_state client_sender::state() const { return core_ != nullptr ? core_->state() : client_state::closed; }

std::string_view name_of(client_error_kind kind) noexcept {
  switch (kind) {
  case client_error_kind::bad_options: return "bad_options";
  case client_error_kind::name_lookup: return "name_lookup";
  case client_error_kind::connect: return "connect";
  case client_error_kind::timed_out: return "timed_out";
  case client_error_kind::proxy: return "proxy";
  case client_error_kind::certificate: return "certificate";
  case client_error_kind::tls: return "tls";
  case client_error_kind::refused: return "refused";
  case client_error_kind::bad_handshake: return "bad_handshake";
  case client_error_kind::lost: return "lost";
  case client_error_kind::handler: return "handler";
  }
  return "?";
}

} // namespace ringcast

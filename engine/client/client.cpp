#include "engine/client/client.hpp"

#include "engine/client/client_core.hpp"
#include "engine/client/client_loop.hpp"

#include <stdexcept>
#include <utility>

namespace ringcast {

namespace {

url url_or_throw(std::string_view text) {
  auto parsed = parse_url(text);
  if (!parsed) throw std::invalid_argument(std::string{parsed.error()});
  return std::move(*parsed);
}

} // namespace

client::client(std::string_view server_url, client_options options) : client(server_url, std::move(options), client_loop::shared()) {}

client::client(std::string_view server_url, client_options options, client_loop& loop) : client(server_url, std::move(options), loop.host()) {}

client::client(std::string_view server_url, client_options options, client_host& host) : host_(&host) {
  const url server = url_or_throw(server_url);
  if (server.scheme != url_scheme::ws && server.scheme != url_scheme::wss) throw std::invalid_argument("The URL's scheme is not ws or wss.");
  std::optional<url> proxy;
  if (!options.proxy.empty()) {
    proxy = url_or_throw(options.proxy);
    if (proxy->scheme != url_scheme::http) throw std::invalid_argument("The proxy's scheme is not http.");
  }
  core_ = std::make_shared<client_core>(server, proxy, std::move(options));
}

client::~client() { stop(); }

void client::start() { core_->connect(*host_, events_); }
send_status client::disconnect(std::uint16_t code, std::string_view reason) { return core_->disconnect(code, reason); }
send_status client::send(opcode op, std::span<const std::byte> payload) { return core_->send(op, payload); }
send_status client::ping(std::string_view payload) { return core_->ping(payload); }
client_sender client::sender() const { return client_sender{core_}; }
void client::hold_input(bool hold) { core_->hold_input(hold); }
void client::stop() { core_->stop(); }
client_state client::state() const { return core_->state(); }
std::string client::subprotocol() const { return core_->subprotocol(); }
client_counts client::counts() const { return core_->counts(); }

send_status client_sender::send(opcode op, std::span<const std::byte> payload) const {
  return core_ != nullptr ? core_->send(op, payload) : send_status::closed;
}
send_status client_sender::ping(std::string_view payload) const { return core_ != nullptr ? core_->ping(payload) : send_status::closed; }
client_state client_sender::state() const { return core_ != nullptr ? core_->state() : client_state::closed; }

} // namespace ringcast

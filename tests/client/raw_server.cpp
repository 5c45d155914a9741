#include "raw_server.hpp"

#include "proto/byte_buffer.hpp"
#include "proto/handshake.hpp"

#include <arpa/inet.h>
#include <array>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace ringcast {

using namespace engine;

namespace {

int listen_somewhere(std::uint16_t& port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), bytes) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes) != 0)
    throw std::runtime_error("no socket to listen on");
  port = ntohs(address.sin_port);
  return listener;
}

} // namespace

struct raw_connection::layer {
  explicit layer(std::shared_ptr<const tls_context> context) : session(std::move(context)) {}
  tls_session session;
  tls_scratch scratch;
  byte_buffer out;
};

raw_connection::raw_connection(int socket) : socket_(socket) {}
raw_connection::~raw_connection() = default;

bool raw_connection::start_tls(std::shared_ptr<const tls_context> context) {
  layer_ = std::make_unique<layer>(std::move(context));
  while (layer_->session.state() == tls_state::handshaking)
    if (const std::string more = read_some(); more.empty() && layer_->session.state() != tls_state::open)
      return false;
    else
      kept_ += more;
  return layer_->session.state() == tls_state::open;
}

tls_session& raw_connection::tls() { return layer_->session; }

void raw_connection::close_notify() {
  layer_->session.close_notify(layer_->out);
  write_raw({reinterpret_cast<const char*>(layer_->out.data()), layer_->out.size()});
  layer_->out.clear();
}

std::string raw_connection::read_some() {
  const bool was_open = layer_ != nullptr && layer_->session.state() == tls_state::open;
  std::string text;
  while (text.empty()) {
    std::array<std::byte, 4096> bytes;
    const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      if (layer_ != nullptr) layer_->session.end_of_stream();
      return {};
    }
    const std::span<const std::byte> arrived = std::span{bytes}.first(static_cast<std::size_t>(got));
    const auto take = [&](std::span<const std::byte> plain) { text.append(reinterpret_cast<const char*>(plain.data()), plain.size()); };
    if (layer_ == nullptr) {
      take(arrived);
      continue;
    }
    layer_->session.feed(arrived, layer_->scratch, layer_->out, take);
    write_raw({reinterpret_cast<const char*>(layer_->out.data()), layer_->out.size()});
    layer_->out.clear();
    // start_tls() waits for no more than the handshake. A record that has come in part is waited for.
    const tls_state now = layer_->session.state();
    if (text.empty() && now != tls_state::handshaking && !(was_open && now == tls_state::open)) return {};
  }
  return text;
}

std::string raw_connection::read_head() {
  while (kept_.find("\r\n\r\n") == std::string::npos) {
    const std::string more = read_some();
    if (more.empty()) return std::exchange(kept_, {});
    kept_ += more;
  }
  return read(kept_.find("\r\n\r\n") + 4);
}

std::string raw_connection::read(std::size_t bytes) {
  while (kept_.size() < bytes) {
    const std::string more = read_some();
    if (more.empty()) break;
    kept_ += more;
  }
  const std::string text = kept_.substr(0, bytes);
  kept_.erase(0, text.size());
  return text;
}

std::string raw_connection::read_frame(unsigned& op) {
  const std::string head = read(2);
  if (head.size() < 2) return {};
  op = static_cast<unsigned char>(head[0]) & 0x0F;
  std::size_t length = static_cast<unsigned char>(head[1]) & 0x7F;
  if (length == 126) {
    const std::string more = read(2);
    if (more.size() < 2) return {};
    length = static_cast<std::size_t>(static_cast<unsigned char>(more[0])) << 8 | static_cast<unsigned char>(more[1]);
  }
  const std::string key = read(4);
  if (key.size() < 4) return {};
  std::string payload = read(length);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ key[i % 4]);
  return payload;
}

void raw_connection::write(std::string_view bytes) {
  if (layer_ == nullptr) return write_raw(bytes);
  layer_->session.write(std::as_bytes(std::span{bytes}), layer_->scratch, layer_->out);
  write_raw({reinterpret_cast<const char*>(layer_->out.data()), layer_->out.size()});
  layer_->out.clear();
}

void raw_connection::write_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void raw_connection::reset() {
  const linger at_once{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

// An answer to connect() that dissolves the association: with the linger of reset() the peer is sent a reset, and the descriptor stays.
void raw_connection::end() {
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  (void)::connect(socket_, &nobody, sizeof nobody);
}

bool raw_connection::has_more(std::chrono::milliseconds wait) const {
  if (!kept_.empty()) return true;
  pollfd one{.fd = socket_, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, static_cast<int>(wait.count())) > 0;
}

std::string raw_connection::read_frame_of_what_is_there(unsigned& op, std::chrono::milliseconds wait) {
  const timeval limit{.tv_sec = 0, .tv_usec = std::chrono::microseconds(wait).count()};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return read_frame(op);
}

void raw_connection::wait_for_end() {
  while (!read_some().empty()) {
  }
}

void raw_connection::accept_upgrade(std::string_view request_head, std::string_view more, std::string_view behind) {
  const auto accept = accept_key(header_of(request_head, "Sec-WebSocket-Key"));
  write(fmt::format("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{}\r\n{}",
                    std::string_view{accept.data(), accept.size()}, more, behind));
}

std::string header_of(std::string_view head, std::string_view name) {
  const std::string start = fmt::format("\r\n{}: ", name);
  const std::size_t at = head.find(start);
  if (at == std::string_view::npos) return {};
  const std::size_t begin = at + start.size();
  return std::string{head.substr(begin, head.find("\r\n", begin) - begin)};
}

std::string frame_of(unsigned first_byte, std::string_view payload) {
  std::string frame{static_cast<char>(first_byte), static_cast<char>(payload.size())};
  return frame.append(payload);
}

raw_server::raw_server(std::function<void(raw_connection&, int)> serve) : listener_(listen_somewhere(port_)) {
  thread_ = std::thread([this, serve = std::move(serve)] {
    while (true) {
      const int accepted = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) return;
      if (ending_) {
        ::close(accepted);
        return;
      }
      current_ = accepted;
      raw_connection connection{accepted};
      serve(connection, connections_++);
      current_ = -1;
      ::close(accepted);
    }
  });
}

raw_server::~raw_server() {
  ending_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  if (const int current = current_; current >= 0) ::shutdown(current, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
}

std::string raw_server::url(std::string_view path) const { return fmt::format("ws://127.0.0.1:{}{}", port_, path); }

std::string raw_server::tls_url(std::string_view path) const { return fmt::format("wss://localhost:{}{}", port_, path); }

std::uint16_t unused_port() {
  std::uint16_t port = 0;
  ::close(listen_somewhere(port));
  return port;
}

} // namespace ringcast

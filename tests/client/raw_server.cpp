#include "raw_server.hpp"

#include "proto/handshake.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace ringcast {

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

std::string raw_connection::read_head() {
  std::string head;
  char c = 0;
  while (!head.ends_with("\r\n\r\n") && ::recv(socket_, &c, 1, 0) == 1) head += c;
  return head;
}

std::string raw_connection::read(std::size_t bytes) {
  std::string text(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    const ssize_t got = ::recv(socket_, text.data() + have, bytes - have, 0);
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  return text;
}

std::string raw_connection::read_frame(unsigned& op) {
  const std::string head = read(2);
  if (head.size() < 2) return {};
  op = static_cast<unsigned char>(head[0]) & 0x0F;
  std::size_t length = static_cast<unsigned char>(head[1]) & 0x7F;
  if (length == 126) {
    const std::string more = read(2);
    length = static_cast<std::size_t>(static_cast<unsigned char>(more[0])) << 8 | static_cast<unsigned char>(more[1]);
  }
  const std::string key = read(4);
  std::string payload = read(length);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ key[i % 4]);
  return payload;
}

void raw_connection::write(std::string_view bytes) {
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

void raw_connection::wait_for_end() {
  char bytes[4096];
  while (::recv(socket_, bytes, sizeof bytes, 0) > 0) {}
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

std::uint16_t unused_port() {
  std::uint16_t port = 0;
  ::close(listen_somewhere(port));
  return port;
}

} // namespace ringcast

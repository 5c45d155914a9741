#include "tests/library/wire_client.hpp"

#include "engine/io/socket.hpp"
#include "proto/frame_writer.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace ringcast {

using namespace engine;

wire_client::wire_client(const std::string& address, const std::string& from) {
  const auto to = parse_address(address);
  socket_ = ::socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (const auto own = parse_address(from); own && ::bind(socket_, reinterpret_cast<const sockaddr*>(&own->storage), own->bytes) != 0)
    throw std::runtime_error(std::string{"bind: "} + std::strerror(errno));
  // Two small messages behind each other would wait for an acknowledgement, which the kernel delays by 40 ms.
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to->storage), to->bytes) != 0)
    throw std::runtime_error(std::string{"connect: "} + std::strerror(errno));
}

wire_client::~wire_client() { ::close(socket_); }

std::string masked_frame(opcode op, std::string_view payload, bool fin) {
  std::string out(frame_bytes(payload.size(), true), '\0');
  out.resize(write_masked_frame(reinterpret_cast<std::byte*>(out.data()), op, std::as_bytes(std::span{payload}), 0x12345678, fin));
  return out;
}

void wire_client::send_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::size_t wire_client::send_until_full(std::string_view bytes, std::size_t most) {
  std::size_t sum = 0;
  while (sum < most) {
    pollfd writable{socket_, POLLOUT, 0};
    if (::poll(&writable, 1, 300) <= 0) return sum;
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return sum;
    sum += static_cast<std::size_t>(sent);
  }
  return sum;
}

void wire_client::send(opcode op, std::string_view payload, bool fin) { send_bytes(masked_frame(op, payload, fin)); }

void wire_client::close(std::uint16_t code, std::string_view reason) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  send(opcode::close, payload.append(reason));
}

void wire_client::shut_down_writing() { ::shutdown(socket_, SHUT_WR); }

void wire_client::reset() {
  const linger at_once{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

bool wire_client::fill(int timeout_ms) {
  pollfd readable{socket_, POLLIN, 0};
  if (::poll(&readable, 1, timeout_ms) <= 0) return false;
  char bytes[65536];
  const ssize_t count = ::recv(socket_, bytes, sizeof bytes, 0);
  if (count <= 0) return false;
  in_.append(bytes, static_cast<std::size_t>(count));
  return true;
}

std::string wire_client::until(std::string_view mark, int timeout_ms) {
  std::size_t found = in_.find(mark);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{timeout_ms};
  while (found == std::string::npos && std::chrono::steady_clock::now() < end) {
    const std::size_t looked_at = in_.size() - std::min(in_.size(), mark.size() - 1); // the mark may have begun
    if (!fill(timeout_ms)) break;
    found = in_.find(mark, looked_at);
  }
  const std::size_t bytes = found == std::string::npos ? in_.size() : found + mark.size();
  std::string out = in_.substr(0, bytes);
  in_.erase(0, bytes);
  return out;
}

bool wire_client::discard(std::size_t bytes) {
  char taken[65536];
  while (bytes > 0) {
    const ssize_t count = ::recv(socket_, taken, std::min(bytes, sizeof taken), 0);
    if (count <= 0) return false;
    bytes -= static_cast<std::size_t>(count);
  }
  return true;
}

void wire_client::discard_what_came() {
  char taken[65536];
  while (::recv(socket_, taken, sizeof taken, MSG_DONTWAIT) > 0) {
  }
}

bool wire_client::ended(int timeout_ms) {
  pollfd readable{socket_, POLLIN, 0};
  char byte;
  return in_.empty() && ::poll(&readable, 1, timeout_ms) > 0 && ::recv(socket_, &byte, 1, MSG_PEEK) <= 0;
}

std::string wire_client::upgrade(std::string_view target, std::string_view more_headers) {
  std::string request = "GET " + std::string{target} + " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  request += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + std::string{more_headers} + "\r\n";
  return http(request);
}

std::string wire_client::http(std::string_view request) {
  send_bytes(request);
  std::size_t head;
  while ((head = in_.find("\r\n\r\n")) == std::string::npos)
    if (!fill(5000)) return std::exchange(in_, {});
  head += 4;
  std::size_t body = 0;
  if (const auto at = in_.find("Content-Length: "); at < head) body = std::stoul(in_.substr(at + 16));
  while (in_.size() < head + body && fill(5000)) {
  }
  std::string answer = in_.substr(0, head + body);
  in_.erase(0, head + body);
  return answer;
}

std::optional<wire_client::frame> wire_client::receive(int timeout_ms) {
  while (true) {
    if (in_.size() >= 2) {
      std::uint64_t size = static_cast<unsigned char>(in_[1]);
      std::size_t header = 2;
      const auto big_endian = [&](std::size_t bytes) {
        size = 0;
        for (std::size_t i = 0; i < bytes; ++i) size = size << 8 | static_cast<unsigned char>(in_[2 + i]);
        header = 2 + bytes;
      };
      if (size == 126 && in_.size() >= 4)
        big_endian(2);
      else if (size == 127 && in_.size() >= 10)
        big_endian(8);
      if ((size < 126 || header > 2) && in_.size() >= header + size) {
        frame f{static_cast<opcode>(in_[0] & 0x0f), in_.substr(header, size), (in_[0] & 0x40) != 0};
        in_.erase(0, header + size);
        return f;
      }
    }
    if (!fill(timeout_ms)) return std::nullopt;
  }
}

std::uint16_t wire_client::frame::code() const {
  if (payload.size() < 2) return 1005;
  return static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]));
}

std::string wire_client::text(int timeout_ms) {
  while (auto f = receive(timeout_ms)) {
    if (f->op == opcode::close) return "<close " + std::to_string(f->code()) + ">";
    if (!is_control(f->op)) return f->payload;
  }
  return "<end>";
}

} // namespace ringcast

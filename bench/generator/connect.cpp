#include "bench/generator/connect.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ringcast {
namespace {

// The sample of RFC 6455 section 1.3: the key and the answer that it must get.
constexpr std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view accept_value = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

constexpr unsigned under_way_max = 128;
constexpr int patience_ms = 10'000;

struct opening {
  std::string request;
  std::string head;
  bool sent = false;
};

} // namespace

int start_connect(std::uint16_t port, unsigned ordinal) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // The port is chosen at connect(), when the whole four-tuple is known, so that ports are shared between destinations.
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + ordinal % 32);
  bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bound && (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EINPROGRESS)) {
    return fd;
  }
  int why = errno;
  ::close(fd);
  errno = why;
  return -1;
}

std::string upgrade_request(std::string_view path) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n\r\n",
                     path, key);
}

bool is_upgraded(std::string_view head) {
  return head.starts_with("HTTP/1.1 101") && head.find(accept_value) != std::string_view::npos;
}

std::expected<std::vector<int>, std::string> open_connections(std::uint16_t port, unsigned count,
                                                              const std::function<std::string(unsigned)>& path_of) {
  std::vector<int> opened(count, -1);
  std::vector<opening> openings(count);
  std::array<epoll_event, 128> events{};
  int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  unsigned started = 0;
  unsigned finished = 0;
  std::string trouble;

  // One step of one connection: true once it is open.
  auto advance = [&](unsigned i) {
    opening& o = openings[i];
    if (!o.sent) {
      int error = 0;
      socklen_t length = sizeof error;
      ::getsockopt(opened[i], SOL_SOCKET, SO_ERROR, &error, &length);
      if (error) {
        trouble = fmt::format("cannot connect to 127.0.0.1:{}: {}", port, std::strerror(error));
        return false;
      }
      if (o.request.empty()) return true;
      auto length_sent = ::send(opened[i], o.request.data(), o.request.size(), MSG_NOSIGNAL);
      if (length_sent != static_cast<ssize_t>(o.request.size())) trouble = "the request could not be sent whole";
      o.sent = true;
      epoll_event event{.events = EPOLLIN, .data = {.u32 = i}};
      ::epoll_ctl(epoll_fd, EPOLL_CTL_MOD, opened[i], &event);
      return false;
    }
    std::array<char, 2048> bytes{};
    ssize_t got = ::recv(opened[i], bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) trouble = "the server closed the connection during the upgrade";
      return false;
    }
    o.head.append(bytes.data(), static_cast<std::size_t>(got));
    auto end = o.head.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    if (!is_upgraded(o.head)) trouble = fmt::format("no upgrade, but: {}", o.head.substr(0, o.head.find('\r')));
    if (end + 4 != o.head.size()) trouble = "a frame arrived with the response head, before anything was sent";
    return trouble.empty();
  };

  while (finished < count && trouble.empty()) {
    while (started < count && started - finished < under_way_max) {
      opened[started] = start_connect(port, started);
      if (opened[started] < 0) {
        trouble = fmt::format("cannot connect to 127.0.0.1:{}: {}", port, std::strerror(errno));
        break;
      }
      if (auto path = path_of(started); !path.empty()) openings[started].request = upgrade_request(path);
      epoll_event event{.events = EPOLLOUT, .data = {.u32 = started}};
      ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, opened[started], &event);
      ++started;
    }
    int ready = ::epoll_wait(epoll_fd, events.data(), static_cast<int>(events.size()), patience_ms);
    if (ready == 0)
      trouble = fmt::format("{} of {} connections were opened, then nothing came for 10 s", finished, count);
    for (int e = 0; e < ready && trouble.empty(); ++e) {
      unsigned i = events[e].data.u32;
      if (!advance(i)) continue;
      ::epoll_ctl(epoll_fd, EPOLL_CTL_DEL, opened[i], nullptr);
      openings[i] = {};
      ++finished;
    }
  }
  ::close(epoll_fd);
  if (trouble.empty()) return opened;
  for (int fd : opened) {
    if (fd >= 0) ::close(fd);
  }
  return std::unexpected{trouble};
}

} // namespace ringcast

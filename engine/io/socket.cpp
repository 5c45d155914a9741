#include "engine/io/socket.hpp"

#include "engine/base/limits.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace ringcast {

std::uint16_t socket_address::port() const {
  if (storage.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
  return 0;
}

std::string socket_address::text() const {
  char name[INET6_ADDRSTRLEN] = "?";
  if (storage.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, name, sizeof name);
    return fmt::format("{}:{}", name, port());
  }
  if (storage.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, name, sizeof name);
    return fmt::format("[{}]:{}", name, port());
  }
  if (storage.ss_family == AF_UNIX) {
    const auto& local = reinterpret_cast<const sockaddr_un&>(storage);
    const std::size_t named = bytes > offsetof(sockaddr_un, sun_path) ? bytes - offsetof(sockaddr_un, sun_path) : 0;
    std::string path{local.sun_path, named};
    if (path.starts_with('\0')) return "unix:@" + path.substr(1);
    return "unix:" + path.substr(0, path.find('\0'));
  }
  return "unknown";
}

} // namespace ringcast

namespace ringcast::engine {

namespace {

constexpr std::string_view unix_prefix = "unix:";

// unix(7): a path ends with a zero, an abstract name begins with one.
std::expected<socket_address, std::string_view> parse_unix_address(std::string_view path) {
  socket_address address;
  auto& local = reinterpret_cast<sockaddr_un&>(address.storage);
  const bool is_abstract = path.starts_with('@');
  if (path.size() < 2) return std::unexpected("it wants unix:/path or unix:@name");
  if (path.size() >= sizeof local.sun_path) return std::unexpected("the path of a Unix socket has at most 107 bytes");
  if (path.find('\0') != std::string_view::npos) return std::unexpected("a path has no zero in it");
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, path.data(), path.size());
  if (is_abstract) local.sun_path[0] = '\0';
  address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (is_abstract ? 0 : 1));
  return address;
}

// A kernel or a container may have no IPv6.
bool has_ipv6() {
  const int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  const bool can_bind = bind(probe, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0;
  close(probe);
  return can_bind;
}

socket_address every_address(std::uint16_t port) { return *numeric_address(has_ipv6() ? "::" : "0.0.0.0", port); }

} // namespace

std::expected<socket_address, std::string> parse_address(std::string_view text) {
  const auto refuse = [&](std::string_view why) { return std::unexpected(fmt::format("'{}' is not an address to listen on: {}", text, why)); };
  if (text.starts_with(unix_prefix)) {
    auto address = parse_unix_address(text.substr(unix_prefix.size()));
    if (!address) return refuse(address.error());
    return *address;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse("it wants ADDRESS:PORT");
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (port_text.empty() || error != std::errc{} || end != port_text.data() + port_text.size()) return refuse("the port is a number from 0 to 65535");
  socket_address address;
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    if (inet_pton(AF_INET6, std::string{host.substr(1, host.size() - 2)}.c_str(), &v6.sin6_addr) != 1)
      return refuse("the IPv6 address does not parse");
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.bytes = sizeof v6;
    return address;
  }
  if (host == "localhost") host = "127.0.0.1";
  if (host.empty() || host == "*") return every_address(port);
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  if (inet_pton(AF_INET, std::string{host}.c_str(), &v4.sin_addr) != 1) return refuse("the address is numeric, like 127.0.0.1 or [::1]");
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  address.bytes = sizeof v4;
  return address;
}

std::optional<socket_address> numeric_address(std::string_view host, std::uint16_t port) {
  const std::string text{host};
  socket_address address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.bytes = sizeof v4;
    return address;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.bytes = sizeof v6;
    return address;
  }
  return std::nullopt;
}

namespace {

std::unexpected<std::string> cannot_listen(const socket_address& address, int error) {
  return std::unexpected(fmt::format("cannot listen on {}: {}", address.text(), std::strerror(error)));
}

} // namespace

namespace {

// Whether a failed attempt is worth another one; then it has waited a little.
bool may_try_again(int error, patience_end until) {
  if (error != EADDRINUSE || std::chrono::steady_clock::now() >= until) return false;
  std::this_thread::sleep_for(std::chrono::milliseconds{20});
  return true;
}

} // namespace

namespace {

void set_versions(int socket, const socket_address& address, ip_versions by) {
  const int only_own = by == ip_versions::own ? 1 : 0;
  if (address.storage.ss_family == AF_INET6) setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &only_own, sizeof only_own);
}

// bind() makes the file of a Unix socket and never takes one that is there, be it of a process that was killed.
void remove_stale_socket_file(const socket_address& address) {
  const auto file = socket_file_of(address);
  if (!file) return;
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return;
  const bool refused = connect(probe, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) < 0 && errno == ECONNREFUSED;
  close(probe);
  if (refused) remove_socket_file(*file);
}

} // namespace

bool is_every_address(const socket_address& address) {
  if (address.storage.ss_family == AF_INET) return reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr.s_addr == htonl(INADDR_ANY);
  return address.storage.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr);
}

std::optional<socket_file> socket_file_of(const socket_address& address) {
  if (address.storage.ss_family != AF_UNIX) return std::nullopt;
  const std::string path = address.text().substr(unix_prefix.size());
  struct stat found{};
  if (path.empty() || path.front() == '@' || lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return std::nullopt;
  return socket_file{path, found.st_dev, found.st_ino};
}

void remove_socket_file(const socket_file& file) noexcept {
  struct stat found{};
  if (lstat(file.path.c_str(), &found) == 0 && found.st_dev == file.device && found.st_ino == file.inode) unlink(file.path.c_str());
}

std::expected<int, std::string> share_listener(int listener) {
  const int shared = fcntl(listener, F_DUPFD_CLOEXEC, 0);
  if (shared < 0) return std::unexpected(fmt::format("cannot share a listening socket: {}", std::strerror(errno)));
  return shared;
}

std::expected<int, std::string> inherited_listener(std::string_view text) {
  const auto refuse = [&](std::string_view why) { return std::unexpected(fmt::format("'{}' is not a socket to listen on: {}", text, why)); };
  const std::string_view number = text.substr(text.find(':') + 1);
  int descriptor = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), descriptor);
  if (error != std::errc{} || end != number.data() + number.size() || descriptor < 0) return refuse("it wants fd:NUMBER");
  int listens = 0;
  socklen_t bytes = sizeof listens;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) < 0) return refuse(std::strerror(errno));
  if (listens == 0) return refuse("nobody has called listen() on it");
  const int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0) return refuse(std::strerror(errno));
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int unsent_max = kernel_unsent_bytes_max;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof unsent_max);
  return share_listener(descriptor);
}

std::expected<int, std::string> listen_on(const socket_address& address, int backlog, patience_end until, ip_versions by) {
  remove_stale_socket_file(address);
  const int listener = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) return cannot_listen(address, errno);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // What is accepted inherits this, too.
  const int unsent_max = kernel_unsent_bytes_max;
  setsockopt(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof unsent_max);
  set_versions(listener, address, by);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) < 0 || listen(listener, backlog) < 0) {
    const int error = errno;
    close(listener);
    if (may_try_again(error, until)) return listen_on(address, backlog, until, by);
    return cannot_listen(address, error);
  }
  return listener;
}

std::expected<void, std::string> check_port_is_free(const socket_address& address, patience_end until, ip_versions by) {
  if (address.port() == 0) return {};
  const int probe = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return cannot_listen(address, errno);
  const int on = 1;
  setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  set_versions(probe, address, by);
  const int bound = bind(probe, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes);
  const int error = errno;
  close(probe);
  if (bound < 0 && may_try_again(error, until)) return check_port_is_free(address, until, by);
  if (bound < 0) return cannot_listen(address, error);
  return {};
}

socket_address local_address_of(int socket) {
  socket_address address;
  address.bytes = sizeof address.storage;
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes) < 0) address.bytes = 0;
  return address;
}

socket_address peer_address_of(int socket) {
  socket_address address;
  address.bytes = sizeof address.storage;
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes) < 0) address.bytes = 0;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
  if (v6.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return address;
  socket_address mapped;
  auto& v4 = reinterpret_cast<sockaddr_in&>(mapped.storage);
  v4.sin_family = AF_INET;
  v4.sin_port = v6.sin6_port;
  std::memcpy(&v4.sin_addr, v6.sin6_addr.s6_addr + 12, sizeof v4.sin_addr);
  mapped.bytes = sizeof v4;
  return mapped;
}

std::expected<int, int> open_client_socket(const socket_address& to) {
  const int opened = socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (opened < 0) return std::unexpected(errno);
  const int on = 1;
  setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return opened;
}

std::ptrdiff_t receive_now(int socket, std::span<std::byte> into) {
  const ssize_t count = recv(socket, into.data(), into.size(), MSG_DONTWAIT);
  return count < 0 ? -errno : count;
}

std::ptrdiff_t send_now(int socket, std::span<const std::byte> bytes) {
  const ssize_t count = send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return count < 0 ? -errno : count;
}

void shut_down_writing(int socket) { shutdown(socket, SHUT_WR); }
void shut_down(int socket) { shutdown(socket, SHUT_RDWR); }

std::size_t unsent_bytes(int socket) {
  int bytes = 0;
  return ioctl(socket, TIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0; // SIOCOUTQ, tcp(7)
}

void reset_when_closed(int socket) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void set_user_timeout(int socket, unsigned milliseconds) { setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds); }

int accept_now(int listener) {
  const int accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return accepted < 0 ? -errno : accepted;
}

void close_now(int descriptor) { close(descriptor); }

} // namespace ringcast::engine

#include "apps/ringcast-server/top/admin_client.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ringcast::top {

namespace {

using steady = std::chrono::steady_clock;

// A server that takes longer is as good as none for a page that is drawn each second.
constexpr std::chrono::seconds deadline{3};
// A page of 1,000 connections in 16 rooms each has less.
constexpr std::size_t answer_bytes_max = 8u << 20;
constexpr std::size_t token_bytes_max = 8192; // as many as the server takes

// Closed at the end.
struct closed_socket {
  int descriptor = -1;
  closed_socket() = default;
  explicit closed_socket(int opened) : descriptor(opened) {}
  closed_socket(closed_socket&& other) noexcept : descriptor(std::exchange(other.descriptor, -1)) {}
  closed_socket& operator=(closed_socket&&) = delete;
  ~closed_socket() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

bool is_ready(int socket, short events, steady::time_point until) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady::now()).count();
    if (left <= 0) return false;
    pollfd waits{socket, events, 0};
    const int found = ::poll(&waits, 1, static_cast<int>(left));
    if (found > 0) return true;
    if (found < 0 && errno != EINTR) return false;
  }
}

std::string cannot_connect(const admin_address& to, std::string_view why) { return fmt::format("cannot connect to {}: {}", to.text(), why); }

std::expected<closed_socket, std::string> connect_to(const admin_address& to, steady::time_point until) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(to.host.c_str(), to.port.c_str(), &wanted, &found); error != 0)
    return std::unexpected(cannot_connect(to, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> kept{found, ::freeaddrinfo};
  std::string why = "there is no address";
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    closed_socket opened{::socket(each->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (opened.descriptor < 0) continue;
    int error = ::connect(opened.descriptor, each->ai_addr, each->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      socklen_t bytes = sizeof error;
      if (!is_ready(opened.descriptor, POLLOUT, until))
        error = ETIMEDOUT;
      else
        ::getsockopt(opened.descriptor, SOL_SOCKET, SO_ERROR, &error, &bytes);
    }
    if (error == 0) return opened;
    why = std::strerror(error);
  }
  return std::unexpected(cannot_connect(to, why));
}

bool send_all(int socket, std::string_view text, steady::time_point until) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent > 0)
      text.remove_prefix(static_cast<std::size_t>(sent));
    else if (errno != EINTR && (errno != EAGAIN || !is_ready(socket, POLLOUT, until)))
      return false;
  }
  return true;
}

// To the end of the stream.
bool receive_all(int socket, std::string& text, steady::time_point until) {
  char part[64 * 1024];
  while (text.size() <= answer_bytes_max) {
    const ssize_t came = ::recv(socket, part, sizeof part, 0);
    if (came == 0) return true;
    if (came > 0)
      text.append(part, static_cast<std::size_t>(came));
    else if (errno != EINTR && (errno != EAGAIN || !is_ready(socket, POLLIN, until)))
      return false;
  }
  return false;
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

} // namespace

std::expected<admin_address, std::string> admin_address::of(std::string_view url) {
  const auto wrong = [&](std::string_view why) { return std::unexpected(fmt::format("--admin: '{}' {}", url, why)); };
  constexpr std::string_view scheme = "http://";
  std::string_view rest = url;
  if (!rest.starts_with(scheme)) return wrong("is not like http://127.0.0.1:8080");
  rest.remove_prefix(scheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t path = std::min(rest.find('/'), rest.size());
  const std::string_view base = rest.substr(path);
  rest = rest.substr(0, path);
  const bool bracketed = rest.starts_with('[');
  const std::size_t host_end = bracketed ? rest.find(']') : std::min(rest.find(':'), rest.size());
  if (host_end == std::string_view::npos) return wrong("has no end of its address: ]");
  admin_address to{std::string{rest.substr(bracketed ? 1 : 0, host_end - (bracketed ? 1 : 0))}, "80", std::string{base}};
  rest.remove_prefix(host_end + (bracketed ? 1 : 0));
  if (rest.starts_with(':')) {
    if (!is_port(rest.substr(1))) return wrong("has no port behind its colon");
    to.port = rest.substr(1);
    rest = {};
  }
  if (to.host.empty() || !rest.empty() || to.host.find_first_of("?#@ ") != std::string::npos || base.find_first_of("?# \r\n") != std::string::npos)
    return wrong("is not like http://127.0.0.1:8080");
  return to;
}

std::expected<std::string, std::string> admin_address::read_token(const std::string& path) {
  const auto wrong = [&](std::string_view why) { return std::unexpected(fmt::format("--token-file: {}: {}", path, why)); };
  const closed_socket file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  std::string text(token_bytes_max + 2, '\0');
  const ssize_t bytes = file.descriptor < 0 ? -1 : ::read(file.descriptor, text.data(), text.size());
  if (bytes < 0) return wrong(std::strerror(errno));
  text.resize(static_cast<std::size_t>(bytes));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty() || text.size() > token_bytes_max || std::ranges::any_of(text, [](char c) { return c <= ' ' || c >= 0x7f; }))
    return wrong("this is no token");
  return text;
}

std::string admin_address::authority() const { return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port); }

std::string admin_address::text() const { return authority() + base; }

std::expected<std::string, std::string> get(const admin_address& from, std::string_view target) {
  const auto until = steady::now() + deadline;
  auto connected = connect_to(from, until);
  if (!connected) return std::unexpected(std::move(connected.error()));
  // HTTP/1.0 is answered in one piece that ends with the connection.
  const std::string proof = from.token.empty() ? std::string{} : fmt::format("Authorization: Bearer {}\r\n", from.token);
  const std::string request = fmt::format("GET {}{} HTTP/1.0\r\nHost: {}\r\n{}\r\n", from.base, target, from.authority(), proof);
  std::string answer;
  if (!send_all(connected->descriptor, request, until) || !receive_all(connected->descriptor, answer, until))
    return std::unexpected(fmt::format("{} did not answer {}", from.text(), target));
  const std::size_t head_end = answer.find("\r\n\r\n");
  const std::string_view line = std::string_view{answer}.substr(0, answer.find('\r'));
  if (head_end == std::string::npos || !line.starts_with("HTTP/1.") || line.size() < 12)
    return std::unexpected(fmt::format("{} does not speak HTTP", from.text()));
  const std::string_view status = line.substr(9, 3);
  if (status != "200") return std::unexpected(fmt::format("{} answers {} to {}", from.text(), status, target));
  return answer.substr(head_end + 4);
}

} // namespace ringcast::top

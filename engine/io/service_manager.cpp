#include "engine/io/service_manager.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace ringcast::engine {

namespace {

std::optional<std::uint64_t> number_in(const char* name) {
  const char* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe): nothing here changes the environment
  if (text == nullptr) return std::nullopt;
  std::uint64_t number = 0;
  const char* end = text + std::strlen(text);
  const auto [stopped, error] = std::from_chars(text, end, number);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return number;
}

// Connected, so that what is said needs no address. -1: there is nobody.
int connect_to(std::string_view path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if ((!path.starts_with('/') && !path.starts_with('@')) || path.size() < 2 || path.size() >= sizeof address.sun_path) return -1;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.starts_with('@')) address.sun_path[0] = '\0'; // abstract: unix(7)
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), bytes) == 0) return socket;
  ::close(socket);
  return -1;
}

} // namespace

service_manager::service_manager() {
  const char* path = std::getenv("NOTIFY_SOCKET"); // NOLINT(concurrency-mt-unsafe)
  if (path == nullptr) return;
  socket_ = connect_to(path);
  // Meant for this process, or for whichever.
  const auto pid = number_in("WATCHDOG_PID");
  if (pid && *pid != static_cast<std::uint64_t>(::getpid())) return;
  watchdog_ = std::chrono::milliseconds{number_in("WATCHDOG_USEC").value_or(0) / 1000};
}

service_manager::~service_manager() {
  if (socket_ >= 0) ::close(socket_);
}

void service_manager::say(std::string_view state) const noexcept {
  if (socket_ >= 0) (void)!::send(socket_, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

} // namespace ringcast::engine

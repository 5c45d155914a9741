#include "apps/load/slices/handshakes.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "apps/load/clock.hpp"
#include "apps/load/percentiles.hpp"
#include "apps/load/process_usage.hpp"
#include "apps/load/slices/connect.hpp"

namespace ringcast::load::slices {

using namespace engine;

handshakes::handshakes(const options& chosen)
    : options_{chosen}, to_{destination_of(chosen)}, dialer_{to_}, request_{opening_request(chosen.path)}, slots_(chosen.depth),
      epoll_fd_{::epoll_create1(EPOLL_CLOEXEC)} {}

handshakes::~handshakes() {
  for (slot& s : slots_) {
    if (s.fd >= 0) ::close(s.fd);
  }
  ::close(epoll_fd_);
}

std::expected<nlohmann::json, std::string> handshakes::slice(double warmup_s, double seconds) {
  if (warmup_s > 0) run_for(warmup_s);
  latency_.clear();
  mark begin = take_mark();
  run_for(seconds);
  mark end = take_mark();
  if (!trouble_.empty()) return std::unexpected{trouble_};
  return report(begin, end);
}

void handshakes::run_for(double seconds) {
  std::int64_t stop_at_ns = clock_ns() + static_cast<std::int64_t>(seconds * 1e9);
  stopping_ = false;
  for (std::uint32_t i = 0; i < slots_.size() && trouble_.empty(); ++i) start(i);
  std::array<epoll_event, 128> events{};
  while (trouble_.empty() && open_ > 0) {
    int ready = ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), 2000);
    if (ready == 0) trouble_ = "no handshake moved on for 2 s";
    for (int i = 0; i < ready && trouble_.empty(); ++i) advance(events[i].data.u32);
    stopping_ = clock_ns() >= stop_at_ns;
  }
}

void handshakes::start(std::uint32_t index) {
  slot& s = slots_[index];
  s.head.clear();
  s.started_ns = clock_ns();
  const auto fd = dialer_.dial(ordinal_++);
  if (!fd) {
    trouble_ = fd.error();
    return;
  }
  s.fd = *fd;
  ++open_;
  // On loopback the connection stands as soon as connect() returns, so the request usually goes at once.
  if (dialer_.tls()) s.through = std::make_unique<link>(dialer_.tls(), tls_host);
  s.at = !try_request(s) ? step::connecting : s.through ? step::securing : step::awaiting_head;
  epoll_event event{.events = s.at == step::connecting ? EPOLLOUT : EPOLLIN, .data = {.u32 = index}};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, s.fd, &event);
}

bool handshakes::try_request(slot& s) {
  if (s.through) { // The ClientHello; the request follows when the session stands.
    const send_status result = s.through->send(s.fd);
    if (result == send_status::failed) trouble_ = fmt::format("the request could not be sent: {}", std::strerror(errno));
    return result == send_status::done;
  }
  ssize_t sent = ::send(s.fd, request_.data(), request_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == static_cast<ssize_t>(request_.size())) return true;
  if (sent >= 0 || errno != EAGAIN) trouble_ = fmt::format("the request could not be sent: {}", std::strerror(errno));
  return false;
}

void handshakes::advance(std::uint32_t index) {
  slot& s = slots_[index];
  if (s.at == step::connecting) {
    if (!try_request(s)) return;
    s.at = s.through ? step::securing : step::awaiting_head;
    epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, s.fd, &event);
    return;
  }
  std::array<std::byte, 8192> bytes;
  ssize_t got = ::recv(s.fd, bytes.data(), bytes.size(), 0);
  if (got < 0 && errno == EAGAIN) return;
  if (s.at == step::securing || s.at == step::awaiting_head) {
    if (got <= 0) {
      trouble_ = "the server closed the connection during the upgrade";
      return;
    }
    gather(s, {bytes.data(), static_cast<std::size_t>(got)});
    if (!trouble_.empty() || s.head.find("\r\n\r\n") == std::string::npos) return;
    if (!is_upgraded(s.head)) {
      trouble_ = fmt::format("no upgrade, but: {}", s.head.substr(0, s.head.find('\r')));
      return;
    }
    latency_.record(clock_ns() - s.started_ns);
    ++done_;
    if (s.through) {
      s.through->close_notify();
      (void)s.through->send(s.fd);
    }
    ::shutdown(s.fd, SHUT_WR);
    s.at = step::awaiting_end;
    return;
  }
  // A server may send a close frame before its FIN; a reset is an end as well.
  if (got > 0) return;
  ::close(s.fd);
  s.fd = -1;
  s.through.reset();
  --open_;
  if (!stopping_) start(index);
}

void handshakes::gather(slot& s, std::span<std::byte> bytes) {
  const auto append = [&s](std::span<const std::byte> plaintext) {
    s.head.append(reinterpret_cast<const char*>(plaintext.data()), plaintext.size());
  };
  if (!s.through) return append(bytes);
  s.through->feed(bytes, append);
  if (s.through->broken()) trouble_ = "the TLS handshake failed";
  if (s.at == step::securing && s.through->ready()) {
    s.through->write(std::as_bytes(std::span{request_}));
    s.at = step::awaiting_head;
  }
  if (s.through->send(s.fd) != send_status::done) trouble_ = "the request could not be sent whole";
}

handshakes::mark handshakes::take_mark() {
  mark m{.time_ns = clock_ns(), .own_cpu_ns = process_cpu_ns(), .done = done_};
  // The server closes its side after our last FIN; and the clock of a process that sleeps is exact.
  std::this_thread::sleep_for(std::chrono::milliseconds{2});
  auto cpu = cpu_ns_of(options_.server_pid);
  if (!cpu) trouble_ = cpu.error();
  m.server_cpu_ns = cpu.value_or(0);
  return m;
}

nlohmann::json handshakes::report(const mark& begin, const mark& end) const {
  auto wall_ns = static_cast<double>(end.time_ns - begin.time_ns);
  auto done = static_cast<double>(end.done - begin.done);
  nlohmann::json out;
  out["loop"] = "closed";
  out["seconds"] = wall_ns / 1e9;
  out["handshakes"] = end.done - begin.done;
  out["handshakes_per_second"] = done / (wall_ns / 1e9);
  out["generator_cpu_share"] = static_cast<double>(end.own_cpu_ns - begin.own_cpu_ns) / wall_ns;
  if (options_.server_pid && done > 0) {
    auto cpu_ns = static_cast<double>(end.server_cpu_ns - begin.server_cpu_ns);
    out["server_cpu_us_per_message"] = cpu_ns / 1000.0 / done;
    out["server_cpu_share"] = cpu_ns / wall_ns;
  }
  out["upgrade_us"] = json_of(latency_);
  return out;
}

} // namespace ringcast::load::slices

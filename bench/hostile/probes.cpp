#include "bench/hostile/probes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/load/clock.hpp"

namespace ringcast::bench {

using namespace engine;

namespace {
constexpr std::int64_t patience_ns = 15'000'000'000;
}

probes::probes(std::uint16_t port, bool tls, unsigned interval_ms)
    : to_{destination_of({.port = port, .tls = tls})}, dialer_{to_}, interval_ns_{interval_ms * 1'000'000LL}, probes_(slots) {
  if (const auto ready = dialer_.prepare(slots); !ready) throw std::runtime_error{ready.error()};
}

probes::~probes() {
  for (probe& p : probes_) end(p);
}

void probes::open(int epoll_fd, std::uint32_t first_tag) {
  epoll_fd_ = epoll_fd;
  first_tag_ = first_tag;
  next_ns_ = clock_ns() + interval_ns_;
}

std::int64_t probes::start_due(std::int64_t now) {
  for (probe& p : probes_)
    if (p.fd >= 0 && now - p.planned_ns > patience_ns) {
      ++refused_;
      waits_.record(now - p.planned_ns);
      end(p);
    }
  for (; next_ns_ <= now; next_ns_ += interval_ns_) {
    const auto free = std::ranges::find_if(probes_, [](const probe& p) { return p.fd < 0; });
    if (free == probes_.end()) break;
    probe& p = *free;
    p.planned_ns = next_ns_;
    p.fd = dialer_.dial(ordinal_++).value_or(-1);
    if (p.fd < 0) {
      ++refused_;
      continue;
    }
    p.through = std::make_unique<link>(dialer_.tls(), tls_host);
    epoll_event event{.events = EPOLLOUT, .data = {.u32 = first_tag_ + static_cast<std::uint32_t>(free - probes_.begin())}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, p.fd, &event);
  }
  return next_ns_;
}

void probes::on_ready(std::uint32_t slot, std::uint32_t) {
  probe& p = probes_[slot];
  if (p.fd < 0) return;
  if (!p.connected) {
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
      ++refused_;
      return end(p);
    }
    p.connected = true;
    epoll_event event{.events = EPOLLIN, .data = {.u32 = first_tag_ + slot}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, p.fd, &event);
    return advance(p);
  }
  std::array<std::byte, 16384> bytes;
  const ssize_t got = ::recv(p.fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got > 0)
    p.through->feed({bytes.data(), static_cast<std::size_t>(got)},
                    [&](std::span<std::byte> plain) { p.head.append(reinterpret_cast<const char*>(plain.data()), plain.size()); });
  if (got <= 0 || p.through->broken()) {
    ++refused_;
    return end(p);
  }
  advance(p);
}

void probes::advance(probe& p) {
  if (!p.asked && p.through->ready()) {
    p.asked = true;
    const std::string request = opening_request("/echo");
    p.through->write(std::as_bytes(std::span{request}));
  }
  if (p.through->send(p.fd) == send_status::failed) {
    ++refused_;
    return end(p);
  }
  if (p.head.find("\r\n\r\n") == std::string::npos) return;
  if (is_upgraded(p.head)) {
    ++served_;
    waits_.record(clock_ns() - p.planned_ns);
    p.through->close_notify();
    (void)p.through->send(p.fd);
  } else {
    ++refused_;
  }
  end(p);
}

void probes::end(probe& p) {
  if (p.fd >= 0) ::close(p.fd);
  p = {};
}

nlohmann::json probes::take_figures() {
  const std::int64_t now = clock_ns();
  std::int64_t longest_ns = 0;
  unsigned waiting = 0;
  for (const probe& p : probes_)
    if (p.fd >= 0 && now - p.planned_ns > 1'000'000'000) {
      longest_ns = std::max(longest_ns, now - p.planned_ns);
      waits_.record(now - p.planned_ns);
      ++waiting;
    }
  nlohmann::json out{{"served", served_},
                     {"refused", refused_},
                     {"waiting_for_1s", waiting},
                     {"p50_ms", static_cast<double>(waits_.percentile_ns(0.5)) / 1e6},
                     {"p99_ms", static_cast<double>(waits_.percentile_ns(0.99)) / 1e6},
                     {"worst_ms", std::max(static_cast<double>(waits_.max_ns()) / 1e6, static_cast<double>(longest_ns) / 1e6)}};
  waits_.clear();
  served_ = refused_ = 0;
  return out;
}

} // namespace ringcast::bench

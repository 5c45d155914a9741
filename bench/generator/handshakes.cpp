#include "bench/generator/handshakes.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "bench/generator/clock.hpp"
#include "bench/generator/connect.hpp"
#include "bench/generator/histogram.hpp"
#include "bench/generator/server_usage.hpp"

namespace ringcast {
namespace {

enum class step { connecting, awaiting_head, awaiting_end };

struct slot {
  int fd = -1;
  step at = step::connecting;
  std::int64_t started_ns = 0;
  std::string head;
};

class handshake_loop {
 public:
  explicit handshake_loop(const options& chosen)
      : options_{chosen}, request_{upgrade_request("/echo")},
        slots_(chosen.depth), epoll_fd_{::epoll_create1(EPOLL_CLOEXEC)} {}
  ~handshake_loop() {
    for (slot& s : slots_) {
      if (s.fd >= 0) ::close(s.fd);
    }
    ::close(epoll_fd_);
  }
  handshake_loop(const handshake_loop&) = delete;
  handshake_loop& operator=(const handshake_loop&) = delete;

  std::expected<nlohmann::json, std::string> run() {
    for (std::uint32_t i = 0; i < slots_.size(); ++i) start(i);
    mark begin = take_mark();
    std::int64_t warm_at = begin.time_ns + static_cast<std::int64_t>(options_.warmup_s * 1e9);
    run_until(warm_at);
    latency_.clear();
    begin = take_mark();
    run_until(begin.time_ns + static_cast<std::int64_t>(options_.seconds * 1e9));
    mark end = take_mark();
    if (!trouble_.empty()) return std::unexpected{trouble_};
    return report(begin, end);
  }

 private:
  struct mark {
    std::int64_t time_ns = 0;
    std::int64_t server_cpu_ns = 0;
    std::int64_t own_cpu_ns = 0;
    std::uint64_t done = 0;
  };

  void run_until(std::int64_t end_ns) {
    std::array<epoll_event, 128> events{};
    while (trouble_.empty() && now_ns() < end_ns) {
      int ready = ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), 2000);
      if (ready == 0) trouble_ = "no handshake moved on for 2 s";
      for (int i = 0; i < ready && trouble_.empty(); ++i) advance(events[i].data.u32);
    }
  }

  void start(std::uint32_t index) {
    slot& s = slots_[index];
    s.head.clear();
    s.started_ns = now_ns();
    s.fd = start_connect(options_.port, ordinal_++);
    if (s.fd < 0) {
      trouble_ = fmt::format("cannot connect: {}", std::strerror(errno));
      return;
    }
    // On loopback the connection stands as soon as connect() returns, so the request usually goes at once.
    s.at = try_request(s) ? step::awaiting_head : step::connecting;
    epoll_event event{.events = s.at == step::connecting ? EPOLLOUT : EPOLLIN, .data = {.u32 = index}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, s.fd, &event);
  }

  bool try_request(slot& s) {
    ssize_t sent = ::send(s.fd, request_.data(), request_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(request_.size())) return true;
    if (sent >= 0 || errno != EAGAIN) trouble_ = fmt::format("the request could not be sent: {}", std::strerror(errno));
    return false;
  }

  void advance(std::uint32_t index) {
    slot& s = slots_[index];
    if (s.at == step::connecting) {
      if (!try_request(s)) return;
      s.at = step::awaiting_head;
      epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
      ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, s.fd, &event);
      return;
    }
    std::array<char, 2048> bytes;
    ssize_t got = ::recv(s.fd, bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (s.at == step::awaiting_head) {
      if (got <= 0) {
        trouble_ = "the server closed the connection during the upgrade";
        return;
      }
      s.head.append(bytes.data(), static_cast<std::size_t>(got));
      if (!s.head.ends_with("\r\n\r\n")) return;
      if (!is_upgraded(s.head)) {
        trouble_ = fmt::format("no upgrade, but: {}", s.head.substr(0, s.head.find('\r')));
        return;
      }
      latency_.record(now_ns() - s.started_ns);
      ++done_;
      ::shutdown(s.fd, SHUT_WR);
      s.at = step::awaiting_end;
      return;
    }
    // A server may send a close frame before its FIN; a reset is an end as well.
    if (got > 0) return;
    ::close(s.fd);
    s.fd = -1;
    start(index);
  }

  mark take_mark() {
    auto cpu = cpu_ns_of(options_.server_pid);
    if (!cpu) trouble_ = cpu.error();
    return {now_ns(), cpu.value_or(0), own_cpu_ns(), done_};
  }

  nlohmann::json report(const mark& begin, const mark& end) const {
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
    out["upgrade_us"] = {
        {"p50", latency_.percentile_us(0.5)}, {"p99", latency_.percentile_us(0.99)}, {"max", latency_.max_us()}};
    return out;
  }

  const options& options_;
  std::string request_;
  std::vector<slot> slots_;
  int epoll_fd_;
  unsigned ordinal_ = 0;
  std::uint64_t done_ = 0;
  histogram latency_;
  std::string trouble_;
};

} // namespace

std::expected<nlohmann::json, std::string> run_handshakes(const options& chosen) {
  return handshake_loop{chosen}.run();
}

} // namespace ringcast

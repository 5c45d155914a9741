// The cheapest server that epoll allows, as the mark that every other server here is measured against: one thread, one
// epoll set, one receive buffer that stays in cache, and no protocol at all. What it is not: a server anybody should
// use.
//
//   echo    what a connection sends goes back to it as it came, each recv() followed at once by its send().
//   fanout  a message of --bytes bytes from one connection goes to all other connections in a loop of send().
//
// A send that the socket does not take whole is the rare path: the rest is kept, and EPOLLOUT is armed until it is
// gone.
#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <span>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace ringcast {
namespace {

enum class service { echo, fanout };

struct connection {
  int fd = -1;
  std::uint32_t seat = 0;      // Its place in the dense array of open connections.
  std::vector<char> unsent;    // What the socket did not take; empty nearly always.
  std::size_t unsent_from = 0; // Bytes of `unsent` that have been sent since.
  std::vector<char> gathered;  // Fan-out only: the part of a message that has arrived so far.
};

class baseline {
 public:
  baseline(std::uint16_t port, service kind, std::size_t message_bytes)
      : kind_{kind}, message_bytes_{message_bytes}, buffer_bytes_{std::max<std::size_t>(256 * 1024, message_bytes)},
        buffer_{std::make_unique<char[]>(buffer_bytes_)} {
    raise_descriptor_limit();
    epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
    listen_on(port);
    stop_on_signals();
  }

  int run() {
    std::vector<epoll_event> events(1024);
    for (;;) {
      int ready = ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < ready; ++i) {
        auto* who = static_cast<connection*>(events[i].data.ptr);
        if (who == &stopper_) return 0;
        if (who == &listener_) {
          accept_all();
        } else {
          on_ready(*who, events[i].events);
        }
      }
      // A connection that closed may still stand in this turn's events, so it is freed only now.
      for (connection* gone : closed_) delete gone;
      closed_.clear();
    }
  }

 private:
  void on_ready(connection& from, std::uint32_t what) {
    if (from.fd < 0) return;
    if (what & EPOLLOUT) flush(from);
    if (from.fd < 0 || !(what & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t got = ::recv(from.fd, buffer_.get(), buffer_bytes_, 0);
    if (got <= 0) {
      if (got == 0 || (errno != EAGAIN && errno != EINTR)) close_connection(from);
      return;
    }
    std::span<const char> bytes{buffer_.get(), static_cast<std::size_t>(got)};
    if (kind_ == service::echo) {
      send_all(from, bytes);
    } else {
      gather(from, bytes);
    }
  }

  // Fan-out passes on whole messages. One that arrived in one piece, the usual case, is never copied.
  void gather(connection& from, std::span<const char> bytes) {
    if (from.gathered.empty()) {
      std::size_t whole = bytes.size() - bytes.size() % message_bytes_;
      if (whole) to_all_but(from, bytes.first(whole));
      bytes = bytes.subspan(whole);
    }
    from.gathered.insert(from.gathered.end(), bytes.begin(), bytes.end());
    std::size_t whole = from.gathered.size() - from.gathered.size() % message_bytes_;
    if (!whole) return;
    to_all_but(from, std::span{from.gathered}.first(whole));
    from.gathered.erase(from.gathered.begin(), from.gathered.begin() + static_cast<std::ptrdiff_t>(whole));
  }

  void to_all_but(const connection& from, std::span<const char> bytes) {
    for (std::size_t seat = 0; seat < open_.size();) {
      connection* to = open_[seat];
      if (to != &from) send_all(*to, bytes);
      if (seat < open_.size() && open_[seat] == to) ++seat; // Otherwise it closed, and another one took its seat.
    }
  }

  void send_all(connection& to, std::span<const char> bytes) {
    if (to.unsent.empty()) {
      ssize_t sent = ::send(to.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent == static_cast<ssize_t>(bytes.size())) return;
      if (sent < 0) {
        if (errno != EAGAIN) return close_connection(to);
        sent = 0;
      }
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
      watch(to, EPOLLIN | EPOLLOUT);
    }
    to.unsent.insert(to.unsent.end(), bytes.begin(), bytes.end());
  }

  void flush(connection& to) {
    while (to.unsent_from < to.unsent.size()) {
      ssize_t sent = ::send(to.fd, to.unsent.data() + to.unsent_from, to.unsent.size() - to.unsent_from, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) {
        if (errno != EAGAIN) close_connection(to);
        return;
      }
      to.unsent_from += static_cast<std::size_t>(sent);
    }
    to.unsent.clear();
    to.unsent_from = 0;
    watch(to, EPOLLIN);
  }

  void watch(connection& who, std::uint32_t what) {
    epoll_event event{.events = what, .data = {.ptr = &who}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, who.fd, &event);
  }

  void accept_all() {
    for (;;) {
      int fd = ::accept4(listener_.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      auto* who = new connection{.fd = fd, .seat = static_cast<std::uint32_t>(open_.size())};
      open_.push_back(who);
      epoll_event event{.events = EPOLLIN, .data = {.ptr = who}};
      ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
    }
  }

  void close_connection(connection& who) {
    ::close(who.fd);
    who.fd = -1;
    open_[who.seat] = open_.back();
    open_[who.seat]->seat = who.seat;
    open_.pop_back();
    closed_.push_back(&who);
  }

  static void raise_descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }

  void listen_on(std::uint16_t port) {
    listener_.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    ::setsockopt(listener_.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 || ::listen(listener_.fd, 4096) < 0) {
      fmt::print(stderr, "bench-epoll-baseline: cannot listen on 127.0.0.1:{}: {}\n", port, std::strerror(errno));
      std::exit(2);
    }
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &listener_}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, listener_.fd, &event);
  }

  void stop_on_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    stopper_.fd = ::signalfd(-1, &signals, SFD_CLOEXEC);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &stopper_}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, stopper_.fd, &event);
  }

  service kind_;
  std::size_t message_bytes_;
  std::size_t buffer_bytes_;
  std::unique_ptr<char[]> buffer_;
  int epoll_fd_ = -1;
  connection listener_;
  connection stopper_;
  std::vector<connection*> open_;
  std::vector<connection*> closed_;
};

} // namespace
} // namespace ringcast

int main(int argc, char** argv) {
  CLI::App app{"A bare epoll loop on 127.0.0.1: the mark that the benchmarks measure against"};
  std::uint16_t port = 0;
  std::string mode = "echo";
  std::size_t bytes = 1;
  app.add_option("--port", port, "port to listen on")->required();
  app.add_option("--mode", mode, "what it does with what it receives")->check(CLI::IsMember({"echo", "fanout"}));
  app.add_option("--bytes", bytes, "fan-out: bytes of one message, header included")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  auto kind = mode == "echo" ? ringcast::service::echo : ringcast::service::fanout;
  return ringcast::baseline{port, kind, bytes}.run();
}

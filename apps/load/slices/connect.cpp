#include "apps/load/slices/connect.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/load/slices/dialect.hpp"

namespace ringcast::load::slices {

using namespace engine;
namespace {

// The sample of RFC 6455 section 1.3: the key and the answer that it must get.
constexpr std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view accept_value = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

constexpr unsigned under_way_max = 128;
constexpr int patience_ms = 10'000;

// One connection on its way from connect() to the first message.
class opening {
 public:
  enum class outcome { waiting, done, failed };

  opening(const options& chosen, int fd, request wanted, const std::shared_ptr<const tls_context>& tls)
      : options_{chosen}, wanted_{std::move(wanted)}, result_{.fd = fd} {
    if (needs_link(chosen)) result_.through = std::make_unique<link>(tls, tls_host);
  }

  [[nodiscard]] int fd() const { return result_.fd; }
  [[nodiscard]] open_connection take() { return std::move(result_); }
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

  outcome advance() {
    if (at_ == step::connecting) return on_connected();
    std::array<std::byte, 4096> bytes;
    ssize_t got = ::recv(fd(), bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      if (got < 0 && errno == EAGAIN) return outcome::waiting;
      return fail("the server closed the connection during the upgrade");
    }
    const std::span arrived{bytes.data(), static_cast<std::size_t>(got)};
    if (!result_.through) {
      append(arrived);
      return judge();
    }
    result_.through->feed(arrived, [this](std::span<std::byte> plaintext) { append(plaintext); });
    if (result_.through->broken()) return fail("the TLS handshake failed");
    if (at_ == step::securing && result_.through->ready()) ask();
    const outcome so_far = judge();
    if (result_.through->send(fd()) != send_status::done) return fail("the request could not be sent whole");
    return so_far;
  }

 private:
  enum class step { connecting, securing, upgrading, subscribing };

  outcome on_connected() {
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) return fail(fmt::format("cannot connect to 127.0.0.1:{}: {}", options_.port, std::strerror(error)));
    if (wanted_.path.empty()) return outcome::done;
    at_ = step::securing;
    if (!result_.through || result_.through->ready()) ask();
    if (result_.through && result_.through->send(fd()) != send_status::done) return fail("the request could not be sent whole");
    return trouble_.empty() ? outcome::waiting : outcome::failed;
  }

  void ask() {
    at_ = step::upgrading;
    const std::string request = opening_request(wanted_.path, options_.deflate);
    if (result_.through) {
      result_.through->write(std::as_bytes(std::span{request}));
      return;
    }
    auto sent = ::send(fd(), request.data(), request.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request.size())) trouble_ = "the request could not be sent whole";
  }

  void append(std::span<const std::byte> bytes) {
    if (at_ == step::subscribing) return result_.through->gathered.append(bytes);
    head_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  outcome judge() {
    if (at_ == step::subscribing) return subscribed();
    auto end = head_.find("\r\n\r\n");
    if (end == std::string::npos) return outcome::waiting;
    if (!is_upgraded(head_)) return fail(fmt::format("no upgrade, but: {}", head_.substr(0, head_.find('\r'))));
    if (options_.deflate && head_.find("permessage-deflate") == std::string::npos) return fail("the server does not compress");
    if (options_.nats) {
      at_ = step::subscribing;
      append(std::as_bytes(std::span{head_}.subspan(end + 4)));
      const std::string greeting = nats_greeting(wanted_.hears);
      byte_buffer frame;
      append_masked_frame(frame, opcode::binary, std::as_bytes(std::span{greeting}), masking_key);
      result_.through->write(frame.bytes());
      return subscribed();
    }
    if (end + 4 != head_.size()) return fail("a frame arrived with the response head, before anything was sent");
    return outcome::done;
  }

  // NATS says who it is, and answers our ping once the subscription stands.
  outcome subscribed() {
    auto& gathered = result_.through->gathered;
    const std::string_view text{reinterpret_cast<const char*>(gathered.data()), gathered.size()};
    if (!text.ends_with("PONG\r\n")) return outcome::waiting;
    gathered.clear();
    return outcome::done;
  }

  outcome fail(std::string why) {
    trouble_ = std::move(why);
    return outcome::failed;
  }

  const options& options_;
  request wanted_;
  open_connection result_;
  step at_ = step::connecting;
  std::string head_;
  std::string trouble_;
};

} // namespace

destination destination_of(const options& chosen) {
  return {.server = {.scheme = chosen.tls ? url_scheme::wss : url_scheme::ws, .port = chosen.port, .host = "127.0.0.1"},
          .source_addresses_min = 32,
          .tls_insecure = chosen.tls};
}

std::string opening_request(std::string_view path, bool deflate) {
  constexpr std::string_view offer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";
  return fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n{}\r\n",
                     path, key, deflate ? offer : "");
}

bool is_upgraded(std::string_view head) { return head.starts_with("HTTP/1.1 101") && head.find(accept_value) != std::string_view::npos; }

std::expected<std::vector<open_connection>, std::string> open_connections(const options& chosen, unsigned count,
                                                                          const std::function<request(unsigned)>& request_of) {
  const destination to = destination_of(chosen);
  dialer dials{to};
  if (auto ready = dials.prepare(count); !ready) return std::unexpected{ready.error()};
  std::vector<open_connection> opened(count);
  std::vector<std::unique_ptr<opening>> openings(count);
  std::array<epoll_event, 128> events{};
  const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  unsigned started = 0;
  unsigned finished = 0;
  std::string trouble;

  while (finished < count && trouble.empty()) {
    while (started < count && started - finished < under_way_max) {
      const auto fd = dials.dial(started);
      if (!fd) {
        trouble = fd.error();
        break;
      }
      openings[started] = std::make_unique<opening>(chosen, *fd, request_of(started), dials.tls());
      epoll_event event{.events = EPOLLOUT, .data = {.u32 = started}};
      ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, *fd, &event);
      ++started;
    }
    int ready = ::epoll_wait(epoll_fd, events.data(), static_cast<int>(events.size()), patience_ms);
    if (ready == 0) trouble = fmt::format("{} of {} connections were opened, then nothing came for 10 s", finished, count);
    for (int e = 0; e < ready && trouble.empty(); ++e) {
      const unsigned i = events[e].data.u32;
      const auto outcome = openings[i]->advance();
      if (outcome == opening::outcome::failed) trouble = openings[i]->trouble();
      if (outcome == opening::outcome::waiting && (events[e].events & EPOLLOUT)) {
        epoll_event event{.events = EPOLLIN, .data = {.u32 = i}};
        ::epoll_ctl(epoll_fd, EPOLL_CTL_MOD, openings[i]->fd(), &event);
      }
      if (outcome != opening::outcome::done) continue;
      ::epoll_ctl(epoll_fd, EPOLL_CTL_DEL, openings[i]->fd(), nullptr);
      opened[i] = openings[i]->take();
      openings[i].reset();
      ++finished;
    }
  }
  ::close(epoll_fd);
  if (trouble.empty()) return opened;
  for (const auto& each : openings) {
    if (each) ::close(each->fd());
  }
  for (const open_connection& each : opened) {
    if (each.fd >= 0) ::close(each.fd);
  }
  return std::unexpected{trouble};
}

} // namespace ringcast::load::slices

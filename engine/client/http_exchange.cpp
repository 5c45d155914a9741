#include "engine/client/http_exchange.hpp"

#include "engine/io/resolver.hpp"
#include "proto/http_body.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <utility>
#include <vector>

namespace ringcast::engine {

namespace {

using steady = std::chrono::steady_clock;

constexpr std::size_t receive_bytes = 16 * 1024;
constexpr http_limits head_limits{};
// 100 and 103, and whatever else somebody invents (RFC 9110 15.2).
constexpr int interim_heads_max = 8;

std::unexpected<http_error> failed(http_failure why, std::string text) { return std::unexpected(http_error{why, std::move(text)}); }
std::unexpected<http_error> not_answered() { return failed(http_failure::timed_out, "there was no whole answer in time"); }

// Until one of the two is ready, or the time is over.
http_exchange::step wait_for(int descriptor, short events, const exchange_limits& limits) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limits.until - steady::now()).count();
    if (left <= 0) return not_answered();
    std::array<pollfd, 2> waits{{{descriptor, events, 0}, {limits.ended, POLLIN, 0}}};
    const int found = ::poll(waits.data(), waits.size(), static_cast<int>(std::min<std::int64_t>(left, 1'000'000)));
    if (waits[1].revents != 0) return failed(http_failure::stopped, "the client has ended");
    if (found > 0 && waits[0].revents != 0) return {};
    if (found < 0 && errno != EINTR) return failed(http_failure::lost, std::generic_category().message(errno));
  }
}

// What a resolver thread brings, perhaps when nobody waits any more.
struct name_question {
  const int answered = make_end_signal();
  std::mutex lock;
  resolved_name found;
  ~name_question() { close_now(answered); }
};

std::expected<std::vector<socket_address>, http_error> addresses_of(const url& to, const exchange_limits& limits) {
  if (const auto numeric = numeric_address(to.host, to.port)) return std::vector{*numeric};
  const auto asked = std::make_shared<name_question>();
  resolve(to.host, to.port, [asked](const resolved_name& found) {
    {
      const std::lock_guard lock{asked->lock};
      asked->found = found;
    }
    give_end_signal(asked->answered);
  });
  if (auto waited = wait_for(asked->answered, POLLIN, limits); !waited) return std::unexpected(waited.error());
  const std::lock_guard lock{asked->lock};
  if (asked->found.addresses.empty()) return failed(http_failure::unreachable, asked->found.error);
  return asked->found.addresses;
}

} // namespace

int make_end_signal() {
  const int made = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (made < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return made;
}

void give_end_signal(int signal) { (void)::eventfd_write(signal, 1); }

http_exchange::~http_exchange() {
  if (socket_ >= 0) close_now(socket_);
}

// --- connecting ---

// One address after the other, each with its share of the time that is left: one that does not answer leaves some to the others.
http_exchange::step http_exchange::connect(const url& to, const std::shared_ptr<const tls_context>& tls, const exchange_limits& limits) {
  const auto addresses = addresses_of(to, limits);
  if (!addresses) return std::unexpected(addresses.error());
  step connected = failed(http_failure::unreachable, "there is no address");
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    const auto now = steady::now();
    const auto share = (limits.until - now) / static_cast<std::int64_t>(addresses->size() - i);
    connected = connect_to((*addresses)[i], {.until = now + share, .ended = limits.ended});
    if (connected || connected.error().why == http_failure::stopped) break;
  }
  if (!connected || tls == nullptr) return connected;
  return begin_tls(to, tls, limits);
}

http_exchange::step http_exchange::connect_to(const socket_address& address, const exchange_limits& limits) {
  if (socket_ >= 0) close_now(std::exchange(socket_, -1));
  const auto opened = open_client_socket(address);
  const auto unreachable = [&](int error) {
    return failed(http_failure::unreachable, fmt::format("cannot connect to {}: {}", address.text(), std::generic_category().message(error)));
  };
  if (!opened) return unreachable(opened.error());
  socket_ = *opened;
  int error = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    if (auto waited = wait(POLLOUT, limits); !waited)
      return waited.error().why == http_failure::timed_out ? unreachable(ETIMEDOUT) : std::move(waited);
    socklen_t bytes = sizeof error;
    if (::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) error = errno;
  }
  return error == 0 ? step{} : unreachable(error);
}

http_exchange::step http_exchange::begin_tls(const url& to, const std::shared_ptr<const tls_context>& tls, const exchange_limits& limits) {
  tls_ = std::make_unique<tls_session>(tls, to.host);
  tls_memory_ = std::make_unique<tls_scratch>();
  tls_->start(out_);
  while (tls_->state() == tls_state::handshaking) {
    if (auto sent = send({}, limits); !sent) return sent;
    const auto came = receive(limits);
    if (!came) return std::unexpected(came.error());
    if (*came == came::end) return failed(http_failure::tls, "the connection ended within the TLS handshake");
  }
  return send({}, limits);
}

http_error http_exchange::tls_error() const {
  return {tls_->failure() == tls_failure::certificate ? http_failure::certificate : http_failure::tls, "TLS: " + std::string{tls_->reason()}};
}

// --- bytes ---

http_exchange::step http_exchange::wait(short events, const exchange_limits& limits) const { return wait_for(socket_, events, limits); }

http_exchange::step http_exchange::send(std::span<const std::byte> bytes, const exchange_limits& limits) {
  if (tls_ != nullptr) {
    if (!bytes.empty()) (void)tls_->write(bytes, *tls_memory_, out_);
    bytes = out_.bytes();
  }
  while (!bytes.empty()) {
    const std::ptrdiff_t sent = send_now(socket_, bytes);
    if (sent >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    } else if (sent == -EAGAIN) {
      if (auto waited = wait(POLLOUT, limits); !waited) return waited;
    } else if (sent != -EINTR) {
      break;
    }
  }
  out_.clear();
  return {};
}

std::expected<http_exchange::came, http_error> http_exchange::receive(const exchange_limits& limits) {
  std::array<std::byte, receive_bytes> part; // NOLINT: written by the kernel
  for (;;) {
    const std::ptrdiff_t count = receive_now(socket_, part);
    if (count == -EAGAIN) {
      if (auto waited = wait(POLLIN, limits); !waited) return std::unexpected(waited.error());
      continue;
    }
    if (count == -EINTR) continue;
    if (count <= 0) {
      if (tls_ == nullptr || count < 0) return came::end;
      tls_->end_of_stream();
      if (tls_->state() == tls_state::failed) return std::unexpected(tls_error());
      return came::end;
    }
    const std::span<std::byte> bytes{part.data(), static_cast<std::size_t>(count)};
    if (tls_ == nullptr) {
      in_.append(bytes);
      return came::bytes;
    }
    tls_->feed(bytes, *tls_memory_, out_, [this](std::span<std::byte> plain) { in_.append(plain); });
    if (!out_.empty())
      if (auto sent = send({}, limits); !sent) return std::unexpected(sent.error());
    if (tls_->state() == tls_state::failed) return std::unexpected(tls_error());
    return tls_->state() == tls_state::peer_closed && in_.empty() ? came::end : came::bytes;
  }
}

void http_exchange::drop(std::size_t bytes) {
  const std::size_t left = in_.size() - bytes;
  if (left > 0) std::memmove(in_.data(), in_.data() + bytes, left);
  in_.truncate(left);
}

// --- an exchange ---

http_result http_exchange::ask(std::string_view head_and_body, bool is_head, std::size_t answer_bytes_max, const exchange_limits& limits) {
  heard_ = keep_ = false;
  if (auto sent = send(std::as_bytes(std::span{head_and_body}), limits); !sent) return std::unexpected(sent.error());
  const auto head = read_head(limits);
  if (!head) return std::unexpected(head.error());
  http_answer answer{.status = head->status_code, .content_type = std::string{head->header("Content-Type")}, .body = {}};
  keep_ = head->keep_alive;
  const response_head without_views = *head;
  drop(head->head_bytes);
  if (auto read = read_body(without_views, is_head, answer_bytes_max, limits, answer.body); !read) {
    keep_ = false;
    return std::unexpected(read.error());
  }
  return answer;
}

// The views of the head lie in in_, at its front.
std::expected<response_head, http_error> http_exchange::read_head(const exchange_limits& limits) {
  response_head head;
  head_progress progress;
  for (int interim = 0;;) {
    const head_result result = parse_response_head(in_.bytes(), head_limits, head, &progress);
    if (result.status == head_status::bad) {
      const bool is_large = in_.size() >= head_limits.line_bytes_max;
      return failed(is_large ? http_failure::too_large : http_failure::not_http, fmt::format("this is no answer in HTTP: {}", result.why));
    }
    if (result.status == head_status::done && !head.is_interim()) {
      if (head.status_code == 101) return failed(http_failure::not_http, "the peer changes to another protocol");
      return head;
    }
    if (result.status == head_status::done) {
      if (++interim > interim_heads_max) return failed(http_failure::not_http, "there are too many interim answers");
      drop(head.head_bytes);
      progress = {};
      continue;
    }
    const auto came = receive(limits);
    if (!came) return std::unexpected(came.error());
    if (*came == came::end) return failed(http_failure::lost, "the connection ended in front of the answer");
    heard_ = heard_ || !in_.empty();
  }
}

// RFC 9112 6.3.
http_exchange::step http_exchange::read_body(const response_head& head, bool is_head, std::size_t bytes_max, const exchange_limits& limits,
                                             std::string& body) {
  if (is_head || head.status_code == 204 || head.status_code == 304) return {};
  if (head.chunked) return read_chunks(bytes_max, limits, body);
  if (!head.content_length) {
    keep_ = false;
    return read_to(std::nullopt, bytes_max, limits, body);
  }
  if (*head.content_length > bytes_max) return failed(http_failure::too_large, fmt::format("the answer has more than {} bytes", bytes_max));
  return read_to(static_cast<std::size_t>(*head.content_length), bytes_max, limits, body);
}

http_exchange::step http_exchange::read_chunks(std::size_t bytes_max, const exchange_limits& limits, std::string& body) {
  chunked_decoder decoder{chunked_limits{.body_bytes_max = bytes_max}};
  for (;;) {
    const chunked_result result = decoder.decode(in_.bytes());
    if (result.status == chunked_status::bad)
      return failed(result.error == http_status::content_too_large ? http_failure::too_large : http_failure::not_http, std::string{result.why});
    body.append(reinterpret_cast<const char*>(in_.data()), result.produced);
    drop(result.consumed);
    if (result.status == chunked_status::done) return {};
    const auto came = receive(limits);
    if (!came) return std::unexpected(came.error());
    if (*came == came::end) return failed(http_failure::lost, "the connection ended within the answer");
  }
}

// So many bytes, or to the end of the stream.
http_exchange::step http_exchange::read_to(std::optional<std::size_t> bytes, std::size_t bytes_max, const exchange_limits& limits,
                                           std::string& body) {
  for (;;) {
    const std::size_t taken = std::min(in_.size(), bytes.value_or(SIZE_MAX) - body.size());
    body.append(reinterpret_cast<const char*>(in_.data()), taken);
    drop(taken);
    if (body.size() > bytes_max) return failed(http_failure::too_large, fmt::format("the answer has more than {} bytes", bytes_max));
    if (bytes && body.size() == *bytes) return {};
    const auto came = receive(limits);
    if (!came) return std::unexpected(came.error());
    if (*came == came::bytes) continue;
    return bytes ? failed(http_failure::lost, "the connection ended within the answer") : step{};
  }
}

bool http_exchange::can_be_used_again() const {
  if (!keep_ || !in_.empty() || socket_ < 0) return false;
  if (tls_ != nullptr && tls_->state() != tls_state::open) return false;
  pollfd waits{socket_, POLLIN, 0};
  return ::poll(&waits, 1, 0) == 0;
}

} // namespace ringcast::engine

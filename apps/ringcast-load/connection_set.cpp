#include "apps/ringcast-load/connection_set.hpp"

#include "apps/ringcast-load/clock.hpp"
#include "proto/frame_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ringcast {

namespace {

// Over all sets of a run: well below any listen backlog.
constexpr unsigned under_way_max = 128;
constexpr std::uint32_t doorbell_mark = ~0U;
constexpr std::int64_t opening_patience_ns = 10'000'000'000;
constexpr std::size_t buffer_bytes = 256 * 1024;
constexpr std::uint64_t message_bytes_max = std::uint64_t{65} << 20;

} // namespace

connection_set::connection_set(const load_options& options, share of_run, int doorbell)
    : options_{options}, dialer_{options}, share_{of_run}, under_way_max_{std::max(1U, under_way_max / of_run.stride)},
      connections_((options.connections - of_run.first + of_run.stride - 1) / of_run.stride), buffer_(buffer_bytes),
      random_{std::random_device{}()} {
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.u32 = doorbell_mark}};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, doorbell, &event);
}

connection_set::~connection_set() {
  for (connection& c : connections_) {
    if (c.fd >= 0) ::close(c.fd);
  }
  ::close(epoll_fd_);
}

bool connection_set::open_all() {
  if (auto ready = dialer_.prepare(options_.connections); !ready) {
    fail(ready.error());
    return false;
  }
  const std::int64_t begun_ns = clock_ns();
  std::int64_t progress_ns = begun_ns;
  unsigned begun = 0;
  unsigned open_before = 0;
  while (open_ < size() && is_going()) {
    const std::int64_t now = clock_ns();
    // With a ramp of R a second, connection k of the run begins at k/R.
    const double allowed = options_.ramp > 0 ? 1 + static_cast<double>(now - begun_ns) / 1e9 * options_.ramp : 1e9;
    while (begun < size() && has_opening_room() && ordinal(begun) < allowed && begin(begun)) ++begun;
    if (!trouble_.empty()) break;
    turn(has_opening_room() && begun < size() ? 1'000'000 : 50'000'000);
    on_turn();
    if (open_ != open_before || under_way_ == 0) progress_ns = now;
    open_before = open_;
    if (now - progress_ns > opening_patience_ns) {
      fail(fmt::format("{} of {} connections were opened, then {} answered nothing for 10 s", open_, size(),
                       dialer_.where()));
    }
  }
  return is_going();
}

bool connection_set::begin(unsigned i) {
  auto dialed = dialer_.dial(ordinal(i));
  if (!dialed) {
    ++errors_;
    fail(dialed.error());
    return false;
  }
  connection& c = connections_[i];
  c = connection{};
  c.fd = *dialed;
  c.at = stage::connecting;
  c.begun_ns = clock_ns();
  ++under_way_;
  arm(i, EPOLLOUT, true);
  return true;
}

void connection_set::turn(std::int64_t timeout_ns) {
  // Few events at a time, so that planned sends are not kept waiting behind a long list.
  std::array<epoll_event, 64> events; // Filled by the kernel, so left as it is.
  const timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  const int ready = ::epoll_pwait2(epoll_fd_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  for (int e = 0; e < ready; ++e) {
    const unsigned i = events[static_cast<std::size_t>(e)].data.u32;
    if (i == doorbell_mark) {
      on_doorbell();
      continue;
    }
    if (connections_[i].fd >= 0) on_ready(i, events[static_cast<std::size_t>(e)].events);
  }
}

void connection_set::on_ready(unsigned i, std::uint32_t events) {
  connection& c = connections_[i];
  if (c.at == stage::connecting) return on_connected(i);
  if (c.deaf && (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
    return end(i, "the server closed it while it did not read");
  if (events & EPOLLOUT) flush(i);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && c.fd >= 0 && !c.deaf) on_input(i);
}

void connection_set::on_connected(unsigned i) {
  connection& c = connections_[i];
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error) return end(i, fmt::format("cannot connect to {}: {}", dialer_.where(), std::strerror(error)));
  std::array<std::uint32_t, 4> random{};
  for (auto& word : random) word = static_cast<std::uint32_t>(random_());
  c.key = make_websocket_key(std::as_bytes(std::span{random}).first<16>());
  const std::string request = dialer_.request(ordinal(i), c.key);
  const auto bytes = std::as_bytes(std::span{request});
  c.out.assign(bytes.begin(), bytes.end());
  c.at = stage::upgrading;
  arm(i, EPOLLIN, false);
  flush(i);
}

void connection_set::on_input(unsigned i) {
  connection& c = connections_[i];
  const ssize_t got = ::recv(c.fd, buffer_.data(), buffer_.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    return end(i, got == 0 ? fmt::format("{} closed the connection", dialer_.where())
                           : fmt::format("{} broke the connection: {}", dialer_.where(), std::strerror(errno)));
  }
  received_ns_ = clock_ns();
  std::span<std::byte> input{buffer_.data(), static_cast<std::size_t>(got)};
  if (!c.rest.empty()) {
    c.rest.insert(c.rest.end(), input.begin(), input.end());
    std::vector<std::byte> whole = std::move(c.rest);
    const std::size_t taken = take_input(i, whole);
    if (c.fd >= 0 && taken < whole.size()) {
      whole.erase(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(taken));
      c.rest = std::move(whole);
    } else {
      c.rest = {};
    }
  } else {
    const std::size_t taken = take_input(i, input);
    if (c.fd >= 0 && taken < input.size())
      c.rest.assign(input.begin() + static_cast<std::ptrdiff_t>(taken), input.end());
  }
  if (c.fd >= 0) on_read(i);
}

std::size_t connection_set::take_input(unsigned i, std::span<std::byte> input) {
  connection& c = connections_[i];
  std::size_t at = 0;
  if (c.at == stage::upgrading) {
    at = take_answer(i, input);
    if (at == 0) return 0;
  }
  const frame_rules rules{.our_role = role::client, .payload_bytes_max = message_bytes_max};
  const int fd = c.fd;
  while (at < input.size() && c.fd == fd && fd >= 0) {
    const frame_result read = read_frame(input.subspan(at), rules);
    if (read.status == read_status::need_more) {
      // Room for the whole of a long frame at once: growing step by step would copy it again and again.
      if (input.data() == buffer_.data() && read.frame_bytes_wanted > buffer_.size())
        c.rest.reserve(read.frame_bytes_wanted);
      break;
    }
    if (read.status == read_status::violation) {
      end(i, fmt::format("{} sent a frame that breaks RFC 6455", dialer_.where()));
      break;
    }
    at += read.value.frame_bytes;
    on_frame(i, read.value.op, read.value.fin, read.value.payload);
  }
  return at;
}

std::size_t connection_set::take_answer(unsigned i, std::span<const std::byte> input) {
  connection& c = connections_[i];
  const auto head_bytes = dialer_.check(input, c.key);
  if (!head_bytes) {
    end(i, head_bytes.error());
    return 0;
  }
  if (*head_bytes == 0) return 0;
  handshakes_.record(received_ns_ - c.begun_ns);
  c.at = stage::open;
  --under_way_;
  ++open_;
  on_opened(i);
  return *head_bytes;
}

void connection_set::on_frame(unsigned i, opcode op, bool fin, std::span<std::byte> payload) {
  connection& c = connections_[i];
  switch (op) {
  case opcode::ping:
    queue_control(i, opcode::pong, payload);
    return flush(i);
  case opcode::pong:
    return;
  case opcode::close: {
    const unsigned code =
        payload.size() >= 2 ? std::to_integer<unsigned>(payload[0]) << 8 | std::to_integer<unsigned>(payload[1]) : 1005;
    if (c.at == stage::closing) return end(i, {});
    std::string reason{reinterpret_cast<const char*>(payload.data()) + std::min<std::size_t>(2, payload.size()),
                       payload.size() - std::min<std::size_t>(2, payload.size())};
    return end(i, fmt::format("{} closed the connection with {}{}{}", dialer_.where(), code, reason.empty() ? "" : ": ",
                              reason));
  }
  case opcode::continuation:
    if (!c.fragments) return end(i, fmt::format("{} sent a frame that continues nothing", dialer_.where()));
    c.fragments->insert(c.fragments->end(), payload.begin(), payload.end());
    if (!fin) return;
    {
      const auto whole = std::move(c.fragments);
      return on_message(i, *whole);
    }
  default:
    if (c.fragments) return end(i, fmt::format("{} began a message within another one", dialer_.where()));
    if (fin) return on_message(i, payload);
    c.fragments = std::make_unique<std::vector<std::byte>>(payload.begin(), payload.end());
  }
}

void connection_set::flush(unsigned i) {
  connection& c = connections_[i];
  while (c.fd >= 0 && c.out_sent < c.out.size()) {
    const ssize_t sent =
        ::send(c.fd, c.out.data() + c.out_sent, c.out.size() - c.out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      // A broken connection is noticed, and said, where it is read: what the server still had to say comes first.
      if (errno == EAGAIN && !c.waits_for_room) {
        c.waits_for_room = true;
        arm(i, (c.deaf ? EPOLLRDHUP : EPOLLIN) | EPOLLOUT, false);
      }
      return;
    }
    c.out_sent += static_cast<std::uint32_t>(sent);
  }
  c.out.clear();
  c.out_sent = 0;
  if (c.waits_for_room && c.fd >= 0) {
    c.waits_for_room = false;
    arm(i, c.deaf ? EPOLLRDHUP : EPOLLIN, false);
  }
}

void connection_set::queue_control(unsigned i, opcode op, std::span<const std::byte> payload) {
  connection& c = connections_[i];
  const std::size_t at = c.out.size();
  c.out.resize(at + frame_bytes(payload.size(), true));
  write_masked_frame(c.out.data() + at, op, payload, next_masking_key());
}

void connection_set::drop(unsigned i) {
  connection& c = connections_[i];
  if (c.fd < 0) return;
  if (c.at == stage::open) --open_;
  if (c.at == stage::connecting || c.at == stage::upgrading) --under_way_;
  ::close(c.fd);
  c.fd = -1;
  c.at = stage::unused;
  c.out = {};
}

void connection_set::say_goodbye(unsigned i) {
  if (connections_[i].at != stage::open) return;
  constexpr std::array<std::byte, 2> normal{std::byte{0x03}, std::byte{0xe8}}; // 1000
  queue_control(i, opcode::close, normal);
  connections_[i].at = stage::closing;
  --open_;
  flush(i);
}

void connection_set::stop_reading(unsigned i) {
  connection& c = connections_[i];
  // A small window, so that the server feels it before megabytes are buffered for it in the kernel.
  const int bytes = 4096;
  ::setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  c.deaf = true;
  arm(i, EPOLLRDHUP, false);
}

void connection_set::end(unsigned i, const std::string& why) {
  const stage was = connections_[i].at;
  drop(i);
  if (was != stage::closing) ++errors_;
  on_ended(i, was, why);
}

void connection_set::on_ended(unsigned, stage was, const std::string& why) {
  if (was != stage::closing) fail(why);
}

void connection_set::arm(unsigned i, std::uint32_t events, bool first) {
  epoll_event event{.events = events, .data = {.u32 = i}};
  ::epoll_ctl(epoll_fd_, first ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connections_[i].fd, &event);
}

void connection_set::fail(std::string why) {
  if (trouble_.empty()) trouble_ = std::move(why);
}

std::uint32_t connection_set::next_masking_key() { return static_cast<std::uint32_t>(random_()); }

} // namespace ringcast

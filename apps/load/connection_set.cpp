#include "apps/load/connection_set.hpp"

#include "apps/load/clock.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ringcast::load {

using namespace engine;

namespace {

// Over all sets of a run: well below any listen backlog.
constexpr unsigned under_way_max = 128;
constexpr std::uint32_t doorbell_mark = ~0U;
constexpr std::int64_t opening_patience_ns = 10'000'000'000;
constexpr std::size_t buffer_bytes = 256 * 1024;

} // namespace

connection_set::connection_set(const destination& to, const share& of_run, int doorbell)
    : dialer_{to}, share_{of_run}, under_way_max_{std::max(1U, under_way_max / of_run.stride)},
      connections_((of_run.connections - of_run.first + of_run.stride - 1) / of_run.stride), buffer_(buffer_bytes), random_{std::random_device{}()} {
  if (to.compression) scratch_ = std::make_unique<deflate_scratch>();
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
  if (auto ready = dialer_.prepare(share_.connections); !ready) {
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
    const double allowed = share_.ramp > 0 ? 1 + static_cast<double>(now - begun_ns) / 1e9 * share_.ramp : 1e9;
    while (begun < size() && has_opening_room() && ordinal(begun) < allowed && begin(begun)) ++begun;
    if (!trouble_.empty()) break;
    turn(has_opening_room() && begun < size() ? 1'000'000 : 50'000'000);
    on_turn();
    if (open_ != open_before || under_way_ == 0) progress_ns = now;
    open_before = open_;
    if (now - progress_ns > opening_patience_ns) {
      fail(fmt::format("{} of {} connections were opened, then {} answered nothing for 10 s", open_, size(), dialer_.where()));
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
  retired_.clear();
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
  if (c.deaf && (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))) return end(i, "the server closed it while it did not read");
  if (events & EPOLLOUT) flush(i);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && c.fd >= 0 && !c.deaf) on_input(i);
}

void connection_set::on_connected(unsigned i) {
  connection& c = connections_[i];
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error) return end(i, fmt::format("cannot connect to {}: {}", dialer_.where(), std::strerror(error)));
  if (!dialer_.tls()) return begin_upgrade(i);
  c.tls = std::make_unique<link>(dialer_.tls(), dialer_.host());
  c.at = stage::securing;
  arm(i, EPOLLIN, false);
  flush(i);
}

void connection_set::begin_upgrade(unsigned i) {
  connection& c = connections_[i];
  std::array<std::uint32_t, 4> random{};
  for (auto& word : random) word = static_cast<std::uint32_t>(random_());
  c.key = make_websocket_key(std::as_bytes(std::span{random}).first<16>());
  const std::string request =
      is_event_stream(i) ? dialer_.stream_request(ordinal(i), last_event_id(i)) : dialer_.request(ordinal(i), c.key, more_query(i));
  c.out.append(std::as_bytes(std::span{request}));
  c.at = stage::upgrading;
  if (!c.tls) arm(i, EPOLLIN, false);
  flush(i);
}

void connection_set::flush(unsigned i) {
  connection& c = connections_[i];
  if (c.fd < 0) return;
  const send_status result = send(c);
  // A broken connection is noticed, and said, where it is read: what the server still had to say comes first.
  const bool blocked = result == send_status::blocked;
  if (result == send_status::failed || blocked == c.waits_for_room) return;
  c.waits_for_room = blocked;
  arm(i, (c.deaf ? EPOLLRDHUP : EPOLLIN) | (blocked ? EPOLLOUT : 0U), false);
}

send_status connection_set::send(connection& c) {
  if (!c.tls) return c.out.send(c.fd);
  if (!c.out.empty() && c.tls->write(c.out.buffer().bytes())) c.out.buffer().clear();
  return c.tls->send(c.fd);
}

void connection_set::queue_deflated(unsigned i, std::span<const std::byte> message) {
  connection& c = connections_[i];
  const std::size_t wire_bytes =
      scratch_->compress.append(c.out.buffer(), opcode::text, message, next_masking_key(), c.deflate->agreed.client_max_window_bits);
  compression_.sent_bytes += message.size();
  compression_.sent_wire_bytes += wire_bytes;
}

void connection_set::queue_control(unsigned i, opcode op, std::span<const std::byte> payload) {
  append_masked_frame(connections_[i].out.buffer(), op, payload, next_masking_key());
}

void connection_set::drop(unsigned i) {
  connection& c = connections_[i];
  if (c.fd < 0) return;
  if (c.at == stage::open) --open_;
  if (c.at == stage::connecting || c.at == stage::securing || c.at == stage::upgrading) --under_way_;
  ::close(c.fd);
  c.fd = -1;
  c.at = stage::unused;
  c.out = {};
  if (c.tls) retired_.push_back(std::move(c.tls));
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

void connection_set::read_again(unsigned i) {
  // What waits would not come through the small window before the run is over.
  const int bytes = 1 << 20;
  ::setsockopt(connections_[i].fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  ::setsockopt(connections_[i].fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &bytes, sizeof bytes);
  connections_[i].deaf = false;
  arm(i, EPOLLIN, false);
}

void connection_set::end(unsigned i, const std::string& why) {
  connection& c = connections_[i];
  const stage was = c.at;
  if (was == stage::closing && c.tls) {
    c.tls->close_notify();
    flush(i);
  }
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

} // namespace ringcast::load

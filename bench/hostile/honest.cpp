#include "bench/hostile/honest.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/load/clock.hpp"
#include "apps/load/slices/options.hpp"

namespace ringcast::bench {

using namespace engine;
namespace {

// What a message says: who sent it, its number, and when it was planned.
struct payload {
  std::uint32_t sender;
  std::uint32_t number;
  std::int64_t planned_ns;
};

constexpr std::size_t masked_header_bytes = 6;
constexpr std::size_t header_bytes = 2;
constexpr unsigned tls_share = 5; // one client in so many

std::array<std::byte, masked_header_bytes + sizeof(payload)> frame_of(const payload& said) {
  std::array<std::byte, masked_header_bytes + sizeof(payload)> frame{std::byte{0x82}, std::byte{0x80 | sizeof(payload)}};
  std::memcpy(frame.data() + masked_header_bytes, &said, sizeof said); // the masking key is zero
  return frame;
}

} // namespace

honest_clients::honest_clients(const honest_options& chosen) : options_{chosen} {}

std::string honest_clients::open(int epoll_fd, std::uint32_t first_tag) {
  epoll_fd_ = epoll_fd;
  const unsigned count = options_.echoes + options_.rooms * options_.members;
  const auto is_tls = [&](unsigned i) { return options_.tls_port != 0 && i % tls_share == 0; };
  clients_.resize(count);
  for (const bool tls : {false, true}) {
    std::vector<unsigned> chosen;
    for (unsigned i = 0; i < count; ++i)
      if (is_tls(i) == tls) chosen.push_back(i);
    if (chosen.empty()) continue;
    options where;
    where.port = tls ? options_.tls_port : options_.port;
    where.tls = tls;
    auto opened = open_connections(where, static_cast<unsigned>(chosen.size()), [&](unsigned k) {
      const unsigned i = chosen[k];
      return request{i < options_.echoes ? "/echo" : fmt::format("/broadcast/honest-{}", (i - options_.echoes) / options_.members)};
    });
    if (!opened) return opened.error();
    for (unsigned k = 0; k < chosen.size(); ++k) clients_[chosen[k]].way = std::move((*opened)[k]);
  }
  const std::int64_t start_ns = clock_ns() + 50'000'000;
  for (unsigned i = 0; i < count; ++i) {
    client& c = clients_[i];
    if (!c.way.through) c.way.through = std::make_unique<link>(nullptr, tls_host);
    c.interval_ns = (i < options_.echoes ? options_.echo_interval_ms : options_.room_interval_ms) * 1'000'000LL;
    c.first_ns = start_ns + c.interval_ns * i / count;
    order_.push_back(i);
    epoll_event event{.events = EPOLLIN, .data = {.u32 = first_tag + i}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, c.way.fd, &event);
  }
  return {};
}

std::int64_t honest_clients::send_due(std::int64_t now) {
  const auto due = [this](std::uint32_t i) { return clients_[i].first_ns + clients_[i].next * clients_[i].interval_ns; };
  const auto later = [&](std::uint32_t a, std::uint32_t b) { return due(a) > due(b); };
  if (!std::is_heap(order_.begin(), order_.end(), later)) std::make_heap(order_.begin(), order_.end(), later);
  while (!order_.empty() && due(order_.front()) <= now) {
    std::pop_heap(order_.begin(), order_.end(), later);
    const std::uint32_t i = order_.back();
    if (clients_[i].lost) {
      order_.pop_back();
      continue;
    }
    send_one(i);
    std::push_heap(order_.begin(), order_.end(), later);
  }
  return order_.empty() ? now + 1'000'000'000 : due(order_.front());
}

void honest_clients::send_one(std::uint32_t index) {
  client& c = clients_[index];
  const auto frame = frame_of({index, c.next, c.first_ns + c.next * c.interval_ns});
  ++c.next;
  ++sent_;
  c.way.through->write(frame);
  if (c.way.through->send(c.way.fd) == send_status::failed) lose(c);
}

void honest_clients::on_ready(std::uint32_t index) {
  client& c = clients_[index];
  if (c.lost) return;
  static std::array<std::byte, 65536> bytes;
  const ssize_t got = ::recv(c.way.fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return lose(c);
  c.way.through->feed({bytes.data(), static_cast<std::size_t>(got)}, [&](std::span<std::byte> plain) { c.arrived.append(plain); });
  if (c.way.through->broken()) return lose(c);
  take_frames(index, clock_ns());
  if (!c.lost && c.way.through->send(c.way.fd) == send_status::failed) lose(c);
}

void honest_clients::take_frames(std::uint32_t index, std::int64_t now) {
  client& c = clients_[index];
  std::span<const std::byte> left = c.arrived.bytes();
  while (left.size() >= header_bytes) {
    const auto opcode = std::to_integer<unsigned>(left[0]);
    const auto length = std::to_integer<std::size_t>(left[1]);
    // Nothing but our own messages and pings may come.
    if (length > 125 || (opcode != 0x82 && opcode != 0x89)) return lose(c);
    if (left.size() < header_bytes + length) break;
    if (opcode == 0x82) {
      payload said{};
      if (length != sizeof said) return lose(c);
      std::memcpy(&said, left.data() + header_bytes, sizeof said);
      waits_.record(now - said.planned_ns);
      ++deliveries_;
      if (said.sender == index) {
        if (said.number != c.answered) ++out_of_order_;
        c.answered = said.number + 1;
      }
    }
    left = left.subspan(header_bytes + length);
  }
  byte_buffer rest;
  rest.append(left);
  c.arrived = std::move(rest);
}

void honest_clients::lose(client& c) {
  if (c.lost) return;
  c.lost = true;
  ++lost_;
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, c.way.fd, nullptr);
  ::close(c.way.fd);
}

nlohmann::json honest_clients::take_figures() {
  const std::int64_t now = clock_ns();
  std::int64_t longest_ns = 0;
  unsigned waiting = 0;
  for (const client& c : clients_) {
    if (c.lost || c.answered == c.next) continue;
    const std::int64_t waits_ns = now - (c.first_ns + c.answered * c.interval_ns);
    longest_ns = std::max(longest_ns, waits_ns);
    if (waits_ns > 1'000'000'000) ++waiting;
  }
  // A message that never comes must show in the shares, too: once for each message that its client is owed.
  for (const client& c : clients_)
    for (std::uint32_t n = c.answered; !c.lost && n < c.next; ++n)
      if (const std::int64_t waits_ns = now - (c.first_ns + n * c.interval_ns); waits_ns > 1'000'000'000) waits_.record(waits_ns);
  nlohmann::json out{{"sent", sent_},
                     {"deliveries", deliveries_},
                     {"p50_ms", static_cast<double>(waits_.percentile_ns(0.5)) / 1e6},
                     {"p99_ms", static_cast<double>(waits_.percentile_ns(0.99)) / 1e6},
                     {"worst_ms", std::max(static_cast<double>(waits_.max_ns()) / 1e6, static_cast<double>(longest_ns) / 1e6)},
                     {"unanswered_for_1s", waiting},
                     {"out_of_order", out_of_order_},
                     {"lost", lost_}};
  waits_.clear();
  sent_ = deliveries_ = 0;
  return out;
}

} // namespace ringcast::bench

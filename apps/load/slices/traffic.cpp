#include "apps/load/slices/traffic.hpp"

#include <array>
#include <bit>
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

namespace ringcast::load::slices {

using namespace engine;
namespace {

constexpr std::size_t receive_bytes = 256 * 1024;
// Long enough that an interruption of the machine is not taken for a loss, short enough to stop a hopeless run.
constexpr std::int64_t patience_ns = 5'000'000'000;
constexpr std::chrono::milliseconds after_quiet{2};
constexpr std::uint32_t open_loop_outstanding = 4096;

} // namespace

traffic::traffic(const options& chosen)
    : options_{chosen}, sender_{chosen.size, chosen.depth, chosen.nats ? nats_publish_prefix(chosen.size) : std::string{}, chosen.nats ? "\r\n" : ""},
      receiver_{chosen.size, chosen.raw}, buffer_(receive_bytes) {
  if (chosen.deflate || chosen.nats) dialect_ = std::make_unique<dialect>(chosen);
  ring_ = std::bit_ceil(options_.rate > 0 ? open_loop_outstanding : options_.depth);
}

traffic::~traffic() {
  for (const seat& s : seats_) {
    if (s.fd >= 0) ::close(s.fd);
  }
  for (const open_connection& each : stalled_) ::close(each.fd);
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
}

std::expected<nlohmann::json, std::string> traffic::slice(double warmup_s, double seconds) {
  verification_ = verification::whole_payload;
  if (warmup_s > 0) run_from_quiet_to_quiet(warmup_s);
  // A server may have something left to do after the last delivery; and the clock of a process that sleeps is exact.
  std::this_thread::sleep_for(after_quiet);
  latency_.clear();
  send_lag_.clear();
  verification_ = verification::header_and_tag;
  snapshot begin = take_snapshot();
  run_from_quiet_to_quiet(seconds);
  std::int64_t own_cpu = process_cpu_ns();
  std::this_thread::sleep_for(after_quiet);
  snapshot end = take_snapshot();
  end.time_ns = quiet_at_ns_;
  end.own_cpu_ns = own_cpu;
  // Whatever comes after everything has arrived came twice; on_frame() says so.
  if (trouble_.empty()) turn(0);
  if (!trouble_.empty()) return std::unexpected{trouble_};
  return report(begin, end);
}

void traffic::run_from_quiet_to_quiet(double seconds) {
  stopping_ = false;
  const std::int64_t start_ns = clock_ns();
  plan_ = schedule{start_ns, options_.rate};
  planned_count_ = 0;
  std::int64_t stop_at_ns = start_ns + static_cast<std::int64_t>(seconds * 1e9);
  if (!plan_.is_open_loop()) {
    for (std::uint32_t t = 0; t < talkers_.size(); ++t) {
      for (unsigned i = 0; i < options_.depth; ++i) publish(t, 0);
    }
  }
  std::int64_t last_progress_ns = start_ns;
  std::uint64_t last_deliveries = deliveries_;
  while (trouble_.empty()) {
    std::int64_t now = clock_ns();
    stopping_ = now >= stop_at_ns;
    if (options_.rate > 0 && !stopping_) publish_due(now);
    flush_dirty();
    if (stopping_ && completed_ == messages_) break;
    if (deliveries_ != last_deliveries || completed_ == messages_) {
      last_progress_ns = now;
      last_deliveries = deliveries_;
    } else if (now - last_progress_ns > patience_ns) {
      fail(fmt::format("{} of {} messages were not delivered to everybody", messages_ - completed_, messages_), true);
    }
    // The open loop never sleeps: a late wake-up would be a late send.
    turn(options_.rate > 0 && !stopping_ ? 0 : 20);
  }
  quiet_at_ns_ = clock_ns();
}

void traffic::lay_out() {
  auto add_seat = [this](std::uint32_t in_room, bool talks) {
    auto index = static_cast<std::uint32_t>(seats_.size());
    seats_.push_back({.room = in_room});
    if (!talks) return;
    seats_.back().talker = static_cast<std::uint32_t>(talkers_.size());
    talkers_.push_back({.seat = index, .slot = rooms_[in_room].talkers++});
  };
  auto add_room = [this] {
    rooms_.push_back({.first_talker = static_cast<std::uint32_t>(talkers_.size())});
    return static_cast<std::uint32_t>(rooms_.size() - 1);
  };
  switch (options_.what) {
  case pattern::broadcast: {
    std::uint32_t only = add_room();
    for (unsigned i = 0; i < options_.connections; ++i) add_seat(only, false);
    add_seat(only, true);
    talkers_.back().hearers = options_.connections;
    break;
  }
  case pattern::chat:
    for (unsigned r = 0; r < options_.rooms; ++r) {
      std::uint32_t here = add_room();
      unsigned members = options_.connections / options_.rooms;
      for (unsigned i = 0; i < members; ++i) {
        add_seat(here, true);
        talkers_.back().hearers = members - 1;
      }
    }
    break;
  default:
    for (unsigned i = 0; i < options_.connections; ++i) {
      add_seat(add_room(), true);
      talkers_.back().hearers = 1;
    }
  }
  std::uint32_t pairs = 0;
  for (seat& s : seats_) {
    s.first_pair = pairs;
    pairs += rooms_[s.room].talkers;
  }
  ledger_ = ledger{pairs};
  missing_.resize(talkers_.size() * ring_);
  if (options_.rate > 0) planned_ns_.resize(talkers_.size() * ring_);
}

std::expected<void, std::string> traffic::open() {
  lay_out();
  const auto count = static_cast<unsigned>(seats_.size());
  auto request_of = [this, count](unsigned i) -> request {
    if (options_.raw) return {};
    if (options_.what == pattern::echo) return {.path = "/echo"};
    if (i >= count) return {.path = fmt::format("/broadcast/bench-{}", seats_[0].room)};
    const bool talks = seats_[i].talker != nobody;
    return {.path = fmt::format("/broadcast/bench-{}{}", seats_[i].room, talks ? "?self=0" : ""), .hears = !talks};
  };
  auto opened = open_connections(options_, count + options_.stalled, request_of);
  if (!opened) return std::unexpected{opened.error()};
  for (unsigned i = count; i < opened->size(); ++i) stalled_.push_back(std::move((*opened)[i]));
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  for (std::uint32_t i = 0; i < seats_.size(); ++i) {
    seats_[i].fd = (*opened)[i].fd;
    seats_[i].through = std::move((*opened)[i].through);
    epoll_event event{.events = EPOLLIN, .data = {.u32 = i}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, seats_[i].fd, &event);
  }
  return {};
}

void traffic::turn(int timeout_ms) {
  std::array<epoll_event, 256> events; // Filled by the kernel, so left as it is.
  int ready = ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), timeout_ms);
  for (int i = 0; i < ready && trouble_.empty(); ++i) on_ready(events[i].data.u32, events[i].events);
}

void traffic::on_ready(std::uint32_t index, std::uint32_t what) {
  seat& at = seats_[index];
  if ((what & EPOLLOUT) && at.talker != nobody) flush(at.talker);
  if (!(what & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  bool counting = options_.receive == receive_mode::count;
  ssize_t got = ::recv(at.fd, buffer_.data(), counting ? 1 << 24 : buffer_.size(), counting ? MSG_TRUNC : 0);
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    return fail(fmt::format("connection {} was closed by the server: {}", index, got ? std::strerror(errno) : "end of stream"), true);
  }
  if (options_.rate > 0) received_at_ns_ = clock_ns();
  if (options_.ignore_answers && at.talker != nobody) return;
  if (counting) {
    // Only layouts with one talker to a room get here, so the tag of each frame is known.
    for (std::size_t k = receiver_.skip(static_cast<std::size_t>(got), at.in); k; --k) {
      on_frame(at, {0, ledger_.expects(at.first_pair)});
    }
  } else if (at.through) {
    on_linked(index, {buffer_.data(), static_cast<std::size_t>(got)});
  } else {
    on_plain(index, {buffer_.data(), static_cast<std::size_t>(got)});
  }
  if (options_.what == pattern::echo && talkers_[at.talker].dirty) flush(at.talker);
}

void traffic::on_plain(std::uint32_t index, std::span<const std::uint8_t> bytes) {
  seat& at = seats_[index];
  if (!receiver_.consume(bytes, at.in, verification_ == verification::whole_payload, [&](short_tag tag) { on_frame(at, tag); })) {
    fail(fmt::format("connection {} got a frame that nobody sent", index), true);
  }
}

void traffic::on_linked(std::uint32_t index, std::span<std::uint8_t> bytes) {
  seat& at = seats_[index];
  at.through->feed(std::as_writable_bytes(bytes), [&](std::span<std::byte> plaintext) {
    if (!dialect_) return on_plain(index, {reinterpret_cast<const std::uint8_t*>(plaintext.data()), plaintext.size()});
    at.through->gathered.append(plaintext);
    if (!dialect_->consume(at.through->gathered, verification_ == verification::whole_payload, [&](short_tag tag) { on_frame(at, tag); })) {
      fail(fmt::format("connection {} got a frame that nobody sent", index), true);
    }
  });
  if (at.through->broken()) fail(fmt::format("the TLS session of connection {} ended", index), true);
}

void traffic::on_frame(seat& at, short_tag tag) {
  const room& here = rooms_[at.room];
  if (tag.sender >= here.talkers || ledger_.take(at.first_pair + tag.sender, tag.number) != arrival::in_order) {
    return fail(fmt::format("a message was lost, repeated or out of order: sender {}, number {}", tag.sender, tag.number), true);
  }
  std::uint32_t index = here.first_talker + tag.sender;
  talker& from = talkers_[index];
  if (tag.number - from.completed >= from.out.next - from.completed) {
    return fail(fmt::format("message {} of sender {} arrived before it was sent", tag.number, tag.sender), true);
  }
  ++deliveries_;
  std::size_t place = std::size_t{index} * ring_ + (tag.number & (ring_ - 1));
  if (!planned_ns_.empty()) latency_.record(received_at_ns_ - planned_ns_[place]);
  if (--missing_[place]) return;
  ++from.completed;
  ++completed_;
  if (options_.rate == 0 && !stopping_) publish(index, 0);
}

void traffic::publish(std::uint32_t index, std::int64_t planned_ns) {
  talker& from = talkers_[index];
  if (from.out.next - from.completed >= ring_) {
    return fail("the server does not keep up with this rate: 4,096 messages of one sender are outstanding", false);
  }
  std::size_t place = std::size_t{index} * ring_ + (from.out.next & (ring_ - 1));
  missing_[place] = from.hearers;
  if (!planned_ns_.empty()) planned_ns_[place] = planned_ns;
  ++from.out.next;
  ++messages_;
  mark_dirty(index);
}

void traffic::publish_due(std::int64_t now) {
  for (;;) {
    const std::int64_t planned = plan_.due_ns(planned_count_);
    if (planned > now || !trouble_.empty()) return;
    publish(static_cast<std::uint32_t>(planned_count_ % talkers_.size()), planned);
    ++planned_count_;
    send_lag_.record(now - planned);
  }
}

void traffic::mark_dirty(std::uint32_t index) {
  if (talkers_[index].dirty) return;
  talkers_[index].dirty = true;
  dirty_.push_back(index);
}

void traffic::flush(std::uint32_t index) {
  talker& from = talkers_[index];
  int fd = seats_[from.seat].fd;
  link* const through = seats_[from.seat].through.get();
  send_status result = through ? send_through(*through, fd, from) : sender_.flush(fd, from.slot, from.out);
  if (result == send_status::failed) return fail(fmt::format("cannot send: {}", std::strerror(errno)), true);
  from.dirty = false;
  bool blocked = result == send_status::blocked;
  if (blocked == from.blocked) return;
  from.blocked = blocked;
  epoll_event event{.events = blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, .data = {.u32 = from.seat}};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

send_status traffic::send_through(link& through, int fd, talker& from) {
  for (;;) {
    if (const send_status earlier = through.send(fd); earlier != send_status::done) return earlier;
    if (from.out.empty()) return send_status::done;
    if (options_.deflate) {
      static byte_buffer frames;
      frames.clear();
      for (; !from.out.empty(); ++from.out.first) dialect_->compose_compressed({from.slot, from.out.first}, frames);
      through.write(frames.bytes());
    } else {
      std::uint32_t frames = 0;
      through.write(std::as_bytes(sender_.prepare(from.slot, from.out, frames)));
      from.out.first += frames;
    }
  }
}

void traffic::flush_dirty() {
  for (std::uint32_t index : dirty_) {
    if (talkers_[index].dirty && trouble_.empty()) flush(index);
  }
  dirty_.clear();
}

traffic::snapshot traffic::take_snapshot() {
  snapshot s;
  auto cpu = cpu_ns_of(options_.server_pid);
  if (!cpu) fail(cpu.error(), false);
  s.server_cpu_ns = cpu.value_or(0);
  s.time_ns = clock_ns();
  s.own_cpu_ns = process_cpu_ns();
  s.messages = messages_;
  s.deliveries = deliveries_;
  const cpu_ticks ticks = cpu_ticks_of(options_.server_pid);
  s.server_ticks_ns = ticks.user_ns + ticks.system_ns;
  s.server_schedstat_ns = cpu_schedstat_ns_of(options_.server_pid);
  return s;
}

nlohmann::json traffic::report(const snapshot& begin, const snapshot& end) const {
  auto wall_ns = static_cast<double>(end.time_ns - begin.time_ns);
  auto deliveries = static_cast<double>(end.deliveries - begin.deliveries);
  auto per_message_us = [&](std::int64_t ns) { return deliveries > 0 ? static_cast<double>(ns) / 1000.0 / deliveries : 0.0; };
  nlohmann::json out;
  out["loop"] = options_.rate > 0 ? "open" : "closed";
  out["seconds"] = wall_ns / 1e9;
  out["messages"] = end.messages - begin.messages;
  out["deliveries"] = end.deliveries - begin.deliveries;
  out["deliveries_per_second"] = deliveries / (wall_ns / 1e9);
  out["messages_per_second"] = static_cast<double>(end.messages - begin.messages) / (wall_ns / 1e9);
  out["generator_cpu_share"] = static_cast<double>(end.own_cpu_ns - begin.own_cpu_ns) / wall_ns;
  out["lost"] = 0;
  if (options_.deflate && dialect_->frames() > 0) {
    out["compressed_share"] = static_cast<double>(dialect_->compressed_frames()) / static_cast<double>(dialect_->frames());
  }
  if (options_.server_pid) {
    out["server_cpu_us_per_message"] = per_message_us(end.server_cpu_ns - begin.server_cpu_ns);
    out["server_cpu_us_per_message_by_ticks"] = per_message_us(end.server_ticks_ns - begin.server_ticks_ns);
    out["server_cpu_us_per_message_by_schedstat"] = per_message_us(end.server_schedstat_ns - begin.server_schedstat_ns);
    out["server_cpu_share"] = static_cast<double>(end.server_cpu_ns - begin.server_cpu_ns) / wall_ns;
  }
  if (options_.rate > 0) {
    out["rate"] = options_.rate;
    out["latency_us"] = json_of(latency_);
    out["send_lag_us"] = json_of(send_lag_);
  }
  return out;
}

void traffic::fail(std::string why, bool lost) {
  if (!trouble_.empty()) return;
  trouble_ = std::move(why);
  lost_ = lost;
}

} // namespace ringcast::load::slices

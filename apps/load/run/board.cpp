#include "apps/load/run/board.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <unistd.h>

namespace ringcast::load {

namespace {

// The others have to wake up to see that a step has started, and its first messages are not to be late for that.
constexpr std::int64_t head_start_ns = 1'000'000;

} // namespace

board::board(unsigned workers, std::size_t senders, std::uint32_t slots)
    : workers_{workers}, slots_{slots}, common_{1, sharing::with_children}, of_workers_{std::size_t{workers} + 1, sharing::with_children},
      senders_{senders, sharing::with_children}, messages_{senders * slots, sharing::with_children} {
  for (unsigned i = 0; i <= workers; ++i) {
    doorbells_.push_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (doorbells_.back() < 0) throw std::runtime_error{fmt::format("no descriptor is left: {}", std::strerror(errno))};
  }
}

board::~board() {
  for (const int fd : doorbells_) ::close(fd);
}

void board::begin_step(const load_step& step) {
  common_[0].step = step;
  common_[0].quiet.store(0, std::memory_order_relaxed);
  common_[0].ready.store(0, std::memory_order_relaxed);
  common_[0].started_ns.store(0, std::memory_order_relaxed);
  common_[0].step_number.fetch_add(1, std::memory_order_release);
  for (unsigned w = 0; w < workers_; ++w) ring(w);
}

void board::be_ready() {
  if (common_[0].ready.fetch_add(1, std::memory_order_acq_rel) + 1 < workers_) return;
  common_[0].started_ns.store(elapsed_ns() + (workers_ > 1 ? head_start_ns : 0), std::memory_order_release);
  for (unsigned w = 0; w < workers_; ++w) ring(w);
}

void board::finish_step(unsigned worker, std::uint32_t number, const load_result& found) {
  of_workers_[worker].found = found;
  of_workers_[worker].finished.store(number, std::memory_order_release);
  ring(conductor());
}

bool board::has_finished(unsigned worker, std::uint32_t number) const {
  return of_workers_[worker].finished.load(std::memory_order_acquire) >= number;
}

void board::abort(unsigned by) {
  std::uint32_t nobody = 0;
  common_[0].aborted_by.compare_exchange_strong(nobody, by + 1);
  for (unsigned w = 0; w <= workers_; ++w) ring(w);
}

std::optional<unsigned> board::aborted_by() const {
  const std::uint32_t by = common_[0].aborted_by.load();
  return by ? std::optional{by - 1} : std::nullopt;
}

void board::be_quiet() {
  if (common_[0].quiet.fetch_add(1, std::memory_order_acq_rel) + 1 < workers_) return;
  for (unsigned w = 0; w < workers_; ++w) ring(w);
}

void board::note_arrival(unsigned worker, std::int64_t when_ns) { of_workers_[worker].last_arrival_ns.store(when_ns, std::memory_order_relaxed); }

std::int64_t board::last_arrival_ns() const {
  std::int64_t last = 0;
  for (unsigned w = 0; w < workers_; ++w) last = std::max(last, of_workers_[w].last_arrival_ns.load(std::memory_order_relaxed));
  return last;
}

void board::ring(unsigned who) {
  if (of_workers_[who].rung.exchange(1)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(doorbells_[who], &one, sizeof one);
}

void board::answer(unsigned who) {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t read = ::read(doorbells_[who], &count, sizeof count);
  // Only now: whoever rings from here on writes again, and what was done before the ring is looked at after this.
  of_workers_[who].rung.exchange(0);
}

void board::tell_progress(unsigned worker, const live_counts& counts, const histogram* latency) {
  of_worker& w = of_workers_[worker];
  w.live = counts;
  latency ? void(w.latency = *latency) : w.latency.clear();
  w.asked.store(0, std::memory_order_release);
}

void board::publish(std::uint32_t sender, std::uint32_t number, const sent_message& sent, std::uint32_t hearing) {
  slot& to = slot_of(sender, number);
  to.state.store(being_written, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  to.ticks.store(sent.ticks, std::memory_order_relaxed);
  to.sent_ns.store(sent.sent_ns, std::memory_order_relaxed);
  to.state.store(std::uint64_t{number} << 32 | hearing, std::memory_order_release);
  senders_[sender].store(number + 1, std::memory_order_release);
}

std::optional<board::sent_message> board::find(std::uint32_t sender, std::uint32_t number) const {
  const slot& from = slot_of(sender, number);
  const auto holds_it = [&](std::uint64_t state) { return state >> 32 == number && state != being_written; };
  if (!holds_it(from.state.load(std::memory_order_acquire))) return {};
  const sent_message out{.ticks = from.ticks.load(std::memory_order_relaxed), .sent_ns = from.sent_ns.load(std::memory_order_relaxed)};
  std::atomic_thread_fence(std::memory_order_acquire);
  if (!holds_it(from.state.load(std::memory_order_relaxed))) return {};
  return out;
}

bool board::heard(std::uint32_t sender, std::uint32_t number) {
  std::atomic<std::uint64_t>& state = slot_of(sender, number).state;
  std::uint64_t seen = state.load(std::memory_order_relaxed);
  while (seen >> 32 == number && static_cast<std::uint32_t>(seen) != 0 && seen != being_written) {
    if (state.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) return static_cast<std::uint32_t>(seen - 1) == 0;
  }
  return false;
}

bool board::is_complete(std::uint32_t sender, std::uint32_t number) const {
  return static_cast<std::uint32_t>(slot_of(sender, number).state.load(std::memory_order_acquire)) == 0;
}

void board::give_up(std::uint32_t sender, std::uint32_t number) {
  slot_of(sender, number).state.store(std::uint64_t{number} << 32, std::memory_order_release);
}

} // namespace ringcast::load

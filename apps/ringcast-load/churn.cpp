#include "apps/ringcast-load/churn.hpp"

#include "apps/ringcast-load/clock.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace ringcast {

namespace {

constexpr std::int64_t storm_patience_ns = 30'000'000'000;
constexpr unsigned under_way_most = 128;

} // namespace

churn::churn(const load_options& options, progress& shown)
    : connection_set{options, 0, options.connections}, progress_{shown} {}

bool churn::run() {
  if (options_.mode == load_mode::connect) {
    if (auto ready = dialer_.prepare(options_.connections); !ready) fail(ready.error());
    for (unsigned i = 0; i < size(); ++i) waiting_.push_back(i);
    phase_ = "warming up";
    connect_again_and_again(options_.warmup_s);
  } else if (!open_all()) {
    return false;
  }
  if (!trouble().empty()) return false;
  phase_ = "measuring";
  measuring_ = true;
  result_.measured = true;
  const std::uint64_t opened_before = opened_;
  if (options_.mode != load_mode::idle) handshakes_.clear();
  const std::int64_t cpu_before = thread_cpu_ns();
  const std::int64_t start = clock_ns();
  switch (options_.mode) {
  case load_mode::connect:
    connect_again_and_again(options_.duration_s);
    break;
  case load_mode::idle:
    stay_idle(options_.duration_s);
    break;
  default:
    storm(options_.duration_s);
  }
  result_.seconds = static_cast<double>(clock_ns() - start) / 1e9;
  result_.generator_cpu_s = static_cast<double>(thread_cpu_ns() - cpu_before) / 1e9;
  result_.opened = opened_ - opened_before;
  result_.connections = open_count();
  return trouble().empty();
}

void churn::connect_again_and_again(double seconds) {
  const std::int64_t start = clock_ns();
  const auto stop = start + static_cast<std::int64_t>(seconds * 1e9);
  begun_ = 0;
  for (std::int64_t now = start; trouble().empty() && now < stop; now = clock_ns()) {
    const double allowed = options_.rate > 0 ? static_cast<double>(now - start) / 1e9 * options_.rate + 1 : 1e18;
    begin_waiting(allowed);
    turn(options_.rate > 0 ? 200'000 : 20'000'000);
    on_turn();
  }
}

void churn::stay_idle(double seconds) {
  const auto stop = clock_ns() + static_cast<std::int64_t>(seconds * 1e9);
  while (trouble().empty() && clock_ns() < stop) {
    turn(std::clamp<std::int64_t>(stop - clock_ns(), 0, 100'000'000));
    on_turn();
  }
}

void churn::storm(double seconds) {
  const auto stop = clock_ns() + static_cast<std::int64_t>(seconds * 1e9);
  do {
    const std::int64_t lost_at = clock_ns();
    waiting_.clear();
    for (unsigned i = 0; i < size(); ++i) {
      drop(i);
      waiting_.push_back(i);
    }
    begun_ = 0;
    while (trouble().empty() && open_count() < size()) {
      const auto since = static_cast<double>(clock_ns() - lost_at);
      begin_waiting(options_.ramp > 0 ? since / 1e9 * options_.ramp + 1 : 1e18);
      turn(20'000'000);
      on_turn();
      if (since > static_cast<double>(storm_patience_ns)) {
        fail(fmt::format("only {} of {} connections were back 30 s after a storm began", open_count(), size()));
      }
    }
    if (!trouble().empty()) return;
    result_.storm_times.record(clock_ns() - lost_at);
    ++result_.storms;
  } while (clock_ns() < stop);
}

void churn::begin_waiting(double allowed) {
  while (!waiting_.empty() && static_cast<double>(begun_) < allowed && under_way() < under_way_most &&
         trouble().empty()) {
    const unsigned i = waiting_.back();
    waiting_.pop_back();
    if (begin(i)) ++begun_;
  }
}

void churn::on_opened(unsigned i) {
  ++opened_;
  if (options_.mode == load_mode::connect) say_goodbye(i);
}

// Only noted here: a place is used again between two turns, when nothing of the old connection is being looked at any
// more.
void churn::on_ended(unsigned i, stage was, const std::string& why) {
  if (options_.mode == load_mode::connect && was == stage::closing) {
    waiting_.push_back(i);
    return;
  }
  fail(opened_ ? fmt::format("connection {}: {}", i, why) : why);
}

void churn::on_turn() {
  progress_.tick(clock_ns(), {.phase = phase_,
                              .done = opened_,
                              .unit = "connections",
                              .open = open_count(),
                              .errors = errors_,
                              .latency = measuring_ ? &handshakes_ : nullptr});
}

load_result churn::result() const {
  load_result out = result_;
  out.handshakes = handshakes_;
  out.errors = errors_;
  if (!out.connections) out.connections = open_count();
  out.trouble = trouble();
  return out;
}

} // namespace ringcast

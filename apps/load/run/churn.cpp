#include "apps/load/run/churn.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace ringcast::load {

using namespace engine;

namespace {

constexpr std::int64_t storm_patience_ns = 30'000'000'000;
// Who was refused tries again so much later.
constexpr std::int64_t refused_pause_ns = 100'000'000;

} // namespace

churn::churn(const load_options& options, board& shared, unsigned index) : worker{options, shared, index} {}

bool churn::open() {
  if (options_.mode != load_mode::connect) return open_all();
  if (auto ready = dialer_.prepare(options_.connections); !ready) fail(ready.error());
  for (unsigned i = 0; i < size(); ++i) waiting_.push_back(i);
  return trouble().empty();
}

void churn::run(const load_step& step) {
  if (step.measured && !measuring_) {
    result_.measured = true;
    if (options_.mode != load_mode::idle) handshakes_.clear();
  }
  measuring_ = step.measured;
  const std::uint64_t opened_before = opened_;
  const std::int64_t cpu_before_ns = thread_cpu_ns();
  const std::int64_t wait_before_ns = thread_wait_ns();
  switch (options_.mode) {
  case load_mode::connect: connect_again_and_again(step); break;
  case load_mode::idle: stay_idle(step); break;
  default: is_held() ? hold(step) : storm(step);
  }
  if (!measuring_) return;
  result_.seconds += static_cast<double>(board_.elapsed_ns() - step.start_ns) / 1e9;
  result_.generator_cpu_s += static_cast<double>(thread_cpu_ns() - cpu_before_ns) / 1e9;
  result_.generator_wait_s += static_cast<double>(thread_wait_ns() - wait_before_ns) / 1e9;
  result_.opened += opened_ - opened_before;
  result_.connections = open_count();
}

void churn::connect_again_and_again(const load_step& step) {
  const auto stop = step.start_ns + static_cast<std::int64_t>(step.seconds * 1e9);
  begun_ = 0;
  for (std::int64_t now = board_.elapsed_ns(); is_going() && now < stop; now = board_.elapsed_ns()) {
    begin_waiting(step.rate > 0 ? static_cast<double>(now - step.start_ns) / 1e9 * step.rate : 1e18);
    turn(step.rate > 0 ? 200'000 : 20'000'000);
    on_turn();
  }
}

void churn::stay_idle(const load_step& step) {
  const auto stop = step.start_ns + static_cast<std::int64_t>(step.seconds * 1e9);
  for (std::int64_t now = board_.elapsed_ns(); is_going() && now < stop; now = board_.elapsed_ns()) {
    turn(std::min<std::int64_t>(stop - now, 100'000'000));
    on_turn();
  }
}

void churn::storm(const load_step& step) {
  waiting_.clear();
  for (unsigned i = 0; i < size(); ++i) {
    drop(i);
    waiting_.push_back(i);
  }
  begun_ = 0;
  while (is_going() && open_count() < size()) {
    const std::int64_t since_ns = board_.elapsed_ns() - step.start_ns;
    begin_waiting(options_.ramp > 0 ? static_cast<double>(since_ns) / 1e9 * options_.ramp : 1e18);
    turn(20'000'000);
    on_turn();
    if (since_ns > storm_patience_ns) fail(fmt::format("only {} of {} connections were back 30 s after a storm began", open_count(), size()));
  }
  if (!is_going()) return;
  result_.storm_end_ns = board_.elapsed_ns();
  ++result_.storms;
}

void churn::hold(const load_step& step) {
  held_since_ns_ = step.start_ns;
  const auto stop = step.start_ns + static_cast<std::int64_t>(step.seconds * 1e9);
  std::int64_t next_try = step.start_ns;
  for (std::int64_t now = board_.elapsed_ns(); is_going() && now < stop; now = board_.elapsed_ns()) {
    if (now >= next_try) {
      waiting_.insert(waiting_.end(), refused_.begin(), refused_.end());
      refused_.clear();
      next_try = now + refused_pause_ns;
    }
    begin_waiting(1e18);
    turn(std::min<std::int64_t>(stop - now, 20'000'000));
    on_turn();
  }
}

void churn::note_return() {
  ++result_.returns.returned;
  const auto second = static_cast<std::size_t>((board_.elapsed_ns() - held_since_ns_) / 1'000'000'000);
  ++result_.returns.returned_in_second[std::min(second, return_counts::seconds_max - 1)];
}

// Of a rate over all workers, connection k of a step is the business of worker k % workers.
void churn::begin_waiting(double allowed_in_run) {
  while (!waiting_.empty() && static_cast<double>(begun_ * board_.workers() + index_) <= allowed_in_run && has_opening_room() && trouble().empty()) {
    const unsigned i = waiting_.back();
    waiting_.pop_back();
    if (begin(i)) ++begun_;
  }
}

void churn::on_opened(unsigned i) {
  ++opened_;
  if (options_.mode == load_mode::connect) say_goodbye(i);
  if (is_held() && held_since_ns_ != 0) note_return();
}

// Only noted here: a place is used again between two turns, when nothing of the old connection is being looked at any
// more.
void churn::on_ended(unsigned i, stage was, const std::string& why) {
  if (options_.mode == load_mode::connect && was == stage::closing) {
    waiting_.push_back(i);
    return;
  }
  if (is_held() && held_since_ns_ != 0) {
    return_counts& returns = result_.returns;
    if (was == stage::open) {
      ++returns.ended;
      waiting_.push_back(i);
    } else {
      ++returns.refused;
      if (returns.refusal.empty()) returns.refusal = short_text{why};
      refused_.push_back(i);
    }
    return;
  }
  fail(opened_ ? fmt::format("connection {}: {}", ordinal(i), why) : why);
}

live_counts churn::counts() const { return {.done = opened_, .open = open_count(), .errors = errors_}; }

load_result churn::result() const {
  load_result out = result_;
  out.handshakes = handshakes_;
  out.errors = errors_ - out.returns.ended; // which is what was waited for
  out.compression = compression_;
  if (!out.connections) out.connections = open_count();
  out.trouble = short_text{trouble()};
  return out;
}

} // namespace ringcast::load

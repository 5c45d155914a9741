#include "apps/ringcast-load/rate_search.hpp"

namespace ringcast::load {

namespace {

constexpr double first_rate = 1000;
constexpr double least_rate = 1;
constexpr double precision = 1.05;
constexpr double reached_share = 0.98; // A rate that was not really sent does not count as kept.

} // namespace

void search_rate(conductor& load, report& out) {
  const load_options& options = out.options;
  double held = 0;
  double broken = 0;
  double rate = options.rate > 0 ? options.rate : first_rate;
  while (broken == 0 || held == 0 || broken > held * precision) {
    if (!load.measure(options.duration_s, rate)) break;
    const load_result found = load.result();
    rate_step step{.rate = rate,
                   .achieved = static_cast<double>(found.messages) / options.duration_s,
                   .latency_ns = found.corrected.percentile_ns(options.bound->share)};
    step.holds =
        step.latency_ns <= static_cast<std::uint64_t>(options.bound->limit_ns) && step.achieved >= rate * reached_share && found.totals.holds();
    out.steps.push_back(step);
    (step.holds ? held : broken) = rate;
    if (!found.totals.holds() || rate < least_rate) break;
    rate = broken == 0 ? rate * 2 : held == 0 ? rate / 4 : (held + broken) / 2;
  }
  out.found_rate = held;
}

} // namespace ringcast::load

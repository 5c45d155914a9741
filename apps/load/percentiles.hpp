// Which percentiles of a histogram every report shows, and how they stand in JSON.
#pragma once

#include "apps/load/histogram.hpp"

#include <array>
#include <nlohmann/json.hpp>

namespace ringcast::load {

struct quantile {
  const char* name;
  double share;
};
inline constexpr std::array<quantile, 5> quantiles{{{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p99.9", .999}, {"p99.99", .9999}}};

// In microseconds, with the largest value and the number of values.
[[nodiscard]] inline nlohmann::ordered_json json_of(const histogram& of) {
  nlohmann::ordered_json out;
  for (const quantile& q : quantiles) out[q.name] = static_cast<double>(of.percentile_ns(q.share)) / 1000;
  out["max"] = static_cast<double>(of.max_ns()) / 1000;
  out["count"] = of.total();
  return out;
}

} // namespace ringcast::load

// The report of a run, in its three forms: for people, for programs (JSON, described in README.md), and for
// HdrHistogram's tools.
#pragma once

#include "apps/load/run/options.hpp"
#include "apps/load/run/plan.hpp"
#include "apps/load/run/result.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ringcast::load {

// One step of --max-rate-under.
struct rate_step {
  double rate = 0;
  double achieved = 0; // Messages a second that were really sent.
  std::uint64_t latency_ns = 0;
  bool holds = false;
};

struct report {
  const load_options& options;
  run_plan plan;
  load_result result;
  std::optional<server_usage> server;
  std::vector<rate_step> steps;
  double found_rate = 0;
  std::vector<std::string> failed_asserts;

  // Why the figures say more about the generator than about the server; empty if they do not.
  [[nodiscard]] std::vector<std::string> doubts() const;
  // Those, and what else a reader of the figures has to know.
  [[nodiscard]] std::vector<std::string> notes() const;
  // By the names that --assert uses.
  [[nodiscard]] std::map<std::string, double> figures() const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string json() const;
  [[nodiscard]] std::string hgrm() const;
  // The first line of text().
  [[nodiscard]] std::string head() const;
};

} // namespace ringcast::load

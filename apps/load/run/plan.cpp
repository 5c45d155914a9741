#include "apps/load/run/plan.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sys/resource.h>

namespace ringcast::load {

namespace {

// Standard streams, epoll and event descriptors, name resolution, the files of the report.
constexpr std::uint64_t descriptors_besides = 64;
constexpr std::uint64_t descriptors_per_worker = 3;
constexpr unsigned processes_max = 1024;

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max;
}

run_plan spread(unsigned processes, unsigned threads) {
  const unsigned each = (std::max(threads, processes) + processes - 1) / processes;
  return {.processes = processes, .workers = processes * each};
}

bool fits(const run_plan& plan, std::uint64_t connections, std::uint64_t limit) {
  const std::uint64_t per_worker = (connections + plan.workers - 1) / plan.workers;
  return per_worker * (plan.workers / plan.processes) + descriptors_besides + std::uint64_t{plan.workers} * descriptors_per_worker <= limit;
}

} // namespace

std::expected<run_plan, std::string> plan_run(const load_options& options) {
  const std::uint64_t limit = raise_descriptor_limit();
  for (unsigned processes = std::max(options.processes, 1U); processes <= processes_max; ++processes) {
    const run_plan plan = spread(processes, options.threads);
    if (plan.workers > options.connections) break;
    if (fits(plan, options.connections, limit)) return plan;
    if (options.processes) break;
  }
  return std::unexpected{options.processes ? fmt::format("{} connections in {} processes need more descriptors than the {} that a process may have "
                                                         "here; leave --processes out, or raise the limit (ulimit -Hn)",
                                                         options.connections, options.processes, limit)
                                           : fmt::format("{} connections need more descriptors than {} processes may have here, {} each; raise the "
                                                         "limit (ulimit -Hn)",
                                                         options.connections, processes_max, limit)};
}

} // namespace ringcast::load

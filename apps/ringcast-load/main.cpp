// ringcast-load: a load generator for WebSocket servers. Options in, one of the modes, a report out.
#include "apps/load/process_usage.hpp"
#include "apps/load/run/conductor.hpp"
#include "apps/ringcast-load/asserts.hpp"
#include "apps/ringcast-load/options.hpp"
#include "apps/ringcast-load/rate_search.hpp"
#include "apps/ringcast-load/report.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>

namespace ringcast::load {

namespace {

// The measured part, between two looks at what the server has used.
class usage_meter {
 public:
  explicit usage_meter(const load_options& options) : pid_{options.server_pid} {
    if (const auto first = look()) before_ = first->private_bytes;
  }
  void begin() { begin_ = look(); }
  void end() { end_ = look(); }
  [[nodiscard]] std::optional<server_usage> usage() const {
    if (!begin_ || !end_) return {};
    // Each look splits the exact sum by ticks, so a short run may show a hair less than nothing on one side.
    return server_usage{.user_s = std::max(0.0, end_->user_s - begin_->user_s),
                        .system_s = std::max(0.0, end_->system_s - begin_->system_s),
                        .memory_bytes = end_->private_bytes,
                        .memory_bytes_before = before_};
  }
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  std::optional<process_usage> look() {
    if (!pid_) return {};
    const auto usage = usage_of(pid_);
    if (usage) return *usage;
    trouble_ = usage.error();
    return {};
  }

  pid_t pid_;
  std::int64_t before_ = 0;
  std::optional<process_usage> begin_;
  std::optional<process_usage> end_;
  std::string trouble_;
};

// Messages that a wrong server sends once more, or late, come soon after the last ones.
constexpr double listening_s = 0.1;

void run_load(report& out, usage_meter& usage) {
  const load_options& options = out.options;
  conductor load{options, out.plan};
  const bool has_warmup = has_messages(options.mode) || options.mode == load_mode::connect;
  if (load.open() && load.warm_up(has_warmup ? options.warmup_s : 0, options.bound ? 0 : options.rate)) {
    usage.begin();
    if (options.bound) {
      search_rate(load, out);
    } else if (options.mode == load_mode::reconnect_storm && !options.ended_by_server) {
      load.measure_storms(options.duration_s);
    } else {
      load.measure(options.duration_s, options.rate);
    }
    usage.end();
    if (has_messages(options.mode)) load.listen(listening_s);
  }
  out.result = load.result();
}

bool write_file(const std::string& name, const std::string& text) {
  if (name.empty()) return true;
  std::ofstream file{name, std::ios::binary};
  file << text;
  file.close();
  if (file) return true;
  std::fprintf(stderr, "cannot write %s\n", name.c_str());
  return false;
}

int run(const load_options& options) {
  usage_meter usage{options};
  if (!usage.trouble().empty()) {
    std::fprintf(stderr, "%s\n", usage.trouble().c_str());
    return 2;
  }
  const auto plan = plan_run(options);
  if (!plan) {
    std::fprintf(stderr, "%s\n", plan.error().c_str());
    return 2;
  }
  report out{.options = options, .plan = *plan};
  run_load(out, usage);
  out.server = usage.usage();
  const auto figures = out.figures();
  for (const assertion& claim : options.asserts) {
    if (holds(claim, figures)) continue;
    const auto found = figures.find(claim.figure);
    const bool is_time = !claim.limit_is_plain;
    const std::string value = found == figures.end() ? "there is no such figure in this run"
                              : is_time              ? "it is " + fmt::format("{:.3f} ms", found->second / 1e6)
                                                     : "it is " + fmt::format("{:.6g}", found->second);
    out.failed_asserts.push_back(fmt::format("{} ({})", claim.text, value));
  }
  std::fputs(out.text().c_str(), stdout);
  std::fflush(stdout);
  bool written = write_file(options.json_file, out.json());
  written = write_file(options.hgrm_file, out.hgrm()) && written;
  if (!out.result.trouble.empty()) fmt::print(stderr, "{}\n", out.result.trouble.view());
  if (!written || !out.result.trouble.empty() || !usage.trouble().empty()) return 2;
  return out.result.totals.holds() && out.result.resuming.holds() && out.result.order.holds() && out.failed_asserts.empty() ? 0 : 1;
}

} // namespace

} // namespace ringcast::load

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const ringcast::load::parse_outcome parsed = ringcast::load::parse_options(argc, argv);
  return parsed.options ? ringcast::load::run(*parsed.options) : parsed.exit_code;
}

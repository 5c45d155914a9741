#include "apps/load/run/progress.hpp"

#include "apps/load/run/figures.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace ringcast::load {

namespace {

std::size_t columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

} // namespace

progress::progress() : terminal_{::isatty(STDERR_FILENO) == 1} {}

bool progress::is_due(std::int64_t now_ns) const { return now_ns - last_ns_ >= std::int64_t{interval_ms()} * 1'000'000 - 5'000'000; }

void progress::show(std::int64_t now_ns, const state& now) {
  // What is counted differs between two phases, and so a rate across both would be none.
  const bool first = last_phase_ != now.phase || now.done < last_done_;
  const double seconds = static_cast<double>(now_ns - last_ns_) / 1e9;
  const std::uint64_t done = now.done - last_done_;
  last_ns_ = now_ns;
  last_done_ = now.done;
  last_phase_ = now.phase;
  if (first) return;
  std::string line = fmt::format("{:<10} {:>9} {}/s", now.phase, with_separators(static_cast<double>(done) / seconds), now.unit);
  if (now.latency.total()) {
    line += fmt::format("  p50 {:>7}  p99 {:>7}", duration_text(now.latency.percentile_ns(0.5)), duration_text(now.latency.percentile_ns(0.99)));
  }
  line += fmt::format("  open {}  errors {}", with_separators(static_cast<double>(now.open)), with_separators(static_cast<double>(now.errors)));
  // A line that wraps could not be rewritten in place.
  if (terminal_) line.resize(std::min(line.size(), columns() - 1));
  // Progress is no part of the result, so it goes where a pipe does not carry it.
  std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", line.c_str());
  line_open_ = terminal_;
}

void progress::finish() {
  if (line_open_) std::fprintf(stderr, "\r\x1b[K");
  line_open_ = false;
}

} // namespace ringcast::load

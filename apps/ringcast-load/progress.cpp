#include "apps/ringcast-load/progress.hpp"

#include "apps/ringcast-load/figures.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

namespace ringcast {

progress::progress(bool quiet) : quiet_{quiet}, terminal_{::isatty(STDERR_FILENO) == 1} {}

void progress::tick(std::int64_t now_ns, const state& now) {
  const std::int64_t interval_ns = terminal_ ? 250'000'000 : 1'000'000'000;
  if (quiet_ || now_ns - last_ns_ < interval_ns) return;
  const bool first = last_ns_ == 0;
  const double seconds = static_cast<double>(now_ns - last_ns_) / 1e9;
  const std::uint64_t done = now.done >= last_done_ ? now.done - last_done_ : now.done;
  last_ns_ = now_ns;
  last_done_ = now.done;
  if (first) return;
  std::string line =
      fmt::format("{:<11}{:>10} {}/s", now.phase, with_separators(static_cast<double>(done) / seconds), now.unit);
  if (now.latency && now.latency->total()) {
    line += fmt::format("   p50 {:>8}   p99 {:>8}", duration_text(now.latency->percentile_ns(0.5)),
                        duration_text(now.latency->percentile_ns(0.99)));
  }
  line += fmt::format("   open {}   errors {}", with_separators(now.open),
                      with_separators(static_cast<double>(now.errors)));
  // Progress is no part of the result, so it goes where a pipe does not carry it.
  std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", line.c_str());
  line_open_ = terminal_;
}

void progress::finish() {
  if (line_open_) std::fprintf(stderr, "\r\x1b[K");
  line_open_ = false;
}

} // namespace ringcast

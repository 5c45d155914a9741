// --assert and --max-rate-under: small expressions over the figures of the report.
#pragma once

#include "apps/load/run/options.hpp"

#include <expected>
#include <map>
#include <string>
#include <string_view>

namespace ringcast::load {

// "p99<5ms", "lost==0", "rate>=1000". Durations end in us, ms or s. Or one sentence about what cannot be understood.
[[nodiscard]] std::expected<assertion, std::string> read_assertion(std::string_view text);

// "p99=5ms".
[[nodiscard]] std::expected<latency_bound, std::string> read_bound(std::string_view text);

// The names that an assertion may use.
[[nodiscard]] bool is_figure(std::string_view name);

// Whether it holds for these figures (durations in nanoseconds). A figure that this run does not have fails.
[[nodiscard]] bool holds(const assertion& claim, const std::map<std::string, double>& figures);

} // namespace ringcast::load

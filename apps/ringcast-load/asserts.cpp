#include "apps/ringcast-load/asserts.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>

namespace ringcast::load {

namespace {

constexpr std::array<std::string_view, 6> durations{"p50", "p90", "p99", "p99.9", "p99.99", "max"};
constexpr std::array<std::string_view, 23> counts{"sent",          "expected", "delivered", "lost",        "duplicated",    "reordered",
                                                  "corrupted",     "errors",   "rate",      "connections", "delivery_rate", "cpu_us",
                                                  "unsent",        "cut",      "resumed",   "not_resumed", "replayed",      "misnumbered",
                                                  "whole_members", "ended",    "returned",  "refused",     "peak_returns"};

bool is_duration(std::string_view name) {
  for (std::string_view prefix : {"raw.", "handshake.", "send_lag.", "storm.", "catch_up."}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  return std::ranges::find(durations, name) != durations.end();
}

// A number with a unit, in nanoseconds; without one it is a plain number. -1: neither.
double read_value(std::string_view text, bool& has_unit) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value < 0) return -1;
  const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  has_unit = !unit.empty();
  if (unit.empty()) return value;
  if (unit == "ns") return value;
  if (unit == "us") return value * 1e3;
  if (unit == "ms") return value * 1e6;
  if (unit == "s") return value * 1e9;
  return -1;
}

std::string without_blanks(std::string_view text) {
  std::string out{text};
  std::erase(out, ' ');
  return out;
}

} // namespace

bool is_figure(std::string_view name) { return is_duration(name) || std::ranges::find(counts, name) != counts.end(); }

std::expected<assertion, std::string> read_assertion(std::string_view text) {
  const std::string packed = without_blanks(text);
  const auto at = packed.find_first_of("<>=!");
  assertion out{.text = std::string{text}};
  if (at == std::string::npos) return std::unexpected{fmt::format("--assert: '{}' compares nothing; write it as in p99<5ms", text)};
  std::size_t length = packed.size() > at + 1 && packed[at + 1] == '=' ? 2 : 1;
  out.figure = packed.substr(0, at);
  out.comparison = packed.substr(at, length);
  if (out.comparison == "=") out.comparison = "==";
  if (out.comparison == "!") return std::unexpected{fmt::format("--assert: '{}' has no comparison that is known", text)};
  if (!is_figure(out.figure)) {
    return std::unexpected{fmt::format("--assert: '{}' is not a figure of the report; there are {} (also as raw.p99, "
                                       "handshake.p99, send_lag.p99, storm.p99, catch_up.p99) and {}",
                                       out.figure, fmt::join(durations, " "), fmt::join(counts, " "))};
  }
  bool has_unit = false;
  out.limit = read_value(std::string_view{packed}.substr(at + length), has_unit);
  out.limit_is_plain = !is_duration(out.figure);
  if (out.limit < 0 || has_unit != is_duration(out.figure)) {
    return std::unexpected{
        fmt::format("--assert: '{}' needs {} after {}", text, is_duration(out.figure) ? "a duration as in 5ms" : "a plain number", out.comparison)};
  }
  return out;
}

std::expected<latency_bound, std::string> read_bound(std::string_view text) {
  const std::string packed = without_blanks(text);
  const auto at = packed.find('=');
  latency_bound out{.text = std::string{text}};
  double percent = 0;
  bool has_unit = false;
  double limit = -1;
  if (packed.starts_with('p') && at != std::string::npos) {
    const auto [end, error] = std::from_chars(packed.data() + 1, packed.data() + at, percent);
    if (error == std::errc{} && end == packed.data() + at) limit = read_value(std::string_view{packed}.substr(at + 1), has_unit);
  }
  if (limit <= 0 || !has_unit || percent <= 0 || percent >= 100) {
    return std::unexpected{fmt::format("--max-rate-under: '{}' is not a bound like p99=5ms", text)};
  }
  out.share = percent / 100;
  out.limit_ns = static_cast<std::int64_t>(limit);
  return out;
}

bool holds(const assertion& claim, const std::map<std::string, double>& figures) {
  const auto found = figures.find(claim.figure);
  if (found == figures.end()) return false;
  const double value = found->second;
  if (claim.comparison == "<") return value < claim.limit;
  if (claim.comparison == "<=") return value <= claim.limit;
  if (claim.comparison == ">") return value > claim.limit;
  if (claim.comparison == ">=") return value >= claim.limit;
  if (claim.comparison == "!=") return value != claim.limit;
  return value == claim.limit;
}

} // namespace ringcast::load

#include "apps/load/run/figures.hpp"

#include <fmt/format.h>

namespace ringcast::load {

namespace {

std::string three_digits(double value, const char* unit) { return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit); }

} // namespace

std::string duration_text(std::uint64_t ns) {
  const auto value = static_cast<double>(ns);
  if (value < 999.5e3) return three_digits(value / 1e3, "us");
  if (value < 999.5e6) return three_digits(value / 1e6, "ms");
  return three_digits(value / 1e9, "s");
}

std::string with_separators(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string bytes_text(double bytes) {
  if (bytes < 10'000) return fmt::format("{:.0f} B", bytes);
  if (bytes < 1024.0 * 1024) return three_digits(bytes / 1024, "KiB");
  return three_digits(bytes / 1024 / 1024, "MiB");
}

} // namespace ringcast::load

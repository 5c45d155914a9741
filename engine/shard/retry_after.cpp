#include "engine/shard/retry_after.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

namespace ringcast::engine {

namespace {

// No server means to be left alone for longer than a year, and the arithmetic stays far from any limit.
constexpr std::int64_t seconds_max = 366 * 86'400;

// A cursor over a date; every step says whether it matched.
class date_reader {
 public:
  explicit date_reader(std::string_view text) : rest_(text) {}

  bool skip(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  bool skip_to(char c) {
    const std::size_t at = rest_.find(c);
    if (at == std::string_view::npos) return false;
    rest_.remove_prefix(at + 1);
    return true;
  }
  bool number(std::size_t digits, int& out) {
    if (rest_.size() < digits) return false;
    // asctime fills a day below ten with a space.
    const std::size_t spaces = rest_.front() == ' ' ? 1 : 0;
    const char* end = rest_.data() + digits;
    const auto [at, error] = std::from_chars(rest_.data() + spaces, end, out);
    if (error != std::errc{} || at != end || out < 0) return false;
    rest_.remove_prefix(digits);
    return true;
  }
  bool month(int& out) {
    constexpr std::array<std::string_view, 12> names{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto found = std::ranges::find(names, rest_.substr(0, 3));
    if (found == names.end()) return false;
    out = static_cast<int>(found - names.begin());
    rest_.remove_prefix(3);
    return true;
  }
  bool time(std::tm& t) { return number(2, t.tm_hour) && skip(":") && number(2, t.tm_min) && skip(":") && number(2, t.tm_sec); }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

std::optional<std::time_t> parse_http_date(std::string_view text, std::time_t now) {
  int year = 0;
  // "Sun, 06 Nov 1994 08:49:37 GMT"
  const auto imf = [&](std::tm& t) {
    date_reader in{text};
    return in.skip_to(',') && in.skip(" ") && in.number(2, t.tm_mday) && in.skip(" ") && in.month(t.tm_mon) && in.skip(" ") && in.number(4, year) &&
           in.skip(" ") && in.time(t) && in.skip(" GMT") && in.at_end();
  };
  // "Sunday, 06-Nov-94 08:49:37 GMT"; a year more than 50 years ahead means the last century that had it.
  const auto rfc850 = [&](std::tm& t) {
    date_reader in{text};
    if (!(in.skip_to(',') && in.skip(" ") && in.number(2, t.tm_mday) && in.skip("-") && in.month(t.tm_mon) && in.skip("-") && in.number(2, year) &&
          in.skip(" ") && in.time(t) && in.skip(" GMT") && in.at_end()))
      return false;
    std::tm today{};
    gmtime_r(&now, &today);
    const int this_year = today.tm_year + 1900;
    year += this_year / 100 * 100;
    if (year > this_year + 50) year -= 100;
    return true;
  };
  // "Sun Nov  6 08:49:37 1994"
  const auto asctime = [&](std::tm& t) {
    date_reader in{text};
    return in.skip_to(' ') && in.month(t.tm_mon) && in.skip(" ") && in.number(2, t.tm_mday) && in.skip(" ") && in.time(t) && in.skip(" ") &&
           in.number(4, year) && in.at_end();
  };
  for (int form = 0; form < 3; ++form) {
    std::tm t{};
    if (!(form == 0 ? imf(t) : form == 1 ? rfc850(t) : asctime(t))) continue;
    t.tm_year = year - 1900;
    return timegm(&t);
  }
  return std::nullopt;
}

} // namespace

std::chrono::milliseconds parse_retry_after(std::string_view value, std::time_t now) noexcept {
  if (value.empty()) return {};
  std::int64_t seconds = 0;
  const auto [at, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (at == value.data() + value.size() && value.front() != '-') {
    if (error == std::errc::result_out_of_range) seconds = seconds_max;
    return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, seconds_max));
  }
  const auto date = parse_http_date(value, now);
  if (!date || *date <= now) return {};
  return std::chrono::seconds(std::min<std::int64_t>(*date - now, seconds_max));
}

} // namespace ringcast::engine

// How the value of an option is read and shown: numbers with their units, words, lists.
#include "apps/ringcast-server/options.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numeric>

namespace ringcast {

namespace {

struct unit_name {
  std::string_view name;
  std::uint64_t counts;
  bool is_shown = true;
};

// A number is shown in the first that divides it.
constexpr std::array<unit_name, 9> byte_units{{{"TiB", 1ull << 40},
                                               {"GiB", 1ull << 30},
                                               {"MiB", 1ull << 20},
                                               {"KiB", 1ull << 10},
                                               {"B", 1},
                                               {"kB", 1'000, false},
                                               {"MB", 1'000'000, false},
                                               {"GB", 1'000'000'000, false},
                                               {"TB", 1'000'000'000'000, false}}};
constexpr std::array<unit_name, 6> time_units{
    {{"d", 86'400'000'000}, {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1'000}, {"us", 1}}};

std::span<const unit_name> units_of(number_unit unit) {
  switch (unit) {
  case number_unit::bytes: return byte_units;
  case number_unit::microseconds: return time_units;
  case number_unit::none: break;
  }
  return {};
}

std::string_view kind_of(number_unit unit) {
  switch (unit) {
  case number_unit::bytes: return "a size";
  case number_unit::microseconds: return "a time";
  case number_unit::none: break;
  }
  return "a number";
}

std::string show(number_unit unit, std::uint64_t value) {
  if (value == 0) return "0";
  for (const unit_name& each : units_of(unit))
    if (each.is_shown && value % each.counts == 0) return fmt::format("{}{}", value / each.counts, each.name);
  return fmt::format("{}", value);
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// In the unit, or why it is none.
std::expected<std::uint64_t, std::string> read_number(const number_rules& rules, std::string_view text) {
  const auto none = [&] { return std::unexpected(fmt::format("is not {}", kind_of(rules.unit))); };
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) return std::unexpected("is too large");
  if (error != std::errc{}) return none();
  std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  if (name.size() > 1 && name.starts_with(' ')) name.remove_prefix(1);
  std::uint64_t counts = rules.plain;
  if (!name.empty()) {
    const auto units = units_of(rules.unit);
    const auto found = std::ranges::find_if(units, [&](const unit_name& unit) { return same_word(unit.name, name); });
    if (found == units.end()) return none();
    counts = found->counts;
  }
  if (__builtin_mul_overflow(number, counts, &number) || number > rules.most) return std::unexpected("is too large");
  if (number < rules.least) return std::unexpected("is too small");
  if (number % rules.step != 0) return std::unexpected(fmt::format("is finer than {}", show(rules.unit, rules.step)));
  return number;
}

std::expected<void, std::string> set_number(const number_rules& rules, settings& all, const std::string& value) {
  if (!rules.word.empty() && value == rules.word) {
    rules.set(all, std::nullopt);
    return {};
  }
  const auto number = read_number(rules, value);
  if (!number) return std::unexpected(number.error());
  rules.set(all, *number / rules.step);
  return {};
}

std::expected<void, std::string> set_choice(const choice_rules& rules, settings& all, const std::string& value) {
  const auto found = std::ranges::find(rules.words, value);
  if (found == rules.words.end()) return std::unexpected("is none of the words");
  rules.set(all, static_cast<std::size_t>(found - rules.words.begin()));
  return {};
}

std::string allowed_numbers(const number_rules& rules) {
  std::string text = fmt::format("{} to {}", show(rules.unit, rules.least), show(rules.unit, rules.most));
  if (!rules.word.empty()) text += fmt::format(", or {}", rules.word);
  return text;
}

std::string how_numbers_are_written(const number_rules& rules) {
  if (rules.unit == number_unit::bytes) return " (a number of bytes, or with a unit, like 64KiB or 1MiB)";
  if (rules.unit == number_unit::none) return {};
  return fmt::format(" (a number of {}, or with a unit: us, ms, s, m, h or d)", rules.plain == 1 ? "microseconds" : "seconds");
}

} // namespace

std::string option::variable() const {
  std::string text = "RINGCAST_";
  for (const char c : name) text += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string option::key() const {
  std::string text{name};
  std::ranges::replace(text, '-', '_');
  return text;
}

std::string option::takes() const {
  if (const auto* number = std::get_if<number_rules>(&rules)) {
    const std::string_view what = number->unit == number_unit::bytes ? "SIZE" : number->unit == number_unit::microseconds ? "TIME" : "N";
    return number->word.empty() ? std::string{what} : fmt::format("{}|{}", what, number->word);
  }
  if (const auto* choice = std::get_if<choice_rules>(&rules)) return fmt::format("{}", fmt::join(choice->words, "|"));
  if (const auto* text = std::get_if<text_rules>(&rules)) return std::string{text->takes};
  return std::string{std::get<list_rules>(rules).takes};
}

std::string option::text_of(const settings& all) const {
  if (const auto* number = std::get_if<number_rules>(&rules)) {
    const auto value = number->get(all);
    // A field that cannot be empty holds 0 for the word.
    if (!number->word.empty() && (!value || *value < number->least)) return std::string{number->word};
    return show(number->unit, value.value_or(0) * number->step);
  }
  if (const auto* choice = std::get_if<choice_rules>(&rules)) return std::string{choice->words[choice->get(all)]};
  if (const auto* text = std::get_if<text_rules>(&rules)) return text->get(all);
  return fmt::format("{}", fmt::join(std::get<list_rules>(rules).get(all), ","));
}

std::string option::allowed() const {
  if (const auto* number = std::get_if<number_rules>(&rules)) return allowed_numbers(*number);
  if (const auto* choice = std::get_if<choice_rules>(&rules)) return fmt::format("{}", fmt::join(choice->words, ", "));
  return {};
}

std::expected<void, std::string> option::set(settings& all, std::span<const std::string> values) const {
  if (const auto* list = std::get_if<list_rules>(&rules)) {
    for (const std::string& value : values) {
      const auto checked = list->check != nullptr ? list->check(value) : std::expected<void, std::string>{};
      if (!checked) return checked;
      if (value.empty()) return std::unexpected(fmt::format("'' is not {}", list->takes));
    }
    list->set(all, {values.begin(), values.end()});
    return {};
  }
  if (values.size() != 1) return std::unexpected(fmt::format("is given {} times: '{}'", values.size(), fmt::join(values, "' and '")));
  const std::string& value = values.front();
  std::expected<void, std::string> done;
  std::string how;
  if (const auto* number = std::get_if<number_rules>(&rules)) {
    done = set_number(*number, all, value);
    how = how_numbers_are_written(*number);
  } else if (const auto* choice = std::get_if<choice_rules>(&rules)) {
    done = set_choice(*choice, all, value);
  } else {
    const auto& text = std::get<text_rules>(rules);
    if (const auto checked = text.check != nullptr ? text.check(value) : done; !checked) return checked;
    text.set(all, value);
  }
  if (!done) return std::unexpected(fmt::format("'{}' {}; allowed: {}{}", value, done.error(), allowed(), how));
  return done;
}

namespace {

// How many letters have to be changed, put in, left out or exchanged with their neighbour.
std::size_t difference(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) next[j] = std::min(next[j], before[j - 2] + 1);
    }
    before.swap(row);
    row.swap(next);
  }
  return row[b.size()];
}

// What is longer than any name is compared with none: it may be a megabyte.
constexpr std::size_t name_bytes_max = 64;

} // namespace

std::string nearest(std::string_view given, std::span<const std::string> names) {
  if (given.size() > name_bytes_max) return {};
  const std::string* best = nullptr;
  std::size_t least = 0;
  for (const std::string& name : names) {
    // --ping-interval is --ping-interval-s.
    const std::size_t far = name.starts_with(given) && given.size() >= 4 ? 1 : difference(given, name);
    if (far > std::max<std::size_t>(2, given.size() / 4) || (best != nullptr && far >= least)) continue;
    best = &name;
    least = far;
  }
  return best != nullptr ? fmt::format(", did you mean {}?", *best) : "";
}

} // namespace ringcast

// What the declarations of options are made with. Included by options_*.cpp only.
#pragma once

#include "apps/ringcast-server/options.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringcast::declared {

// The groups, each in a file of its own, in the order of the README's table.
std::vector<option> ways_in();
std::vector<option> application();
std::vector<option> rooms_and_memory();
std::vector<option> cluster();
std::vector<option> limits();
std::vector<option> times();
std::vector<option> logging();

inline constexpr std::uint64_t kib = 1024, mib = kib * kib, gib = kib * mib, tib = kib * gib;
inline constexpr std::uint64_t ms = 1'000, second = 1'000 * ms, day = 86'400 * second;
// More descriptors than any kernel gives a process, and more members than any room has.
inline constexpr std::uint64_t connections_most = 1u << 30;
// What a bucket holds at most: ringcast/rate_limits.hpp.
inline constexpr std::uint64_t rate_most = tib;

template <typename Value> struct optional_value {
  static constexpr bool is = false;
};
template <typename Value> struct optional_value<std::optional<Value>> {
  static constexpr bool is = true;
};

// The rules of a number that is kept in the field which At, a lambda without captures, finds in the settings. Where a word is allowed, an optional
// field is empty for it, and any other is 0.
template <typename At> number_rules number(At, number_rules rules) {
  rules.get = [](const settings& all) -> std::optional<std::uint64_t> {
    const auto& field = At{}(all);
    if constexpr (optional_value<std::remove_cvref_t<decltype(field)>>::is)
      return field ? std::optional<std::uint64_t>{*field} : std::nullopt;
    else
      return field;
  };
  rules.set = [](settings& all, std::optional<std::uint64_t> value) {
    auto& field = At{}(all);
    using type = std::remove_cvref_t<decltype(field)>;
    if constexpr (optional_value<type>::is)
      field = value ? type{static_cast<typename type::value_type>(*value)} : type{};
    else
      field = static_cast<type>(value.value_or(0));
  };
  return rules;
}

template <typename At> number_rules size(At at, std::uint64_t least, std::uint64_t most, std::string_view word = {}) {
  return number(at, {.unit = number_unit::bytes, .least = least, .most = most, .word = word});
}

// A time whose field counts in `step` microseconds, and whose plain numbers do in `plain`.
template <typename At> number_rules time(At at, std::uint64_t plain, std::uint64_t step, std::uint64_t least, std::uint64_t most) {
  return number(at, {.unit = number_unit::microseconds, .plain = plain, .step = step, .least = least, .most = most});
}

template <typename At> choice_rules choice(At, std::vector<std::string_view> words) {
  return {.words = std::move(words),
          .get = [](const settings& all) { return static_cast<std::size_t>(At{}(all)); },
          .set =
              [](settings& all, std::size_t which) {
                auto& field = At{}(all);
                field = static_cast<std::remove_cvref_t<decltype(field)>>(which);
              }};
}

template <typename At> text_rules text(At, std::string_view takes, text_check check = nullptr) {
  return {.takes = takes,
          .get = [](const settings& all) -> const std::string& { return At{}(all); },
          .set = [](settings& all, std::string value) { At{}(all) = std::move(value); },
          .check = check};
}

template <typename At> list_rules list(At, std::string_view takes, text_check check = nullptr) {
  return {.takes = takes,
          .get = [](const settings& all) -> const std::vector<std::string>& { return At{}(all); },
          .set = [](settings& all, std::vector<std::string> values) { At{}(all) = std::move(values); },
          .check = check};
}

} // namespace ringcast::declared

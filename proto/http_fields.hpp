// The header fields of one HTTP message, as views into the bytes that were received (RFC 9110 section 5).
// Shared by request and response heads. Nothing is copied: the views live as long as the buffer that was parsed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ringcast {

/// True when both are the same but for the case of ASCII letters, as header names and most tokens are compared.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// True when `text` is a non-empty token of RFC 9110 section 5.6.2: the form of methods, header names, subprotocols.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

/// True when `text` may stand as a header's value: no control characters but the tab (so no CR, LF, NUL).
[[nodiscard]] bool is_field_value(std::string_view text) noexcept;

/// Removes spaces and tabs from both ends.
[[nodiscard]] constexpr std::string_view trim_whitespace(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `visit(element)` for each non-empty element of a comma-separated list (RFC 9110 section 5.6.1), trimmed.
/// Quoted strings are not understood here: for lists of plain tokens only. `visit` returns false to stop.
template <class Visit> constexpr bool for_each_list_element(std::string_view list, Visit&& visit) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view element = trim_whitespace(list.substr(0, comma));
    if (!element.empty() && !visit(element)) return false;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return true;
}

struct http_header {
  std::string_view name;  ///< as received, never empty
  std::string_view value; ///< without the white space around it, may be empty
};

/// All header fields of a head, in the order in which they came. Names are compared without regard to case.
struct http_fields {
  static constexpr std::size_t capacity = 64;

  std::size_t header_count = 0;
  std::array<http_header, capacity> headers;

  /// The first field of that name, or nothing. Tells a missing field from an empty one.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;

  /// The value of the first field of that name, or an empty view.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept { return find(name).value_or(std::string_view{}); }

  /// How many fields have that name.
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;

  /// True when a field of that name lists `token` (Connection, Upgrade), over all fields of that name, ignoring case.
  [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const noexcept;

  /// Calls `visit(value)` for each field of that name in order; `visit` returns false to stop. Returns false if
  /// stopped.
  template <class Visit> bool for_each(std::string_view name, Visit&& visit) const {
    for (std::size_t i = 0; i < header_count; ++i)
      if (headers[i].name.size() == name.size() && equal_ignoring_case(headers[i].name, name))
        if (!visit(headers[i].value)) return false;
    return true;
  }
};

} // namespace ringcast

// Percent-encoding (RFC 3986 section 2.1): decoding path segments and query values, encoding what we send. The result
// may hold any bytes, NUL and control characters too: whoever uses it as a name checks that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringcast {

enum class plus_sign : std::uint8_t {
  is_plus,  ///< paths and userinfo
  is_space, ///< query values, as HTML forms and URLSearchParams write them
};

/// Undoes percent-encoding. Nothing when a '%' is not followed by two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, plus_sign plus = plus_sign::is_plus);

/// The decoded value of the first parameter of that (decoded) name in a query "a=1&b=2". "" for one without '='.
/// Nothing when there is none, or when its value has a broken escape.
[[nodiscard]] std::optional<std::string> query_value(std::string_view query, std::string_view name);

/// True when the query has a parameter of that name, even one whose value has a broken escape.
[[nodiscard]] bool has_query_parameter(std::string_view query, std::string_view name);

/// Encodes everything but the unreserved characters of RFC 3986 section 2.3: fit for one path segment or one query
/// value.
[[nodiscard]] std::string percent_encode(std::string_view text);

} // namespace ringcast

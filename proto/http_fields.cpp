#include "proto/http_fields.hpp"

#include "proto/http_scan.hpp"

#include <cstdint>
#include <cstring>

namespace ringcast {

namespace {

constexpr std::uint64_t each_byte(std::uint8_t value) noexcept { return 0x0101010101010101ULL * value; }

// Eight bytes to lower case at once: the sums carry into the top bit of each byte where it is at least 'A', or above
// 'Z'.
std::uint64_t lower_case(std::uint64_t x) noexcept {
  const std::uint64_t low7 = x & each_byte(0x7f);
  const std::uint64_t at_least_a = low7 + each_byte(0x80 - 'A');
  const std::uint64_t above_z = low7 + each_byte(0x7f - 'Z');
  const std::uint64_t upper = ~x & (at_least_a ^ above_z) & each_byte(0x80);
  return x | (upper >> 2);
}

std::uint64_t load8(const char* p) noexcept {
  std::uint64_t x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

char lower_case(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

} // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  const std::size_t size = a.size();
  if (size != b.size()) return false;
  if (size < 8) {
    for (std::size_t i = 0; i < size; ++i)
      if (lower_case(a[i]) != lower_case(b[i])) return false;
    return true;
  }
  // The last eight bytes may overlap the ones before: cheaper than a tail of single bytes.
  for (std::size_t i = 0; i + 8 < size; i += 8)
    if (lower_case(load8(a.data() + i)) != lower_case(load8(b.data() + i))) return false;
  return lower_case(load8(a.data() + size - 8)) == lower_case(load8(b.data() + size - 8));
}

bool is_token(std::string_view text) noexcept {
  const char* end = text.data() + text.size();
  return !text.empty() && http_scan::find_token_end(text.data(), end) == end;
}

bool is_field_value(std::string_view text) noexcept {
  const char* end = text.data() + text.size();
  return http_scan::find_value_end(text.data(), end) == end;
}

std::optional<std::string_view> http_fields::find(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < header_count; ++i)
    if (equal_ignoring_case(headers[i].name, name)) return headers[i].value;
  return std::nullopt;
}

std::size_t http_fields::count(std::string_view name) const noexcept {
  std::size_t n = 0;
  for_each(name, [&](std::string_view) { return ++n != 0; });
  return n;
}

bool http_fields::has_token(std::string_view name, std::string_view token) const noexcept {
  return !for_each(name, [&](std::string_view list) {
    return for_each_list_element(list, [&](std::string_view element) { return !equal_ignoring_case(element, token); });
  });
}

} // namespace ringcast

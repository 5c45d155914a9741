#include "apps/ringcast-server/base64url.hpp"

#include <cstdint>

namespace ringcast {

namespace {

constexpr std::uint32_t no_digit = 64;

std::uint32_t value_of(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<std::uint32_t>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<std::uint32_t>(c - 'a') + 26;
  if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0') + 52;
  return c == '-' ? 62 : c == '_' ? 63 : no_digit;
}

} // namespace

std::optional<std::vector<std::byte>> decode_base64url(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt; // six bits are no byte
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  unsigned bit_count = 0;
  for (const char c : text) {
    const std::uint32_t value = value_of(c);
    if (value == no_digit) return std::nullopt;
    bits = bits << 6 | value;
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    bytes.push_back(static_cast<std::byte>(bits >> bit_count));
    bits &= (1U << bit_count) - 1;
  }
  if (bits != 0) return std::nullopt;
  return bytes;
}

} // namespace ringcast

#include <ringcast/base64.hpp>

#include <array>

namespace ringcast {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t not_base64 = 0xff;

constexpr std::array<std::uint8_t, 256> value_of = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(not_base64);
  for (std::uint8_t i = 0; i < 64; ++i) table[static_cast<std::uint8_t>(alphabet[i])] = i;
  return table;
}();

} // namespace

std::size_t base64_encode(std::span<const std::byte> input, char* out) noexcept {
  const auto at = [&](std::size_t i) { return i < input.size() ? std::to_integer<std::uint32_t>(input[i]) : 0U; };
  char* const start = out;
  for (std::size_t i = 0; i < input.size(); i += 3) {
    const std::uint32_t group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    *out++ = alphabet[group >> 18];
    *out++ = alphabet[group >> 12 & 63];
    *out++ = i + 1 < input.size() ? alphabet[group >> 6 & 63] : '=';
    *out++ = i + 2 < input.size() ? alphabet[group & 63] : '=';
  }
  return static_cast<std::size_t>(out - start);
}

std::optional<std::size_t> base64_decode(std::string_view text, std::span<std::byte> out) noexcept {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && !text.empty() && text.back() == '=') {
    text.remove_suffix(1);
    ++padding;
  }
  const std::size_t size = text.size() * 3 / 4;
  if (size > out.size()) return std::nullopt;

  std::uint32_t bits = 0;
  unsigned bit_count = 0;
  std::size_t written = 0;
  for (const char c : text) {
    const std::uint8_t value = value_of[static_cast<std::uint8_t>(c)];
    if (value == not_base64) return std::nullopt;
    bits = bits << 6 | value;
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      out[written++] = static_cast<std::byte>(bits >> bit_count);
    }
  }
  return written;
}

} // namespace ringcast

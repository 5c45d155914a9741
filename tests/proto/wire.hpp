// Frames written byte by byte for tests, right or wrong: independent of the writer and the masking under test.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace ringcast::test {

using bytes = std::vector<std::byte>;

[[nodiscard]] inline bytes to_bytes(std::string_view text) {
  const auto* const first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

[[nodiscard]] inline bytes to_bytes(std::initializer_list<unsigned> values) {
  bytes result;
  for (const unsigned value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

[[nodiscard]] inline bytes operator+(bytes left, const bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// How the length is written, whatever it is.
enum class length_form : std::uint8_t { shortest, two_bytes, eight_bytes };

/// One frame, field by field as RFC 6455 5.2 draws it. Masked by default, as a client sends it.
struct wire_frame {
  unsigned opcode = 2;
  bytes payload;
  bool fin = true;
  unsigned rsv = 0; ///< Three bits, RSV1 the highest.
  bool masked = true;
  std::array<unsigned, 4> key{0x37, 0xFA, 0x21, 0x3D}; ///< That of the RFC's examples in 5.7.
  length_form form = length_form::shortest;

  [[nodiscard]] bytes write() const {
    bytes out;
    const auto put = [&out](std::uint64_t value) { out.push_back(static_cast<std::byte>(value & 0xFF)); };
    const std::uint64_t length = payload.size();
    const unsigned mask_bit = masked ? 0x80 : 0;
    put((fin ? 0x80U : 0U) | rsv << 4 | opcode);
    if (form == length_form::eight_bytes || (form == length_form::shortest && length > 0xFFFF)) {
      put(mask_bit | 127);
      for (int shift = 56; shift >= 0; shift -= 8) put(length >> shift);
    } else if (form == length_form::two_bytes || length > 125) {
      put(mask_bit | 126);
      put(length >> 8);
      put(length);
    } else {
      put(mask_bit | length);
    }
    if (masked) {
      for (const unsigned octet : key) put(octet);
    }
    for (std::size_t i = 0; i < payload.size(); ++i) {
      out.push_back(masked ? payload[i] ^ static_cast<std::byte>(key[i % 4]) : payload[i]);
    }
    return out;
  }
};

/// Bytes without a pattern that a kernel could get right by accident; the same for the same seed.
[[nodiscard]] inline bytes noise(std::size_t size, std::uint32_t seed) {
  bytes result(size);
  std::uint32_t state = seed * 2654435761U + 1;
  for (std::byte& octet : result) {
    state = state * 1664525U + 1013904223U;
    octet = static_cast<std::byte>(state >> 24);
  }
  return result;
}

} // namespace ringcast::test

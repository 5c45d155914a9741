// Validation of UTF-8 (RFC 3629), as text messages and Close reasons need it (RFC 6455 8.1): whole strings at once, and
// text that arrives in pieces.
#pragma once

#include <ringcast/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ringcast {

/// Validates text that arrives in pieces, which may end anywhere in a character. A plain value; one thread.
class utf8_validator {
 public:
  /// Takes the next piece. False as soon as no continuation could make the text valid, and from then on until reset().
  [[nodiscard]] bool feed(std::span<const std::byte> piece) noexcept;

  /// Whether the text so far is valid and does not end inside a character.
  [[nodiscard]] bool is_complete() const noexcept { return valid_ && missing_ == 0; }

  /// Back to the empty text.
  void reset() noexcept { *this = utf8_validator{}; }

 private:
  enum class until : std::uint8_t { character_ends, piece_ends };

  /// Takes bytes one by one and returns how many; stops early at the first that breaks the text.
  std::size_t step(std::span<const std::byte> piece, until end) noexcept;

  std::uint8_t missing_ = 0; ///< Continuation bytes that the current character still needs.
  std::uint8_t low_ = 0x80;  ///< The range of the next one: narrower than 80..BF behind E0, ED, F0 and F4.
  std::uint8_t high_ = 0xBF;
  bool valid_ = true;
};
static_assert(sizeof(utf8_validator) <= 8);

namespace utf8_detail {

/// Any text, by the best kernel that this processor has.
[[nodiscard]] bool is_valid_long(const std::byte* text, std::size_t bytes) noexcept;

} // namespace utf8_detail

inline bool is_valid_utf8(std::span<const std::byte> text) noexcept {
  // Short ASCII, the usual chat message, is settled here by overlapping words without a call.
  const std::byte* const data = text.data();
  const std::size_t bytes = text.size();
  constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080U;
  if (bytes >= 8 && bytes <= 32) {
    const auto word_at = [data](std::size_t at) {
      std::uint64_t word;
      std::memcpy(&word, data + at, sizeof word);
      return word;
    };
    std::uint64_t all = word_at(0) | word_at(bytes - 8);
    if (bytes > 16) all |= word_at(8) | word_at(bytes - 16);
    if ((all & high_bits) == 0) return true;
  }
  return utf8_detail::is_valid_long(data, bytes);
}

} // namespace ringcast

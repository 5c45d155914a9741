// Masking of payloads (RFC 6455 5.3): octet i is XORed with octet i modulo 4 of the masking key. Masking and unmasking
// are the same operation. It is exact to the last byte: what lies behind the payload is neither read nor written,
// because those bytes may belong to the kernel at that moment.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ringcast {

/// The longest payload that is handled without a call.
inline constexpr std::size_t mask_inline_bytes_max = 64;

/// Masks or unmasks `bytes` bytes at `data`. The four bytes of `masking_key` in memory are those of the wire. `phase`
/// is the position of `data[0]` in the whole payload, for a payload that comes in pieces; only its value modulo 4
/// counts.
void mask_in_place(std::byte* data, std::size_t bytes, std::uint32_t masking_key, std::size_t phase = 0) noexcept;

namespace mask_detail {

/// Any length, by the best kernel that this processor has. The key is already turned to the phase.
void mask_long(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept;

/// The key as it applies `offset` bytes further on.
[[nodiscard]] constexpr std::uint32_t turn_key(std::uint32_t masking_key, std::size_t offset) noexcept {
  const int bits = static_cast<int>(offset % 4) * 8;
  if constexpr (std::endian::native == std::endian::little) return std::rotr(masking_key, bits);
  return std::rotl(masking_key, bits);
}

/// A vector of 16 bytes as the compiler knows it: SSE2 on x86-64, NEON on arm64, two registers elsewhere.
using vector16 = std::uint32_t __attribute__((vector_size(16)));

template <typename Word> [[nodiscard]] inline Word load(const std::byte* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

/// XORs the first and the last `Word` of the range, and returns the OR of what they became. The two may overlap, so
/// both are loaded before either is stored; where they do, they store the same values.
template <typename Word> inline Word mask_both_ends(std::byte* data, std::size_t bytes, Word head, Word tail) noexcept {
  std::byte* const last = data + (bytes - sizeof(Word));
  const Word first_word = load<Word>(data) ^ head;
  const Word last_word = load<Word>(last) ^ tail;
  std::memcpy(data, &first_word, sizeof(Word));
  std::memcpy(last, &last_word, sizeof(Word));
  return first_word | last_word;
}

/// Masks at most mask_inline_bytes_max bytes and returns the OR of all words of the result: a caller who looks for a
/// bit in any byte need not read the payload again, which would wait for the overlapping stores to reach the cache.
inline std::uint64_t mask_short(std::byte* data, std::size_t bytes, std::uint32_t head) noexcept {
  const std::uint32_t tail = turn_key(head, bytes); // A word at the end starts a multiple of 4 before it.
  if (bytes >= 16) {
    const vector16 heads{head, head, head, head};
    const vector16 tails{tail, tail, tail, tail};
    vector16 all;
    if (bytes <= 32) {
      all = mask_both_ends(data, bytes, heads, tails);
    } else {
      // Two words at each end, all four loaded before any is stored.
      std::byte* const last = data + (bytes - 32);
      const vector16 a = load<vector16>(data) ^ heads;
      const vector16 b = load<vector16>(data + 16) ^ heads;
      const vector16 c = load<vector16>(last) ^ tails;
      const vector16 d = load<vector16>(last + 16) ^ tails;
      std::memcpy(data, &a, sizeof a);
      std::memcpy(data + 16, &b, sizeof b);
      std::memcpy(last, &c, sizeof c);
      std::memcpy(last + 16, &d, sizeof d);
      all = a | b | c | d;
    }
    const auto halves = std::bit_cast<std::array<std::uint64_t, 2>>(all);
    return halves[0] | halves[1];
  }
  constexpr std::uint64_t twice = 0x1'0000'0001U;
  if (bytes >= 8) return mask_both_ends<std::uint64_t>(data, bytes, head * twice, tail * twice);
  if (bytes >= 4) return mask_both_ends<std::uint32_t>(data, bytes, head, tail);
  std::uint64_t all = 0;
  std::uint32_t key = head;
  for (std::size_t i = 0; i < bytes; ++i, key = turn_key(key, 1)) {
    data[i] ^= load<std::byte>(reinterpret_cast<const std::byte*>(&key));
    all |= std::to_integer<std::uint64_t>(data[i]);
  }
  return all;
}

} // namespace mask_detail

inline void mask_in_place(std::byte* data, std::size_t bytes, std::uint32_t masking_key, std::size_t phase) noexcept {
  const std::uint32_t head = mask_detail::turn_key(masking_key, phase);
  if (bytes > mask_inline_bytes_max) {
    mask_detail::mask_long(data, bytes, head);
  } else {
    mask_detail::mask_short(data, bytes, head);
  }
}

/// The same for a whole payload, and returns true if the result is short and all ASCII. False says nothing.
inline bool mask_and_find_ascii(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept {
  if (bytes > mask_inline_bytes_max) {
    mask_detail::mask_long(data, bytes, masking_key);
    return false;
  }
  return (mask_detail::mask_short(data, bytes, masking_key) & 0x8080'8080'8080'8080U) == 0;
}

} // namespace ringcast

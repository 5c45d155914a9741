// Masking of payloads (RFC 6455 5.3): octet i is XORed with octet i modulo 4 of the masking key. Masking and unmasking
// are the same operation. It is exact to the last byte: what lies behind the payload is neither read nor written,
// because those bytes may belong to the kernel at that moment.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ringcast {

/// The longest payload that `mask_in_place` handles without a call.
inline constexpr std::size_t mask_inline_bytes_max = 32;

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

/// XORs the first and the last `Word` of the range. The two may overlap, so both are loaded before either is stored;
/// where they do, they store the same values.
template <typename Word> inline void mask_both_ends(std::byte* data, std::size_t bytes, Word head, Word tail) noexcept {
  std::byte* const last = data + (bytes - sizeof(Word));
  Word first_word;
  Word last_word;
  std::memcpy(&first_word, data, sizeof(Word));
  std::memcpy(&last_word, last, sizeof(Word));
  first_word ^= head;
  last_word ^= tail;
  std::memcpy(data, &first_word, sizeof(Word));
  std::memcpy(last, &last_word, sizeof(Word));
}

/// A vector of 16 bytes as the compiler knows it: SSE2 on x86-64, NEON on arm64, two registers elsewhere.
using vector16 = std::uint32_t __attribute__((vector_size(16)));

} // namespace mask_detail

inline void mask_in_place(std::byte* data, std::size_t bytes, std::uint32_t masking_key, std::size_t phase) noexcept {
  using namespace mask_detail;
  const std::uint32_t head = turn_key(masking_key, phase);
  if (bytes > mask_inline_bytes_max) return mask_long(data, bytes, head);
  const std::uint32_t tail = turn_key(head, bytes); // A word at the end starts a multiple of 4 before it.
  if (bytes >= 16) {
    mask_both_ends(data, bytes, vector16{head, head, head, head}, vector16{tail, tail, tail, tail});
  } else if (bytes >= 8) {
    constexpr std::uint64_t twice = 0x1'0000'0001U;
    mask_both_ends<std::uint64_t>(data, bytes, head * twice, tail * twice);
  } else if (bytes >= 4) {
    mask_both_ends<std::uint32_t>(data, bytes, head, tail);
  } else {
    std::uint32_t key = head;
    for (std::size_t i = 0; i < bytes; ++i, key = turn_key(key, 1)) {
      std::byte first;
      std::memcpy(&first, &key, 1);
      data[i] ^= first;
    }
  }
}

} // namespace ringcast

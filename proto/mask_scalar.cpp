// Masking by words of eight bytes, for processors without the vector units of the other kernels.
#include "proto/mask.hpp"
#include "proto/mask_kernels.hpp"

namespace ringcast {

void mask_scalar(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept {
  constexpr std::uint64_t twice = 0x1'0000'0001U;
  const std::uint64_t key = masking_key * twice;
  // Words up to the last whole one; the short path of mask_in_place takes what is left, which is at most 8 bytes and,
  // since the words begin at a multiple of four, wants the key unturned.
  std::size_t at = 0;
  for (; bytes - at > sizeof key; at += sizeof key) {
    std::uint64_t word;
    std::memcpy(&word, data + at, sizeof word);
    word ^= key;
    std::memcpy(data + at, &word, sizeof word);
  }
  mask_in_place(data + at, bytes - at, masking_key);
}

} // namespace ringcast

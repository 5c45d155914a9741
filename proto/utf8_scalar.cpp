// UTF-8 validation character by character, with strides of eight bytes over ASCII.
#include "proto/utf8_kernels.hpp"
#include "proto/utf8_lead.hpp"

#include <cstdint>
#include <cstring>

namespace ringcast {

bool utf8_scalar(const std::byte* text, std::size_t bytes) noexcept {
  constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080U;
  std::size_t at = 0;
  while (at < bytes) {
    if (bytes - at >= sizeof high_bits) {
      std::uint64_t word;
      std::memcpy(&word, text + at, sizeof word);
      if ((word & high_bits) == 0) {
        at += sizeof word;
        continue;
      }
    }
    const utf8_lead lead = utf8_lead_of(std::to_integer<std::uint8_t>(text[at++]));
    if (!lead.valid || bytes - at < lead.missing) return false;
    std::uint8_t low = lead.low;
    std::uint8_t high = lead.high;
    for (unsigned missing = lead.missing; missing != 0; --missing) {
      const auto byte = std::to_integer<std::uint8_t>(text[at++]);
      if (byte < low || byte > high) return false;
      low = 0x80;
      high = 0xBF;
    }
  }
  return true;
}

} // namespace ringcast

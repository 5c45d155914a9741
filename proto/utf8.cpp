// The dispatch behind is_valid_utf8, and the validator of text in pieces on top of it.
#include "proto/utf8.hpp"

#include "proto/cpu_features.hpp"
#include "proto/utf8_kernels.hpp"
#include "proto/utf8_lead.hpp"

#include <algorithm>
#include <atomic>

namespace ringcast {
namespace {

bool choose_and_validate(const std::byte* text, std::size_t bytes) noexcept;

// As for masking: it starts as the function that chooses, and all threads make the same choice.
constinit std::atomic<utf8_function> chosen{choose_and_validate};

bool choose_and_validate(const std::byte* text, std::size_t bytes) noexcept {
  const utf8_function best = std::ranges::find(utf8_kernels(), true, &utf8_kernel::supported)->run;
  chosen.store(best, std::memory_order_relaxed);
  return best(text, bytes);
}

/// How many bytes at the end belong to a character that the text does not finish: 0 to 3.
std::size_t unfinished_bytes(std::span<const std::byte> text) noexcept {
  const std::size_t reach = std::min<std::size_t>(3, text.size());
  for (std::size_t back = 1; back <= reach; ++back) {
    const auto byte = std::to_integer<std::uint8_t>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    return utf8_lead_of(byte).missing >= back ? back : 0;
  }
  return 0;
}

} // namespace

std::span<const utf8_kernel> utf8_kernels() noexcept {
  static const utf8_kernel kernels[] = {
#if defined(__x86_64__)
      {"avx512", this_cpu().avx512, utf8_avx512},
      {"avx2", this_cpu().avx2, utf8_avx2},
#endif
      {"scalar", true, utf8_scalar},
  };
  return kernels;
}

bool utf8_detail::is_valid_long(const std::byte* text, std::size_t bytes) noexcept { return chosen.load(std::memory_order_relaxed)(text, bytes); }

bool utf8_validator::feed(std::span<const std::byte> piece) noexcept {
  if (!valid_) return false;
  // First the character that the last piece left open, then all whole characters at the kernel's speed, then the
  // beginning of the one that this piece leaves open.
  if (missing_ != 0) piece = piece.subspan(step(piece, until::character_ends));
  if (!valid_ || missing_ != 0) return valid_;
  const std::size_t open_bytes = unfinished_bytes(piece);
  valid_ = is_valid_utf8(piece.first(piece.size() - open_bytes));
  if (valid_) step(piece.last(open_bytes), until::piece_ends);
  return valid_;
}

std::size_t utf8_validator::step(std::span<const std::byte> piece, until end) noexcept {
  std::size_t taken = 0;
  while (taken < piece.size()) {
    const auto byte = std::to_integer<std::uint8_t>(piece[taken++]);
    if (missing_ == 0) {
      const utf8_lead lead = utf8_lead_of(byte);
      missing_ = lead.missing;
      low_ = lead.low;
      high_ = lead.high;
      valid_ = lead.valid;
    } else {
      valid_ = byte >= low_ && byte <= high_;
      low_ = 0x80;
      high_ = 0xBF;
      --missing_;
    }
    if (!valid_ || (missing_ == 0 && end == until::character_ends)) break;
  }
  return taken;
}

} // namespace ringcast

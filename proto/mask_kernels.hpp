// The kernels behind mask_in_place: one file each, one row each in `mask_kernels()`. Not for users of the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ringcast {

/// XORs any number of bytes, none before or behind them touched, with the key's four bytes in memory, from its first.
using mask_function = void (*)(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept;

struct mask_kernel {
  std::string_view name;
  bool supported; ///< By this processor.
  mask_function run;
};

/// Best first; the last is the scalar one, which every processor supports. The tests run every supported row.
[[nodiscard]] std::span<const mask_kernel> mask_kernels() noexcept;

void mask_scalar(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept;
#if defined(__x86_64__)
void mask_avx2(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept;
void mask_avx512(std::byte* data, std::size_t bytes, std::uint32_t masking_key) noexcept;
#endif

} // namespace ringcast

// The kernels behind is_valid_utf8: one file each, one row each in `utf8_kernels()`. Not for users of the library.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace ringcast {

/// Whether these bytes, which are a whole text, are well-formed UTF-8.
using utf8_function = bool (*)(const std::byte* text, std::size_t bytes) noexcept;

struct utf8_kernel {
  std::string_view name;
  bool supported; ///< By this processor.
  utf8_function run;
};

/// Best first; the last is the scalar one, which every processor supports. The tests run every supported row.
[[nodiscard]] std::span<const utf8_kernel> utf8_kernels() noexcept;

[[nodiscard]] bool utf8_scalar(const std::byte* text, std::size_t bytes) noexcept;
#if defined(__x86_64__)
[[nodiscard]] bool utf8_avx2(const std::byte* text, std::size_t bytes) noexcept;
[[nodiscard]] bool utf8_avx512(const std::byte* text, std::size_t bytes) noexcept;
#endif

} // namespace ringcast

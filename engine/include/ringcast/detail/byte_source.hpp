// Of the library's own: what may be sent as bytes without a cast.
#pragma once

#include <cstddef>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>

namespace ringcast::engine {

// Anything contiguous of plain values (std::vector<float>, std::array<std::uint8_t, 4>, std::string), but no string literal: whether its last
// byte, the zero, belongs to it is for string_view to say.
template <class Bytes>
concept byte_source = std::ranges::contiguous_range<const Bytes> && std::ranges::sized_range<const Bytes> &&
                      std::is_trivially_copyable_v<std::ranges::range_value_t<const Bytes>> && !std::is_array_v<Bytes> &&
                      !std::is_convertible_v<const Bytes&, std::span<const std::byte>>;

template <byte_source Bytes> [[nodiscard]] std::span<const std::byte> bytes_of_source(const Bytes& bytes) noexcept {
  return std::as_bytes(std::span{std::ranges::data(bytes), std::ranges::size(bytes)});
}

} // namespace ringcast::engine

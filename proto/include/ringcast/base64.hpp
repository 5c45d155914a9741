// Base64 with the standard alphabet and padding (RFC 4648 section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ringcast {

[[nodiscard]] constexpr std::size_t base64_encoded_bytes(std::size_t input_bytes) noexcept { return (input_bytes + 2) / 3 * 4; }

/// Writes base64_encoded_bytes(input.size()) characters to `out`, which must have room for them; returns that number.
std::size_t base64_encode(std::span<const std::byte> input, char* out) noexcept;

/// Decodes into `out`. Returns the number of bytes, or nothing when the text is not base64 with padding, or `out` is
/// too small. Bits that the padding leaves unused are ignored (RFC 4648 section 3.5 permits either).
[[nodiscard]] std::optional<std::size_t> base64_decode(std::string_view text, std::span<std::byte> out) noexcept;

} // namespace ringcast

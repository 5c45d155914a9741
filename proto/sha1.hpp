// SHA-1 (FIPS 180-4), for one purpose: Sec-WebSocket-Accept, where it proves that the server speaks WebSocket and
// protects nothing. Not for anything that needs a secure hash.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace ringcast {

using sha1_digest = std::array<std::byte, 20>;

/// The digest of all of `input`. Uses the processor's SHA instructions where it has them.
[[nodiscard]] sha1_digest sha1(std::span<const std::byte> input) noexcept;

/// The portable kernel, for tests that compare the two.
[[nodiscard]] sha1_digest sha1_scalar(std::span<const std::byte> input) noexcept;

} // namespace ringcast

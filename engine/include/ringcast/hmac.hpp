// HMAC with SHA-256 (RFC 2104), for programs that sign what they send, as a webhook. What others have signed is checked by signature.hpp.
//
// Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace ringcast {

// Throws std::bad_alloc where the library of ciphers has no memory.
[[nodiscard]] std::array<std::byte, 32> hmac_sha256(std::span<const std::byte> secret, std::span<const std::byte> message);

} // namespace ringcast

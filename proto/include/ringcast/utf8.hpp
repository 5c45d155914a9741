// Whether bytes may be sent as text: RFC 6455 8.1 asks for UTF-8 (RFC 3629).
#pragma once

#include <cstddef>
#include <span>

namespace ringcast {

/// Whether these bytes are well-formed UTF-8: no overlong form, no surrogate, nothing above U+10FFFF, nothing cut off. Any thread.
[[nodiscard]] bool is_valid_utf8(std::span<const std::byte> text) noexcept;

} // namespace ringcast

// base64url without padding (RFC 7515 2, RFC 4648 5), as tokens and their keys are written.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace ringcast {

// Nothing if any character is not of the alphabet, such as padding and white space, and if the last one has bits that belong to no byte: each run
// of bytes has one text.
[[nodiscard]] std::optional<std::vector<std::byte>> decode_base64url(std::string_view text);

} // namespace ringcast

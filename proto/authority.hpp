// The host and port that a request is for, as they stand in Host, in an absolute target and in that of CONNECT: the
// grammar of RFC 3986 sections 3.2.2 and 3.2.3, without a copy. What a client connects to is read by url.hpp, which
// knows names and addresses and is stricter.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ringcast {

struct authority {
  std::string_view host;             ///< a name, an address, or an address in its brackets; may be empty
  std::optional<std::uint16_t> port; ///< nothing where there is none, or only its colon
};

/// uri-host [ ":" port ] (RFC 9110 section 7.2), or nothing where the text is something else. A name keeps its percent
/// escapes. A port above 65535 cannot be one.
[[nodiscard]] std::optional<authority> parse_authority(std::string_view text) noexcept;

} // namespace ringcast

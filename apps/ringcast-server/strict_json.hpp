// JSON from strangers, by nlohmann/json, and stricter: a member stands once in an object. Two readers may each take another one of two, which is
// how what was signed becomes something else (RFC 7519 4 lets a reader refuse it).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

namespace ringcast {

// Claims and keys are flat; what is nested deeper is none of ours.
constexpr int json_depth_max = 8;

// An object, or nothing if the text is anything else: no JSON, no UTF-8, a member twice, too deep. Its numbers may have any size.
[[nodiscard]] std::optional<nlohmann::json> parse_json_object(std::string_view text);

} // namespace ringcast

// Text as a JSON string, whatever its bytes are: lines of the log may hold what a peer or an exception has said.
#pragma once

#include <string>
#include <string_view>

namespace ringcast::engine {

// With its quotes. What is no UTF-8 becomes U+FFFD, byte by byte, since JSON has no other bytes (RFC 8259 8.1).
void append_any_json_string(std::string& out, std::string_view text);

} // namespace ringcast::engine

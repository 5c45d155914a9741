// Header lines that a program adds to an answer: checked, so that what comes from a peer cannot become a header of its own (RFC 9112 11.1).
#pragma once

#include <string>
#include <string_view>

namespace ringcast::engine {

// Appends "Name: value CRLF". Throws std::invalid_argument for what would break the head, or for a name that the server itself writes, and
// std::length_error above the bound.
void append_response_header(std::string& lines, std::string_view name, std::string_view value);

} // namespace ringcast::engine

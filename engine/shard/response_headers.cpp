#include "engine/shard/response_headers.hpp"

#include "proto/http_fields.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <stdexcept>

namespace ringcast::engine {

namespace {

// What clients and proxies commonly take of a whole head.
constexpr std::size_t response_headers_bytes_max = 16 * 1024;

// They say where the answer ends and what the connection becomes, which the server decides.
constexpr std::string_view own_headers[] = {
    "Connection",           "Content-Length",           "Content-Type",          "Date", "Keep-Alive", "Transfer-Encoding", "Upgrade",
    "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"};

} // namespace

void append_response_header(std::string& lines, std::string_view name, std::string_view value) {
  if (!is_token(name)) throw std::invalid_argument("the name of a header is a token (RFC 9110 5.6.2)");
  if (!is_field_value(value)) throw std::invalid_argument(fmt::format("the value of the header {} has control characters", name));
  if (std::ranges::any_of(own_headers, [&](std::string_view own) { return equal_ignoring_case(own, name); }))
    throw std::invalid_argument(fmt::format("the header {} is written by the server", name));
  if (lines.size() + name.size() + value.size() + 4 > response_headers_bytes_max)
    throw std::length_error(fmt::format("the headers of an answer may have {} bytes", response_headers_bytes_max));
  lines.append(name).append(": ").append(value).append("\r\n");
}

} // namespace ringcast::engine

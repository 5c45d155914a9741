// The HTTP status codes that a WebSocket server answers with and a WebSocket client must tell apart (RFC 9110 section
// 15). Not the whole registry: a code that is missing here still travels as a number, its reason phrase is then empty.
#pragma once

#include <cstdint>
#include <string_view>

namespace ringcast {

enum class http_status : std::uint16_t {
  continue_ = 100,
  switching_protocols = 101,
  early_hints = 103,
  ok = 200,
  created = 201,
  accepted = 202,
  no_content = 204,
  partial_content = 206,
  moved_permanently = 301,
  found = 302,
  see_other = 303,
  not_modified = 304,
  temporary_redirect = 307,
  permanent_redirect = 308,
  bad_request = 400,
  unauthorized = 401,
  forbidden = 403,
  not_found = 404,
  method_not_allowed = 405,
  not_acceptable = 406,
  proxy_authentication_required = 407,
  request_timeout = 408,
  conflict = 409,
  gone = 410,
  length_required = 411,
  content_too_large = 413,
  uri_too_long = 414,
  unsupported_media_type = 415,
  range_not_satisfiable = 416,
  expectation_failed = 417,
  misdirected_request = 421,
  unprocessable_content = 422,
  upgrade_required = 426,
  too_many_requests = 429,
  header_fields_too_large = 431,
  internal_server_error = 500,
  not_implemented = 501,
  bad_gateway = 502,
  service_unavailable = 503,
  gateway_timeout = 504,
  http_version_not_supported = 505,
};

[[nodiscard]] constexpr std::uint16_t to_number(http_status status) noexcept { return static_cast<std::uint16_t>(status); }

/// The words that follow the number in a status line, or an empty view for a code that is not listed above.
[[nodiscard]] constexpr std::string_view reason_phrase(http_status status) noexcept {
  switch (status) {
  case http_status::continue_: return "Continue";
  case http_status::switching_protocols: return "Switching Protocols";
  case http_status::early_hints: return "Early Hints";
  case http_status::ok: return "OK";
  case http_status::created: return "Created";
  case http_status::accepted: return "Accepted";
  case http_status::no_content: return "No Content";
  case http_status::partial_content: return "Partial Content";
  case http_status::moved_permanently: return "Moved Permanently";
  case http_status::found: return "Found";
  case http_status::see_other: return "See Other";
  case http_status::not_modified: return "Not Modified";
  case http_status::temporary_redirect: return "Temporary Redirect";
  case http_status::permanent_redirect: return "Permanent Redirect";
  case http_status::bad_request: return "Bad Request";
  case http_status::unauthorized: return "Unauthorized";
  case http_status::forbidden: return "Forbidden";
  case http_status::not_found: return "Not Found";
  case http_status::method_not_allowed: return "Method Not Allowed";
  case http_status::not_acceptable: return "Not Acceptable";
  case http_status::proxy_authentication_required: return "Proxy Authentication Required";
  case http_status::request_timeout: return "Request Timeout";
  case http_status::conflict: return "Conflict";
  case http_status::gone: return "Gone";
  case http_status::length_required: return "Length Required";
  case http_status::content_too_large: return "Content Too Large";
  case http_status::uri_too_long: return "URI Too Long";
  case http_status::unsupported_media_type: return "Unsupported Media Type";
  case http_status::range_not_satisfiable: return "Range Not Satisfiable";
  case http_status::expectation_failed: return "Expectation Failed";
  case http_status::misdirected_request: return "Misdirected Request";
  case http_status::unprocessable_content: return "Unprocessable Content";
  case http_status::upgrade_required: return "Upgrade Required";
  case http_status::too_many_requests: return "Too Many Requests";
  case http_status::header_fields_too_large: return "Request Header Fields Too Large";
  case http_status::internal_server_error: return "Internal Server Error";
  case http_status::not_implemented: return "Not Implemented";
  case http_status::bad_gateway: return "Bad Gateway";
  case http_status::service_unavailable: return "Service Unavailable";
  case http_status::gateway_timeout: return "Gateway Timeout";
  case http_status::http_version_not_supported: return "HTTP Version Not Supported";
  }
  return {};
}

} // namespace ringcast

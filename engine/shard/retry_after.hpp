// The Retry-After field of a response (RFC 9110 10.2.3): a number of seconds, or a date.
#pragma once

#include <chrono>
#include <ctime>
#include <string_view>

namespace ringcast::engine {

// How long the server asks to wait, from `now` in seconds since 1970; 0 if the field is empty, not understood, or a date that has passed.
// Dates are read in all three forms of RFC 9110 5.6.7.
[[nodiscard]] std::chrono::milliseconds parse_retry_after(std::string_view value, std::time_t now) noexcept;

} // namespace ringcast::engine

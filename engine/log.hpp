// The engine's own words: few, never per message. They go to standard error through spdlog, which only log.cpp includes.
#pragma once

#include <cstdint>
#include <expected>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <utility>

namespace ringcast {

enum class log_level : std::uint8_t { debug, info, warning, error, off };

// "debug", "info", "warning", "error", "off".
[[nodiscard]] std::expected<log_level, std::string> parse_log_level(std::string_view text);
void set_log_level(log_level level);
void log_line(log_level level, std::string_view text);

template <class... Values>
void log_debug(fmt::format_string<Values...> format, Values&&... values) {
  log_line(log_level::debug, fmt::format(format, std::forward<Values>(values)...));
}
template <class... Values>
void log_info(fmt::format_string<Values...> format, Values&&... values) {
  log_line(log_level::info, fmt::format(format, std::forward<Values>(values)...));
}
template <class... Values>
void log_warning(fmt::format_string<Values...> format, Values&&... values) {
  log_line(log_level::warning, fmt::format(format, std::forward<Values>(values)...));
}
template <class... Values>
void log_error(fmt::format_string<Values...> format, Values&&... values) {
  log_line(log_level::error, fmt::format(format, std::forward<Values>(values)...));
}

} // namespace ringcast

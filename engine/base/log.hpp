// The engine's own words: few, never per message. They go to standard error through spdlog, which only log.cpp includes.
// What a program may set is in ringcast/log.hpp.
#pragma once

#include <ringcast/log.hpp>

#include <fmt/format.h>
#include <utility>

namespace ringcast::engine {

template <class... Values> void log_debug(fmt::format_string<Values...> format, Values&&... values) {
  if (is_logged(log_level::debug)) log_line(log_level::debug, fmt::format(format, std::forward<Values>(values)...));
}
template <class... Values> void log_info(fmt::format_string<Values...> format, Values&&... values) {
  if (is_logged(log_level::info)) log_line(log_level::info, fmt::format(format, std::forward<Values>(values)...));
}
template <class... Values> void log_warning(fmt::format_string<Values...> format, Values&&... values) {
  if (is_logged(log_level::warning)) log_line(log_level::warning, fmt::format(format, std::forward<Values>(values)...));
}
template <class... Values> void log_error(fmt::format_string<Values...> format, Values&&... values) {
  if (is_logged(log_level::error)) log_line(log_level::error, fmt::format(format, std::forward<Values>(values)...));
}

} // namespace ringcast::engine

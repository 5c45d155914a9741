// The library's own words: few, never per message. They go to standard error.
//
// A line never waits for its reader: it is put into a bounded queue, and one thread of the process writes. If nobody reads, the oldest
// lines are dropped, and how many is said when somebody reads again. Each function may be called from any thread, at any time; none throws
// but for want of memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

namespace ringcast {

enum class log_level : std::uint8_t { debug, info, warning, error, off };

// "debug", "info", "warning", "error", "off".
[[nodiscard]] std::expected<log_level, std::string> parse_log_level(std::string_view text);
void set_log_level(log_level level);

// text: "2026-11-22T07:45:33.123+00:00 info MESSAGE". json: an object a line, {"time":"...","level":"info","message":"..."}, valid whatever the message
// holds. The time is local, with its zone.
enum class log_format : std::uint8_t { text, json };
// "text", "json".
[[nodiscard]] std::expected<log_format, std::string> parse_log_format(std::string_view text);
// For the lines that are written from now on.
void set_log_format(log_format format);
// Whether a line of this level is written.
[[nodiscard]] bool is_logged(log_level level);
void log_line(log_level level, std::string_view text);

// Waits until every line said before has been written or dropped, at most this long; false if the time was not enough. The end of the
// process does it by itself, for half a second.
bool flush_log(std::chrono::milliseconds most);

// Lines that were dropped, because standard error did not take them, since the process began.
[[nodiscard]] std::uint64_t dropped_log_lines();

// For programs that keep a log of their own: from now on each line is given to this function on the thread that says it, and to nobody
// else. An empty one takes that back.
using log_taker = std::function<void(log_level, std::string_view)>;
void set_log_taker(log_taker given);

} // namespace ringcast

// Who came, what was asked and how it ended, for a log that a program keeps: see server_options::on_access.
#pragma once

#include <ringcast/connection_handle.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace ringcast {

enum class access_event : std::uint8_t {
  answered, // an HTTP request
  opened, // a WebSocket or an event stream
  closed, // one of these is over
};
// "answered", "opened", "closed".
[[nodiscard]] const char* name_of(access_event what);

struct access_entry {
  access_event what = access_event::answered;
  connection_handle id{}; // of the connection: what was opened is closed under the same one
  std::string address{}; // as websocket_ref::peer().text()
  // What was asked for, as it came, the first 1,024 bytes of it: the value of a query parameter `token` is ***, and bytes that a URL does not have are
  // percent escapes, so it is printable ASCII. Empty: it was no request.
  std::string target{};
  std::uint16_t code = 0; // the status; of what is closed the code that on_close is given
  std::uint64_t duration_ms = 0; // until the answer; of what is closed, since it was opened
  // Of the connection so far, as TCP has counted them. Nothing for Unix sockets.
  std::optional<std::uint64_t> bytes_in{}, bytes_out{};
};

using access_taker = std::function<void(const access_entry&)>;

} // namespace ringcast

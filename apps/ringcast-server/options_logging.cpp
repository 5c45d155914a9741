// Options: what is written down.
#include "apps/ringcast-server/option_makers.hpp"

namespace ringcast::declared {

std::vector<option> logging() {
  return {
      {.name = "access-log",
       .means = "a JSON line for each request, and for each WebSocket and event stream when it opens and when it closes: described below the signals",
       .reason = "it grows with what peers do",
       .rules = text([](auto& s) -> auto& { return s.access_log; }, "FILE")},
      {.name = "log-format",
       .means = "`text`, or `json`: an object a line, `{\"time\",\"level\",\"message\"}`, valid whatever a peer has chosen; times are local, with "
                "their zone",
       .reason = "people read it first",
       .rules = choice([](auto& s) -> auto& { return s.log_format; }, {"text", "json"})},
      {.name = "log-level",
       .means = "what is logged, on standard error: this and what is graver",
       .reason = "few lines, none of them for a message",
       .when = may_change::at_reload,
       .rules = choice([](auto& s) -> auto& { return s.log_level; }, {"debug", "info", "warning", "error", "off"})},
  };
}

} // namespace ringcast::declared

#include "apps/ringcast-load/man_page.hpp"

#include "apps/roff.hpp"

#include <fmt/format.h>

namespace ringcast::load {

namespace {

constexpr std::string_view before_options = R"(.SH NAME
ringcast\-load \- load generator for WebSocket servers
.SH SYNOPSIS
.B ringcast\-load
.RI [ OPTION "]... " URL
.SH DESCRIPTION
Puts load on a WebSocket server, measures what it did, and proves that every message arrived.
Every message carries who sent it, which of its messages it is, and when it was planned, so that what is lost, duplicated, reordered or corrupted is counted,
and latency counts from the planned time.
)";

constexpr std::string_view behind_options = R"(.SH EXIT STATUS
.TP
.B 0
All is well.
.TP
.B 1
Messages were lost, duplicated, reordered or corrupted, or an assertion failed.
.TP
.B 2
The run could not be done or finished.
.SH EXAMPLES
.nf
ringcast\-load ws://127.0.0.1:8080/echo \-\-connections 200
ringcast\-load ws://127.0.0.1:8080/broadcast/room \-\-mode broadcast \-\-connections 1000 \-\-rate 100 \-\-assert 'p99<20ms'
.fi
.SH SEE ALSO
.BR ringcast\-server (1)
)";

} // namespace

std::string man_page(const CLI::App& app) {
  std::string text = fmt::format(".TH RINGCAST\\-LOAD 1 \"\" \"ringcast {}\" \"User Commands\"\n", RINGCAST_VERSION);
  text += before_options;
  text += ".SH OPTIONS\n";
  for (const CLI::Option* option : app.get_options()) {
    const bool takes = option->get_items_expected_max() > 0;
    const std::string value = takes ? fmt::format(" \\fI{}\\fP", roff_text(option->get_type_name())) : "";
    std::string body = roff_text(option->get_description()) + '.';
    if (takes && !option->get_default_str().empty()) body += fmt::format("\nDefault: {}.", roff_bold(option->get_default_str()));
    text += roff_item(roff_bold(option->get_name(false, true)) + value, body);
  }
  return text.append(behind_options);
}

} // namespace ringcast::load

#include "apps/ringcast-server/man_page.hpp"

#include "apps/ringcast-server/options.hpp"
#include "apps/roff.hpp"

#include <fmt/format.h>

namespace ringcast {

namespace {

std::string body_of(const option& o) {
  std::string body = roff_of_markdown(o.means) + '.';
  const std::string value = o.default_text(), allowed = std::holds_alternative<number_rules>(o.rules) ? o.allowed() : "";
  if (!allowed.empty()) body += fmt::format("\nRange: {}.", roff_text(allowed));
  if (!value.empty()) body += fmt::format("\nDefault: {}", roff_bold(value));
  if (!value.empty()) body += o.reason.empty() ? "." : fmt::format(" ({}).", roff_of_markdown(o.reason));
  if (o.when == may_change::at_reload) body += "\nChanges at SIGHUP.";
  return body;
}

std::string tag_of(std::string_view name, std::string_view takes) {
  const std::string flag = roff_bold(fmt::format("--{}", name));
  return takes.empty() ? flag : fmt::format("{} \\fI{}\\fP", flag, roff_text(takes));
}

constexpr std::string_view before_options = R"(.SH NAME
ringcast\-server \- WebSocket broadcast server on io_uring
.SH SYNOPSIS
.B ringcast\-server
.RI [ OPTION ]...
.br
.B ringcast\-server top
.RB [ \-\-admin
.IR URL ]
.SH DESCRIPTION
Rooms of WebSockets: what a member of
.BI /broadcast/ ROOM
or
.BI /chat/ ROOM
says is sent to every member of the room, in one order for all of them.
Rooms can be published to by HTTP, and read as server-sent events.
.B ringcast\-server top
shows a running server on a terminal.
)";

constexpr std::string_view behind_options = R"(.SH VALUES
A SIZE is a number of bytes, or has a unit: 64KiB, 1MiB, 1GB.
A TIME is a number of what the option's name ends with, or has a unit: 250ms, 30s, 5m, 1h.
.SH ENVIRONMENT
Each option can stand in the environment,
.B \-\-max\-connections
as
.BR RINGCAST_MAX_CONNECTIONS ,
with commas between several values; an empty one counts as none.
The command line wins over the environment, and that over the file of
.BR \-\-config .
.SH FILES
.TP
.I /etc/ringcast/ringcast\-server.toml
What the service is started with: each option under its name with _ for \-, in TOML.
.SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
Drain, stop, and end with 0. A second one ends it with 1 at once.
.TP
.B SIGHUP
Certificates, keys and options are read again; a mistake changes nothing.
.TP
.B SIGUSR1
The file of
.B \-\-access\-log
is opened again.
.SH EXIT STATUS
.TP
.B 0
It was asked to stop, and has.
.TP
.B 1
It was asked twice, or a file that was checked is wrong.
.TP
.B 2
A bad option or address, or a port that is still in use after two seconds.
.TP
.B 3
io_uring, a thread or a descriptor is refused.
.SH SEE ALSO
.BR ringcast\-load (1),
.BR io_uring (7)
)";

} // namespace

std::string man_page(std::string_view version) {
  std::string text = fmt::format(".TH RINGCAST\\-SERVER 1 \"\" \"ringcast {}\" \"User Commands\"\n", roff_text(version));
  text += before_options;
  text += ".SH OPTIONS\n";
  for (const option& o : all_options()) text += roff_item(tag_of(o.name, o.takes()), body_of(o));
  for (const command_word& word : all_command_words()) text += roff_item(tag_of(word.name, word.takes), roff_of_markdown(word.means) + '.');
  return text.append(behind_options);
}

} // namespace ringcast

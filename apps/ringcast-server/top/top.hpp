// `ringcast-server top`: a terminal page of a running server, drawn again each second.
#pragma once

namespace ringcast::top {

// The command's own arguments; argv[0] is its name. Answers the exit code.
[[nodiscard]] int run(int argc, char** argv);

} // namespace ringcast::top

// The endpoints of ringcast-server. They are stable: other tools are written against them.
#pragma once

#include <ringcast/server.hpp>

namespace ringcast {

void add_endpoints(server& s);

} // namespace ringcast

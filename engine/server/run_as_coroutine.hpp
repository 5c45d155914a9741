// A handler of the coroutine face as a route of the event face: each request runs it as a coroutine of its shard.
#pragma once

#include <ringcast/request.hpp>

#include <source_location>

namespace ringcast::engine {

[[nodiscard]] http_handler run_as_coroutine(server* from, request_handler handler, std::source_location where);

} // namespace ringcast::engine

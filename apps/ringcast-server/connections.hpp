// GET /connections: who is connected, and how far behind each is.
#pragma once

#include <ringcast/connections.hpp>
#include <ringcast/events.hpp>

#include <expected>
#include <string>

namespace ringcast {

// What ?sort=, ?room=, ?limit= and ?after= ask for; the error is one sentence.
[[nodiscard]] std::expected<connection_query, std::string> asked_connections(const http_request& request);
[[nodiscard]] std::string connections_json(const connection_page& page);

} // namespace ringcast

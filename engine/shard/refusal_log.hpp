// A line in the log for who was refused and why, at most ten a second of all shards together.
#pragma once

#include "engine/connection/connection.hpp"
#include "proto/http_fields.hpp"
#include <ringcast/address.hpp>
#include <ringcast/statistics.hpp>

namespace ringcast::engine {

class peer_book;

// The address is asked for where the line is said: of a socket that is no connection yet, of a connection, of who asked a proxy for this.
void log_refusal(refusal why, int socket);
void log_refusal(refusal why, const socket_address& peer);
void log_refusal(refusal why, const peer_book& peers, const connection& c);
void log_refusal(refusal why, const peer_book& peers, const connection& c, const http_fields& head);

} // namespace ringcast::engine

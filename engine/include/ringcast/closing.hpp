// Closing connections from outside: what somebody who runs a server does about one that server::connections() has told of, or about a room.
//
// Each in three ways, as server::rooms(): a coroutine; a future for other threads, which holds a std::runtime_error if nobody will answer; and for the
// event face a callback, which comes in a later turn of this shard, and throws as that of room::broadcast_reported() does. The answer is how many this
// call has closed. A server that ends meanwhile closes everybody itself, and answers 0 or nothing.
#pragma once

#include <ringcast/connection_handle.hpp>
#include <ringcast/task.hpp>

#include <cstdint>
#include <functional>
#include <future>
#include <source_location>
#include <string>
#include <vector>

namespace ringcast {

class server;

// A WebSocket and an event stream are closed as by websocket_ref::close(); what is still HTTP is ended at once. Nobody else is hit: a handle is of one life of
// its slot, so that of a connection that has gone closes nothing; nor does one that is closing already, nor a connection of the client role. A code that
// may not be sent (RFC 6455 7.4) is not; of the reason 123 bytes are. A shard closes 64 of them in a turn of its loop.
[[nodiscard]] task<std::uint64_t> close_connections(server& of, std::vector<connection_handle> which, std::uint16_t code, std::string reason);
[[nodiscard]] std::future<std::uint64_t> close_connections_future(server& of, std::vector<connection_handle> which, std::uint16_t code,
                                                                  std::string reason);
void close_connections(server& of, std::vector<connection_handle> which, std::uint16_t code, std::string reason,
                       std::function<void(std::uint64_t)> on_answer, const std::source_location& where = std::source_location::current());

// The same with all members of a room, on all shards, whatever other rooms they sit in: those who are there when it is asked. Who comes while they are
// closed, or comes back, stays. What the room keeps of what was said stays, too.
[[nodiscard]] task<std::uint64_t> close_room(server& of, std::string room, std::uint16_t code, std::string reason);
[[nodiscard]] std::future<std::uint64_t> close_room_future(server& of, std::string room, std::uint16_t code, std::string reason);
void close_room(server& of, std::string room, std::uint16_t code, std::string reason, std::function<void(std::uint64_t)> on_answer,
                const std::source_location& where = std::source_location::current());

} // namespace ringcast

// How calls end. What becomes of a broadcast on its way to the members is a broadcast_report (broadcast.hpp), how a wait ends a wait_result
// (wait.hpp), why a client has no connection a client_end (coroutine_client.hpp). Plain values, for any thread.
#pragma once

#include <coroutine>
#include <cstdint>
#include <string_view>
#include <utility>

namespace ringcast {

// What became of bytes that were to be sent, wherever they were to go. Every call that sends or broadcasts answers one of these and says which
// of them it can.
enum class send_status : std::uint8_t {
  queued,          // they will be sent in order, unless the connection is lost first
  above_watermark, // queued, but the peer is slow: wait for on_drain before sending more
  full,            // nothing was queued: the queue has no room now (or never: the message is larger than the whole queue)
  dropped,         // nothing was queued: try_send to a slow peer, or offline_policy::drop without a connection
  closed,          // nothing was queued: the connection, the client or the server is over
  timed_out,       // nothing was queued: the deadline passed while the peer was slow
  stopped,         // nothing was queued: the stop token was used meanwhile
  not_started,     // of a room: its server has not been started, so nobody can be in it
  in_message,      // nothing was queued: the connection is sending a message in fragments (message_writer)
  too_large,       // of a room: the message is larger than room_rules::message_bytes_max; nothing was done
  invalid_name,    // the name of the room or of the member cannot be one (names.hpp); nothing was done
};

// Why an operation has no result. Only `closed` is final: behind the other two the connection is as good as before, and nothing is lost.
enum class websocket_end : std::uint8_t {
  closed,    // by the peer, by this end, or because the connection was lost; so is a websocket that was moved from
  timed_out, // the deadline passed
  stopped,   // the stop token was used
};

struct close_info {
  websocket_end why = websocket_end::closed;
  std::uint16_t code = 1006;  // of the Close frame (RFC 6455 7.4); 1005: it had none; 1006: there was no Close frame
  std::string_view reason;    // valid as long as the websocket
};

// A result that is there at once, for `co_await` and for plain calls alike.
template <class T> struct ready {
  T value;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  T await_resume() noexcept { return std::move(value); }
};

} // namespace ringcast

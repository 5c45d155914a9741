// A WebSocket client that any thread may use and that stays connected.
//
//   client c{"ws://example.org/feed", {.reconnect = {.max_attempts = 5}}};
//   c.on_message([](const message_view& m) { ... });
//   c.on_reconnected([] { ... });
//   c.start();
//   c.send_text("hello");       // from any thread; waits in the queue until the connection is open
//
// Threads: the socket belongs to a thread with its ring that many clients share (client_loop), and every event is called there, one at a
// time for a client and in order. A callback must not block; it may call everything here, stop() and the destructor of its own client's
// owner included. All calls return at once, except stop(), which waits for a callback of this client that is running on another thread.
//
// Events, in their order:
//   connect() -> on_open                             the connection is open
//             -> on_error, then on_reconnecting      this attempt failed, another one follows
//             -> on_error, then on_close             this attempt failed and was the last
//   open      -> on_resumed or on_gap                 with client_options::resume, after it was lost
//             -> on_message, on_control ...
//             -> on_error                            a callback threw; the connection is closed with 1011, and lost like any other
//             -> on_disconnected, on_reconnecting    it was lost; the attempts go on until on_reconnected or on_close
//             -> on_disconnected, on_close           it was closed, and no attempt follows
//
// No new attempt follows disconnect(), a Close frame of the server (but for 1001, 1011, 1012, 1013 and 1014, by which a server says that it
// goes away, restarts or is in trouble), an answer of 3xx or 4xx to the upgrade (but for 408 and 429), an answer that breaks the rules of
// the handshake, a TLS handshake that was refused by either side (a certificate that is not accepted today will not be in a second either,
// and somebody should look), or the last attempt that the policy allows. Every other loss is followed by one, after a delay that is at least
// what the server asked for with Retry-After.
#pragma once

#include <ringcast/client_error.hpp>
#include <ringcast/client_options.hpp>
#include <ringcast/client_sender.hpp>
#include <ringcast/message.hpp>
#include <ringcast/opcode.hpp>
#include <ringcast/position.hpp>
#include <ringcast/results.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>

namespace ringcast {

class client_loop;

namespace engine {
class client_core;
class client_host;
struct client_events;
} // namespace engine

struct client_counts {
  std::uint64_t sent = 0;         // messages that TCP has taken; those of the turn of the loop that is under way are counted ahead
  std::uint64_t lost = 0;         // messages of connections that died before TCP had taken them: all that unsent_messages::lost has told,
                                  // and behind stop() those that it had not taken by then
  std::uint64_t received = 0;     // messages
  std::uint64_t dropped = 0;      // messages that were queued or offered and will not be sent
  std::uint64_t reconnected = 0;  // times that a lost connection was replaced
  std::size_t queued_bytes = 0;   // in the outgoing queue now
};

// What had been sent and was not taken by TCP when a connection was lost. Each message that send_*() has queued is one of these: taken, lost, kept.
// Taken means that the kernel has all bytes of its frame; whether the server has read them, only the server can say. `lost` and `kept` are
// exact, but for one thing: in TLS a send that TCP took in part counts as not taken, so that the server may have read the first of the lost ones.
struct unsent_messages {
  std::uint64_t lost = 0;       // handed to the connection, and TCP did not take all of it: the client does not send it again
  std::uint64_t lost_bytes = 0; // of their payloads
  // In the queue: sent first when the next connection opens; if no attempt follows, dropped and counted in client_counts::dropped.
  // With offline_policy::drop only what waited for a slow server is kept; what the client's thread had not yet come to is dropped.
  std::uint64_t kept = 0;
  std::uint64_t kept_bytes = 0;
};

// Says that a client lives on the shard, or the client_loop, whose thread this is.
struct on_this_shard_t {};
inline constexpr on_this_shard_t on_this_shard{};

class client {
 public:
  // ws://[user:password@]host[:port]/path?query, or wss. Throws std::invalid_argument with one sentence when the URL, the proxy, a
  // subprotocol, a header or, for wss, a file of client_options::tls cannot be used. Without a loop the client lives on one that the process shares.
  explicit client(std::string_view server_url, client_options options = {});
  client(std::string_view server_url, client_options options, client_loop& loop);
  // In a callback or a coroutine of a server: `client c{url, options, on_this_shard}` lives on the shard that this thread is. It may be used on any
  // thread, as the others, and destroyed there, too. On a thread that is no shard it is asserted.
  client(std::string_view server_url, client_options options, on_this_shard_t here);
  ~client(); // stop()
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  // Before start(). Where each is set is what the log says of one that throws.
  using place = std::source_location;
  void on_open(std::function<void()> call, place where = place::current());
  // A view that is valid until the callback returns. A callback that throws closes the connection with 1011, if there is one, behind an
  // on_error that says what was thrown, and is logged with its place; an exception of on_error itself is only logged.
  void on_message(std::function<void(const message_view&)> call, place where = place::current());
  // A ping or a pong of the server, with its payload, which is valid until the callback returns. Pings are answered all the same.
  void on_control(std::function<void(opcode, std::span<const std::byte>)> call, place where = place::current());
  void on_error(std::function<void(const client_error&)> call, place where = place::current());
  // The connection is over, and the kernel has answered to the last of what it was given: the third argument says what it did not take. Behind a
  // Close frame of the server that can be as late as client_options::close_timeout, if the server takes nothing more. Not told behind stop().
  using told_of_unsent = std::function<void(std::uint16_t, std::string_view, const unsent_messages&)>;
  void on_disconnected(told_of_unsent call, place where = place::current());
  void on_disconnected(std::function<void(std::uint16_t, std::string_view)> call, place where = place::current());
  void on_close(std::function<void(std::uint16_t, std::string_view, bool)> call, place where = place::current());
  void on_reconnecting(std::function<void(unsigned, std::chrono::milliseconds)> call, place where = place::current());
  void on_reconnected(std::function<void()> call, place where = place::current());

  // With client_options::resume, behind on_reconnected and in front of the first message. It is back in the room, and everything behind `heard`
  // follows; up to `newest` it was said meanwhile.
  void on_resumed(std::function<void(const room_position& heard, const room_position& newest)> call, place where = place::current());
  // What comes next is not all that was said behind `heard`, or perhaps not: the server does not keep it any more, or has begun anew (another
  // epoch); or, on an open connection, its slow-consumer policy took everything up to `newest`.
  void on_gap(std::function<void(const room_position& heard, const room_position& newest)> call, place where = place::current());

  // send_*() has said "full", and now half of the queue is free again.
  void on_drain(std::function<void()> call, place where = place::current());

  // Any thread from here on.

  // Fixes the events and connects.
  void start();
  // Connects again after on_close. Nothing happens while connected or connecting. It is start() for a client that was not started.
  void connect() { start(); }
  // What was queued before is sent, then the connection is closed with this code (1000, or 3000 to 4999) and not made again. An attempt
  // under way is given up.
  send_status disconnect(std::uint16_t code = 1000, std::string_view reason = {});

  // Text must be UTF-8; that is the caller's duty. The bytes are copied.
  send_status send_text(std::string_view text) { return send(opcode::text, std::as_bytes(std::span{text})); }
  send_status send_binary(std::span<const std::byte> bytes) { return send(opcode::binary, bytes); }
  send_status send(opcode op, std::span<const std::byte> payload);
  // A ping of at most 125 bytes (RFC 6455 5.5; the rest is cut off), behind what was sent before; the pong comes with on_control. Only an open
  // connection is pinged: "dropped" while there is none. client_options::ping_interval looks after a silent server without this.
  send_status ping(std::string_view payload = {});

  // Sends from any thread, too, and may outlive the client, whose end it then tells.
  [[nodiscard]] client_sender sender() const;

  // For good: no event begins after it returns, and an open connection is closed with 1001 behind the caller's back. Called on another
  // thread than the callbacks' it waits for the one that is running.
  void stop();

  // Only on the client's own thread: with true nothing more is read from the server until false, so that TCP pushes back.
  void hold_input(bool hold);

  // Only on the client's own thread, with client_options::resume: in on_message that message's, else the last one's. Nothing before the client
  // knows where the room is. Kept by the program it is a later run's client_options::resume_from.
  [[nodiscard]] std::optional<room_position> position() const;

  [[nodiscard]] client_state state() const;
  // What the server chose for the connection that is, or was last, open.
  [[nodiscard]] std::string subprotocol() const;
  [[nodiscard]] client_counts counts() const;

 protected:
  // For the library's own tests, which turn the shard themselves.
  client(std::string_view server_url, client_options options, engine::client_host& host);

 private:
  std::unique_ptr<engine::client_events> events_; // until start()
  engine::client_host* host_;
  std::shared_ptr<engine::client_core> core_;
};

} // namespace ringcast

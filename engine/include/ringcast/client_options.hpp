// What a client can be told beside its URL. Durations are rounded to milliseconds. Plain values, read when a client is made,
// which throws what is wrong with them.
#pragma once

#include <ringcast/compression.hpp>
#include <ringcast/position.hpp>
#include <ringcast/tls.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ringcast {

// How long to wait before the next attempt to connect: each delay is drawn evenly from zero to a bound that grows exponentially (full jitter:
// clients that lost their server at the same moment come back spread over the whole interval and not in waves).
struct reconnect_policy {
  enum class jitter_kind : std::uint8_t { none, full };
  static constexpr unsigned unlimited = std::numeric_limits<unsigned>::max();

  bool enabled = true;
  unsigned max_attempts = unlimited;            // in a row, without success between them; see reset_after
  std::chrono::milliseconds initial_delay{500}; // the bound of the first delay; negative counts as 0
  std::chrono::milliseconds max_delay{30'000};  // no bound grows above this
  double multiplier = 2.0;                      // from one bound to the next; below 1 or no number counts as 1
  jitter_kind jitter = jitter_kind::full;
  // What counts as a success: a connection that lived this long, or that brought a message. One that opens and ends before is one more
  // attempt in the row, so that a server which accepts and ends at once is not asked for ever at the initial pace. A server that closes
  // with 1013 (try again later) is a success only by time, and is asked again after the initial delay at the earliest.
  std::chrono::milliseconds reset_after{10'000};
};

// What happens to messages that are sent while there is no connection but one is being made.
enum class offline_policy : std::uint8_t {
  keep, // they wait, in order, as long as the outgoing queue has room, and are sent when the connection opens
  drop, // they are dropped and counted; send_*() says so
};

struct client_options {
  // Offered in order of preference. A server that chooses another one is refused.
  std::vector<std::string> subprotocols;
  // Extra header fields of the upgrade request: {"Authorization", "Bearer ..."}. The handshake's own fields cannot be given. A user and
  // password in the URL give an Authorization field by themselves, unless there is one here.
  std::vector<std::pair<std::string, std::string>> headers;
  // Reach the server through this proxy, by CONNECT (RFC 9110 9.3.6): "http://[user:password@]host:port". Empty: directly.
  std::string proxy;

  // For wss://. The server's certificate must be for the URL's host and lead to an authority of the system's store, or of `tls.ca_file`;
  // `tls.verification` is the one switch that turns this off. A certificate to show comes from `tls.certificate_chain_file` and its key.
  tls_client_options tls;
  // The name that is sent as SNI and that the certificate must be for, where it is another than the URL's host. Empty: that host.
  std::string tls_server_name;

  // permessage-deflate (RFC 7692) is offered, and used if the server accepts it; with compression_mode::off it is not. `shared` asks the
  // server to compress each message by itself, so that the connection holds no window; `dedicated` leaves it to the server.
  compression_options compression;

  // Whether and when a lost connection is made again: exponential backoff with jitter. It begins anew only after a connection
  // that lived for reconnect.reset_after or brought a message, and max_attempts counts every attempt in between, those that opened, too.
  // After a close with 1013 (try again later) the delay is at least reconnect.initial_delay, and grows.
  reconnect_policy reconnect;
  offline_policy offline = offline_policy::keep;

  // For a room of ringcast-server (/broadcast/{room}): the client asks for numbered messages (?seq=1), keeps the position of the last one it
  // heard, and asks for what is behind it when it comes back (?since=EPOCH:SEQ), from a server that keeps a history. The number is taken off
  // before on_message, and told beside it by position(); a message that was heard already is not told again. on_resumed says that nothing is
  // missing, on_gap that something may be. Of a server that does not number its messages the connection is closed with 1002.
  bool resume = false;
  // Where an earlier run of the program stood. The URL must not say it, too.
  std::optional<room_position> resume_from{};

  // From the beginning of an attempt to the open WebSocket: name, TCP, proxy, TLS and upgrade together.
  std::chrono::milliseconds connect_timeout{10'000};
  // A name may have several addresses. They race (RFC 8305 5): while one does not answer the next is tried beside it after this long, at once
  // where one fails; the first that connects is used and the others are closed. Less than 10 ms counts as 10 ms, more than 2 s as 2 s.
  std::chrono::milliseconds attempt_delay{250};
  // A server that was silent this long is sent a ping; 0: never. Well below the 60 s of silence after which proxies end a connection.
  std::chrono::milliseconds ping_interval{25'000};
  // Silence after that ping that ends the connection. Also how long sent bytes may stay unacknowledged.
  std::chrono::milliseconds pong_timeout{15'000};
  // Silence in the middle of a frame or of a fragmented message.
  std::chrono::milliseconds frame_timeout{60'000};
  // From our Close frame to the server's.
  std::chrono::milliseconds close_timeout{5'000};
  // The longest wait that a server may ask for with Retry-After; a longer one counts as this.
  std::chrono::milliseconds retry_after_max{600'000};

  // The largest message that is accepted; a larger one closes the connection with 1009.
  std::uint64_t message_bytes_max = 1u << 20;
  // The outgoing queue: messages that were sent and not yet handed to the connection. Beyond it send_*() answers "full".
  std::size_t queue_bytes_max = 1u << 20;
};

} // namespace ringcast

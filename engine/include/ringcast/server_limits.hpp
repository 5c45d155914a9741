// The bounds of a server that a program may want to change, each with its reason. Plain values, read when the server starts; bytes and
// milliseconds as the names say.
#pragma once

#include <ringcast/rate_limits.hpp>

#include <cstddef>
#include <cstdint>

namespace ringcast {

// What happens to a member that is further behind than the bound.
enum class slow_consumer : std::uint8_t {
  close,       // it is closed with 1013
  drop_newest, // it gets nothing new until it has taken what was queued for it
  drop_oldest, // it loses the oldest messages that it has not been sent
  latest,      // it gets only the latest message
};
inline constexpr std::size_t slow_consumer_policies = 4;

struct server_limits {
  // A message, joined from its fragments and inflated. 1 MiB holds any chat or ticker message, and 20,000 peers that each announce one
  // and stop in the middle hold only what they have sent.
  std::uint64_t message_bytes_max = 1u << 20;
  // How far a member of a room may be behind the end of its log, and how much output of its own a connection may hold.
  std::uint64_t send_queue_bytes_max = 1u << 20;
  // From accept to a complete request head, and between the requests of a kept-alive connection.
  std::uint32_t handshake_timeout_ms = 10'000;
  // TLS handshakes in progress, of one shard, from the complete ClientHello on. Each holds about 10 KiB until it is over. One more ends the
  // oldest: a core begins some 6,500 a second, so a peer has 150 ms for its answer even then, and connections that say nothing cost nobody.
  std::uint32_t tls_handshakes_max = 1024;
  // Silence in the middle of a frame or of a fragmented message; also the time over which a frame, or a request's body, must have made the
  // progress that progress_bytes_per_s_min asks for.
  // Less than a ping interval and a pong timeout together, so that the peer is told why.
  std::uint32_t frame_timeout_ms = 45'000;
  // A peer that was silent this long is sent a ping; 0: never. Well below the 60 s of silence after which proxies end a connection (nginx's
  // proxy_read_timeout, most load balancers), so that one lost packet does not end it.
  std::uint32_t ping_interval_ms = 25'000;
  // Silence after that ping. Also the bound for sent bytes that nobody acknowledges.
  std::uint32_t pong_timeout_ms = 30'000;
  // From our Close frame to the peer's. Also how long a stop may take as a whole: what waits to be sent, our Close frames, and their answers.
  std::uint32_t close_timeout_ms = 5'000;
  // A peer that sent no message (text or binary, whole) this long is closed with 1001; 0: never. Pings and pongs do not
  // count, so this ends connections that live and are of no use; ping_interval_ms finds those that are dead.
  std::uint32_t idle_timeout_ms = 0;
  // How fast each WebSocket may send and join rooms. Off as it stands here: what a shard handles in one turn is shared evenly anyway.
  rate_limits rates{};
};

} // namespace ringcast

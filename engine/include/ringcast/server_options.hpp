// What a server can be told. Plain values, read by start(), which says in one sentence what is wrong with them.
#pragma once

#include <ringcast/access.hpp>
#include <ringcast/cluster.hpp>
#include <ringcast/compression.hpp>
#include <ringcast/position.hpp>
#include <ringcast/rooms.hpp>
#include <ringcast/server_limits.hpp>
#include <ringcast/tls.hpp>

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

// How members are let go before a stop, so that they do not all come back in the same moment: see server::drain().
struct drain_options {
  // The server is not ready any more (server::is_ready()), and accepts all the same: as long as a load balancer takes to notice.
  std::uint32_t delay_ms = 0;
  // Then nobody is accepted any more, and the WebSockets that are there are closed evenly over this time. Twenty thousand that come back to another server
  // over ten seconds are 2,000 handshakes a second, a third of what one core does with TLS.
  std::uint32_t spread_ms = 10'000;
  // After how long they are asked to come back (websocket_endpoint::on_going_away), so that they come back as evenly as they went. Somebody else has to
  // be there by then.
  std::uint32_t retry_after_ms = 1'000;
};

// Where a proxy says whose request it hands on. It must set this one itself: one that it passes on as it came is the word of a stranger.
enum class forwarded_header : std::uint8_t {
  x_forwarded_for,
  forwarded, // RFC 7239
};

// HAProxy's PROXY protocol, versions 1 and 2: a header in front of each connection, before TLS, says whose it is.
enum class proxy_protocol : std::uint8_t {
  off,
  // On every listener but those of listen_admin. A connection of anybody who is no trusted proxy is closed, and so is one that does not begin with the
  // header: guessing whether it is there would let anybody choose an address (section 2 of the specification).
  required,
};

struct proxy_options {
  // Whose word counts: addresses, networks like "10.0.0.0/8" and "fd00::/8", and "unix:" for all that come by a Unix socket. Everybody else's headers are
  // ignored. Of a request that came through several of them the first address from the end that is none of these is the peer, with port 0.
  std::vector<std::string> trusted;
  forwarded_header header = forwarded_header::x_forwarded_for;
  // The address that it names is the peer in everything: max_connections_per_ip, the log, http_request::peer; and if that is a trusted proxy, too, its
  // requests are looked at as above. A proxy that asks for itself (LOCAL, UNKNOWN) stays the peer.
  proxy_protocol protocol = proxy_protocol::off;
};

struct server_options {
  // Numeric ADDRESS:PORT, [IPV6]:PORT; port 0 takes a free one. "unix:/path": a Unix socket, whose file is removed at the end ("unix:@name" has none);
  // its peers have no address, and so no bound by address. "fd:3": a socket on which somebody listens already, as systemd hands over; the
  // descriptor stays the program's. Of the last two the shards share one queue, where every other address has one for each.
  std::vector<std::string> listen = {"127.0.0.1:8080"};
  // The same as `listen`, for those who run the program: what is added to routes::admin() is there only for requests that come by these, and
  // http_request::is_admin and request::is_admin() tell. Who may reach them is the address's business: a loopback one, a Unix socket.
  std::vector<std::string> listen_admin;
  // Names by which listen_admin may be asked for, beside addresses and localhost. Any other Host is answered 421: a page whose own name was made to
  // resolve to this address would read and do everything in the browser of somebody who may reach it (DNS rebinding).
  std::vector<std::string> admin_hosts;
  std::vector<std::string> listen_tls; // the same as `listen` for https:// and wss://; needs tls.certificates
  tls_server_options tls;
  // 0: one for each core that this process may use, within the CPU quota of its control group, the locked memory and the descriptors that it
  // may have; fewer than cores are explained in the log.
  std::uint32_t shards = 0;
  server_limits limits;
  // Connections of the whole server, whatever they are doing; 0: as many as there are descriptors. The next one is
  // answered 503 with a JSON body before it asks for anything and closed; on a TLS port, and in a flood of them
  // (limits.hpp), it is closed at once.
  std::uint32_t max_connections = 0;
  // The same for those from one IPv4 address, or from one IPv6 network of 64 bits (an address of it costs its owner
  // nothing); 0: no bound.
  std::uint32_t max_connections_per_ip = 0;
  // How fast connections may come from one address or network; off as it stands here. One too many is answered 429 with a Retry-After header and a JSON
  // body before it asks for anything, and closed; on a TLS port, and in a flood of them, it is closed at once. 65,536 addresses are remembered.
  rate_limit new_connections_per_ip{};
  // What stands in front. http_request::peer and its like are then those whose requests it hands on, and max_connections_per_ip and
  // new_connections_per_ip count their WebSockets and event streams: the next one is answered 503 or 429. The proxy's own connections are not bounded
  // by address.
  proxy_options proxies;
  // From which pages browsers may open WebSockets, and send requests other than GET, HEAD and OPTIONS:
  // "https://example.org", "http://localhost:3000", compared whole but for case; the server's own page counts like any
  // other. Another page is answered 403 with a JSON body. Empty: from all. A request without an Origin header comes
  // from no browser and is allowed.
  std::vector<std::string> allowed_origins;
  slow_consumer policy = slow_consumer::close;
  // After a turn that served members of rooms a shard may wait this long for more to be published, so that each send carries more; 0: never.
  std::uint32_t coalesce_wait_us = 100;
  presence_options presence;
  cluster_options cluster; // of the rooms with room_rules::cluster
  history_options history; // of every room; off as it stands here
  compression_options compression; // of every WebSocket endpoint that says nothing else
  // How long a shard that usually finds more to do within this time looks for it before it sleeps: a wake-up costs more. 0: it sleeps at once.
  std::uint32_t spin_us = 10;
  // What the shards together may hold for their peers: messages that have come in part, bodies, output and room messages that slow peers have not
  // taken, compression contexts, TLS. Each shard has an equal share, and where it is used up ends those that hold the most with 1013 or 503 and says
  // so in the log. 0: half of the machine's memory, or of the control group's.
  std::uint64_t memory_bytes = 0;
  // For debugging: a handler, callback or coroutine that keeps its shard for longer than this without a co_await is named in the log, at most one
  // a second and shard: everybody else of that shard waits meanwhile (run_on.hpp is the way out). 0: nobody looks at the clock. 10 is a good value.
  std::uint32_t slow_handler_ms = 0;
  // How run() begins to stop when it is asked to. Nothing of both: at once.
  drain_options drain{.delay_ms = 0, .spread_ms = 0};
  // Told of each request that is answered and of each WebSocket and event stream that opens and is over, on the thread of its shard: several at once, and it
  // must not block. Empty: nothing is kept for it. What it throws is logged.
  access_taker on_access{};
  // Called by server::run() at SIGUSR1, on its thread: the program opens its files again. What it throws is logged.
  std::function<void()> on_reopen{};
  std::uint32_t backlog = 4096; // of each listening socket; the kernel caps it at net.core.somaxconn
};

// Why a server did not start, with the exit code that its program should end with.
struct start_failure {
  std::string why; // one sentence
  int exit_code = 2; // 2: the options or the address; 3: io_uring, a thread or a descriptor is refused
};

// Whether an entry of server_options::allowed_origins can ever match what a browser sends: `scheme://host` or `scheme://host:port` without a
// path (RFC 6454 6.2), or the word null. The error is one sentence. Any thread.
[[nodiscard]] std::expected<void, std::string> check_origin(std::string_view text);

} // namespace ringcast

// A server: shards on their threads, the mesh between them, and the routes that they all serve.
//
//   server s{{.listen = {"127.0.0.1:8080"}}};
//   s.routes().add("/echo", websocket_endpoint{.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
//   return s.run();
#pragma once

#include "engine/base/limits.hpp"
#include "engine/connection/compression.hpp"
#include "engine/room/room.hpp"
#include "engine/server/request.hpp"
#include "engine/server/room_handle.hpp"
#include "engine/shard/http_router.hpp"
#include "engine/tls/tls_context.hpp"

#include <atomic>
#include <cstdint>
#include <expected>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace ringcast {

class admission;
class inbox;
class mesh;
class shard;
class tls_identity;

struct server_options {
  std::vector<std::string> listen = {"127.0.0.1:8080"}; // numeric ADDRESS:PORT, [IPV6]:PORT; port 0 takes a free one
  std::vector<std::string> listen_tls;                  // the same for https:// and wss://; needs tls.certificates
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
  // From which pages browsers may open WebSockets, and send requests other than GET, HEAD and OPTIONS:
  // "https://example.org", "http://localhost:3000", compared whole but for case; the server's own page counts like any
  // other. Another page is answered 403 with a JSON body. Empty: from all. A request without an Origin header comes
  // from no browser and is allowed.
  std::vector<std::string> allowed_origins;
  slow_consumer policy = slow_consumer::close;
  // After a turn that served members of rooms a shard may wait this long for more to be published, so that each send carries more; 0: never.
  std::uint32_t coalesce_wait_us = 100;
  compression_options compression; // of every WebSocket endpoint that says nothing else
  // How long a shard that usually finds more to do within this time looks for it before it sleeps: a wake-up costs more. 0: it sleeps at once.
  std::uint32_t spin_us = 10;
  // What the shards together may hold for their peers: messages that have come in part, bodies, output and room messages that slow peers have not
  // taken, compression contexts, TLS. Each shard has an equal share, and where it is used up ends those that hold the most with 1013 or 503 and says
  // so in the log. 0: half of the machine's memory, or of the control group's.
  std::uint64_t memory_bytes = 0;
  std::uint32_t backlog = 4096; // of each listening socket; the kernel caps it at net.core.somaxconn
};

// Why a server did not start, with the exit code that its program should end with.
struct start_failure {
  std::string why; // one sentence
  int exit_code = 2; // 2: the options or the address; 3: io_uring, a thread or a descriptor is refused
};

class server {
 public:
  explicit server(server_options options = {});
  ~server(); // stops and waits
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  // Before start(). A coroutine handler for each request of that path: literal segments and {name} segments, see request::path().
  void get(std::string_view pattern, request_handler handler, std::source_location where = std::source_location::current());
  void post(std::string_view pattern, request_handler handler, std::source_location where = std::source_location::current());
  // The event face: callbacks instead of a coroutine for each connection, and no memory for one that is idle.
  void events(std::string_view pattern, websocket_endpoint endpoint, std::source_location where = std::source_location::current());

  // Before start(). Handlers run on every shard's thread.
  [[nodiscard]] http_router& routes() { return router_; }

  // Opens the listening sockets and starts the shards; returns when they accept connections. Once: a server that was started, or stopped,
  // before is refused in words, and so is one with a route that can never be reached (see http_router).
  [[nodiscard]] std::expected<void, start_failure> start();
  // Any thread, any number of times. No request and no message is taken any more, requests under way get their answer, new ones 503; each
  // WebSocket is sent what was called queued for it and then Close 1001. wait() returns when all are gone, at the latest when
  // limits.close_timeout_ms is over (and the callback that a shard is in has returned): who has not read everything until then is cut off,
  // which is counted and logged.
  void stop();
  void wait();

  // Any thread: reads the certificates' files again, for connections accepted from now on. If one is broken nothing changes, and the error
  // is one sentence.
  [[nodiscard]] std::expected<void, std::string> reload_certificates();

  // start(), then serves until SIGTERM or SIGINT, then stops; a second signal ends the process at once. Returns the exit code, after one
  // sentence on standard error if it did not start. SIGHUP reads the certificates again; SIGUSR1 and SIGUSR2 are ignored with a line in the
  // log. Handlers take these signals as long as this call lasts, in whichever thread they come; what was there before handles them again
  // afterwards. Nothing is blocked, so a child that a program forks has nothing to undo.
  [[nodiscard]] int run();

  // Any thread, after start(), as long as the server lives.
  [[nodiscard]] class room room(std::string_view name) { return {*this, name}; }

  // The addresses that are listened on, with the ports that were really taken. After start().
  [[nodiscard]] const std::vector<std::string>& addresses() const { return addresses_; }
  [[nodiscard]] const std::vector<std::string>& tls_addresses() const { return tls_addresses_; }
  // Any thread: new connections are accepted. False before start().
  [[nodiscard]] bool is_ready() const;
  [[nodiscard]] std::uint32_t shard_count() const { return shard_count_; }

  // --- for the library's own parts ---
  [[nodiscard]] inbox& inbox_of(std::uint32_t shard_index);
  [[nodiscard]] bool owns(const shard& s) const;
  [[nodiscard]] bool was_started() const { return started_.load(std::memory_order_acquire); }

 private:
  struct shard_thread;
  enum class use : std::uint8_t;
  [[nodiscard]] std::expected<void, start_failure> check_options();
  [[nodiscard]] std::expected<void, start_failure> open_rings();
  void let_go_of_last_thread();
  void give_up_start();
  void serve(std::uint32_t index);
  void on_other_signal(int signal);
  void say_what_was_not_sent() const;
  [[nodiscard]] std::expected<void, start_failure> open_listeners(const std::vector<std::string>& listen, bool encrypted,
                                                                  std::vector<std::string>& addresses);

  server_options options_;
  http_router router_;
  std::uint32_t shard_count_ = 0;
  std::vector<std::string> addresses_, tls_addresses_;
  std::unique_ptr<tls_identity> identity_; // null without listen_tls
  std::unique_ptr<admission> admission_; // null without a bound on connections
  std::unique_ptr<mesh> mesh_;
  std::vector<std::unique_ptr<shard_thread>> threads_;
  std::atomic<bool> begun_{false}; // start() was called
  std::unique_ptr<std::latch> all_begun_; // all shards have been made, or have failed
  std::atomic<bool> started_{false}; // all of the above is there, and stays
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint32_t> running_{0};
  int finished_event_ = -1; // an eventfd, written when the last shard has ended
};

} // namespace ringcast

// A server: shards on their threads, the mesh between them, and the routes that they all serve.
//
//   server s{{.listen = {"127.0.0.1:8080"}}};
//   s.routes().add("/echo", websocket_endpoint{.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
//   return s.run();
//
// Threads: made, started and destroyed by one thread; what says "any thread" may be called on every other as well. It outlives every room, sender and
// handle that came from it. Errors at the start come back as a sentence and an exit code; afterwards the server goes on, and says in the log
// what went wrong.
#pragma once

#include <ringcast/connections.hpp>
#include <ringcast/files.hpp>
#include <ringcast/request.hpp>
#include <ringcast/room.hpp>
#include <ringcast/room_rules.hpp>
#include <ringcast/rooms.hpp>
#include <ringcast/server_options.hpp>
#include <ringcast/spawn.hpp>
#include <ringcast/statistics.hpp>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <expected>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringcast {

namespace engine {
class admission;
class arrival_rates;
class http_router;
class inbox;
class mesh;
class room_rulebook;
class server_orders;
class shard;
class tls_identity;
struct redis_options;
class trusted_proxies;
struct socket_file;
struct handle_access;
} // namespace engine

class server {
 public:
  explicit server(server_options options = {});
  ~server(); // stops and waits
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  // Before start(). A handler for each request of that path, a coroutine or a plain function: literal segments, {name} segments, and a * at the
  // end, see request::path(). GET answers HEAD as well; route() takes any other method, as "OPTIONS".
  void get(std::string_view pattern, route_handler handler, std::source_location where = std::source_location::current()) {
    route("GET", pattern, std::move(handler), where);
  }
  void post(std::string_view pattern, route_handler handler, std::source_location where = std::source_location::current()) {
    route("POST", pattern, std::move(handler), where);
  }
  void put(std::string_view pattern, route_handler handler, std::source_location where = std::source_location::current()) {
    route("PUT", pattern, std::move(handler), where);
  }
  void del(std::string_view pattern, route_handler handler, std::source_location where = std::source_location::current()) {
    route("DELETE", pattern, std::move(handler), where);
  }
  void route(std::string_view method, std::string_view pattern, route_handler handler, std::source_location where = std::source_location::current());
  // Before start(). The files of a folder at this pattern, which ends with a *: see file_options. A folder that cannot be opened is a std::system_error.
  void files(std::string_view pattern, const std::string& folder, file_options options = {},
             std::source_location where = std::source_location::current());
  // Before start(). Stands around every handler of the above that is added behind it; the first that was added is the outermost. Requests that
  // no route takes, and the event face, which decides in on_upgrade, do not come by.
  void use(middleware around) { middleware_.push_back(std::move(around)); }
  // The event face: callbacks instead of a coroutine for each connection, and no memory for one that is idle.
  void events(std::string_view pattern, websocket_endpoint endpoint, std::source_location where = std::source_location::current());

  // Before start(). Handlers run on every shard's thread.
  [[nodiscard]] class routes routes();

  // Before start(): what holds for the rooms whose names match the pattern (matches_room_pattern()). Of several that match, the one that was told
  // first says everything; what it does not say is the server's. At most 256 of them, of at most 128 bytes each.
  //
  //   s.rooms_like("prices/*", {.policy = slow_consumer::latest});
  //   s.rooms_like("chat/*", {.history = history_options{.messages = 100}, .message_bytes_max = 4096});
  void rooms_like(std::string_view pattern, const room_rules& rules);

  // Before start(), any number of them: each shard runs it once, on its thread, when all shards are there and before it takes the first request.
  // What it spawns (timers, clients, whatever belongs to no connection) lives beside the handlers until it returns or the server stops, when its waits end
  // with `stopped`. A hook that is a coroutine is spawned itself. What it throws is logged with `where`.
  //
  //   s.on_start([&s](std::uint32_t shard) -> task<void> {
  //     while (co_await sleep_for(1s) == sleep_result::elapsed) s.room("clock").broadcast("tick");
  //   });
  template <std::invocable<std::uint32_t> Hook> void on_start(Hook hook, std::source_location where = std::source_location::current()) {
    if constexpr (std::is_same_v<std::invoke_result_t<Hook&, std::uint32_t>, task<void>>) {
      // Kept as long as the server, because its coroutine may refer to it.
      auto kept = std::make_shared<Hook>(std::move(hook));
      add_start_hook([kept, where](std::uint32_t shard) { (void)spawn((*kept)(shard), where); }, where);
    } else {
      add_start_hook(std::move(hook), where);
    }
  }

  // Opens the listening sockets and starts the shards; returns when they accept connections. Once: a server that was started, or stopped,
  // before is refused in words, and so is one with a route that can never be reached (see routes).
  [[nodiscard]] std::expected<void, start_failure> start();
  // Any thread, any number of times. No request and no message is taken any more, requests under way get their answer, new ones 503; each
  // WebSocket is sent what was called queued for it and then Close 1001. wait() returns when all are gone, at the latest when
  // limits.close_timeout_ms is over (and the callback that a shard is in has returned): who has not read everything until then is cut off,
  // which is counted and logged.
  void stop();
  void wait();
  // Any thread; the first call holds. A stop that takes its time: for the delay new connections are still accepted while is_ready() says false; then none
  // are, requests end as in a stop, and WebSockets are closed with 1001 (going away), evenly over the spread. Rooms go on meanwhile, and each
  // member is sent what was called queued for it before it is closed. When the time is over, or nobody is left, the server stops: wait() returns then. stop()
  // ends it at any time. Before start(), and with nothing to wait for, it is stop().
  void drain(const drain_options& how = {});
  // Any thread, while it drains: connections that are left, as of a tenth of a second ago.
  [[nodiscard]] std::uint64_t left_to_drain() const;

  // Any thread: from now on these of the options hold, also for connections that are there: allowed_origins, and of the limits message_bytes_max,
  // ping_interval_ms, pong_timeout_ms, idle_timeout_ms (the idle time of each begins anew), rates (all buckets are full again) and close_timeout_ms.
  // Everything else stays as the server was made. If something is wrong nothing changes, and the error is one sentence.
  [[nodiscard]] std::expected<void, std::string> change(const server_options& wanted);
  // Before start(), any number of them: run() calls it at each SIGHUP, on its own thread, behind the renewal of the certificates: what else is to be
  // read again. What it throws is logged.
  void on_reload(std::function<void()> hook) { reload_hooks_.push_back(std::move(hook)); }

  // Any thread: reads the certificates' files again, for connections accepted from now on. If one is broken nothing changes, and the error
  // is one sentence.
  [[nodiscard]] std::expected<void, std::string> reload_certificates();

  // start(), then serves until SIGTERM or SIGINT, then drains as options.drain says, or stops; a second signal ends the process at once. Returns the exit
  // code, after one sentence on standard error if it did not start. Where systemd asks for it (NOTIFY_SOCKET, WATCHDOG_USEC; sd_notify(3)) it says READY=1,
  // STOPPING=1, and WATCHDOG=1 as long as every shard takes turns. SIGHUP reads the certificates again, and calls what on_reload() was given; SIGUSR1 calls server_options::on_reopen; SIGUSR2 is ignored with a line in the
  // log. Handlers take these signals as long as this call lasts, in whichever thread they come; what was there before handles them again
  // afterwards. Nothing is blocked, so a child that a program forks has nothing to undo.
  [[nodiscard]] int run();

  // Any thread, after start(), as long as the server lives.
  [[nodiscard]] class room room(std::string_view name) { return {*this, name}; }

  // Any thread, never waits: has the shard call a function, in its next turn and on its thread, where it may do what handlers may; spawn() in it
  // starts a coroutine there. Functions of one thread are called in their order. queued; dropped, when so much is on its way to the shard that
  // nothing more fits; closed, when it has ended; not_started. What is queued when a shard ends is not called any more. What it throws is
  // logged with `where`. A shard that there is not is a std::out_of_range.
  send_status post(std::uint32_t shard_index, std::function<void()> work, std::source_location where = std::source_location::current());
  // The shard of this server whose thread this is; nothing on other threads.
  [[nodiscard]] std::optional<std::uint32_t> this_shard() const;

  // The addresses that are listened on, with the ports that were really taken. After start().
  [[nodiscard]] const std::vector<std::string>& addresses() const { return addresses_; }
  [[nodiscard]] const std::vector<std::string>& tls_addresses() const { return tls_addresses_; }
  [[nodiscard]] const std::vector<std::string>& admin_addresses() const { return admin_addresses_; }
  // Any thread: new connections are accepted, and see cluster_options::ready_needs_it. False before start().
  [[nodiscard]] bool is_ready() const;
  [[nodiscard]] std::uint32_t shard_count() const { return shard_count_; }

  // The rooms that have members, at most `rooms_max` of them, from the one after `after` on; empty: from the first. `next` of the answer is
  // the next call's `after`. So each page costs its own length, and no shard ever walks over all rooms. For coroutines; for other threads,
  // where a future that nobody will answer holds a std::runtime_error; and for the event face, as room::broadcast_reported() is.
  [[nodiscard]] task<room_page> rooms(std::string after = {}, std::uint32_t rooms_max = 100);
  [[nodiscard]] std::future<room_page> rooms_future(std::string after = {}, std::uint32_t rooms_max = 100);
  void rooms(std::string_view after, std::uint32_t rooms_max, std::function<void(const room_page&)> on_answer,
             const std::source_location& where = std::source_location::current());

  // What the shards have counted, and hold now (statistics.hpp). Each shard copies its own counters, some kilobytes; nobody waits for anybody. In the
  // same three ways as rooms(); a server that ends meanwhile answers nothing.
  [[nodiscard]] task<server_statistics> statistics();
  [[nodiscard]] std::future<server_statistics> statistics_future();
  void statistics(std::function<void(const server_statistics&)> on_answer, const std::source_location& where = std::source_location::current());

  // Who is connected, and how far behind each is (connections.hpp), page by page. Each shard walks over its connections in slices, one a turn of its loop,
  // so however many there are nobody waits for it longer than a slice takes; who comes and goes meanwhile is in it or not. Questions to a shard are
  // answered one after the other. In the same three ways.
  [[nodiscard]] task<connection_page> connections(connection_query query = {});
  [[nodiscard]] std::future<connection_page> connections_future(connection_query query = {});
  void connections(const connection_query& query, std::function<void(const connection_page&)> on_answer,
                   const std::source_location& where = std::source_location::current());

 private:
  friend struct engine::handle_access;
  using start_hook = std::pair<std::function<void(std::uint32_t)>, std::source_location>;
  void add_start_hook(std::function<void(std::uint32_t)> call, const std::source_location& where);
  struct shard_thread;
  enum class thread_use : std::uint8_t;
  enum class listener_kind : std::uint8_t;
  [[nodiscard]] engine::inbox& inbox_of(std::uint32_t shard_index);
  [[nodiscard]] bool owns(const engine::shard& s) const;
  [[nodiscard]] bool was_started() const { return started_.load(std::memory_order_acquire); }
  [[nodiscard]] std::expected<void, start_failure> check_options();
  [[nodiscard]] std::expected<void, start_failure> open_rings();
  [[nodiscard]] std::expected<void, start_failure> open_inherited(const std::string& text, listener_kind kind, std::vector<std::string>& addresses);
  void remove_socket_files();
  void let_go_of_last_thread();
  void give_up_start();
  void serve(std::uint32_t index);
  void on_other_signal(int signal);
  void on_end_asked(int signal);
  [[nodiscard]] bool has_every_shard_turned();
  void reopen_files() const;
  void say_what_was_not_sent() const;
  [[nodiscard]] std::expected<void, start_failure> open_listeners(const std::vector<std::string>& listen, listener_kind kind,
                                                                  std::vector<std::string>& addresses);

  server_options options_;
  std::unique_ptr<engine::http_router> router_;
  std::vector<start_hook> start_hooks_;
  std::vector<std::function<void()>> reload_hooks_;
  std::vector<middleware> middleware_;
  std::vector<std::pair<std::string, room_rules>> rooms_like_;
  std::unique_ptr<engine::room_rulebook> room_rulebook_; // null before the start
  std::uint32_t shard_count_ = 0;
  std::vector<std::string> addresses_, tls_addresses_, admin_addresses_;
  std::vector<std::unique_ptr<engine::socket_file>> socket_files_; // of Unix sockets, to be removed at the end
  std::unique_ptr<engine::tls_identity> identity_; // null without listen_tls
  std::unique_ptr<engine::trusted_proxies> proxies_; // null where none is trusted
  std::unique_ptr<engine::redis_options> redis_; // null: no room is of a cluster
  std::unique_ptr<engine::admission> admission_; // null without a bound on connections
  std::unique_ptr<engine::arrival_rates> arrivals_; // null without a limit on how fast they come
  std::unique_ptr<engine::server_orders> orders_;
  std::unique_ptr<engine::mesh> mesh_;
  std::vector<std::unique_ptr<shard_thread>> threads_;
  std::atomic<bool> begun_{false}; // start() was called
  std::unique_ptr<std::latch> all_begun_; // all shards have been made, or have failed
  std::atomic<bool> start_decided_{false}; // and start() has seen which
  std::atomic<bool> started_{false}; // all of the above is there, and stays
  std::atomic<bool> stopping_{false};
  std::atomic<bool> draining_{false};
  std::atomic<std::uint32_t> running_{0};
  int finished_event_ = -1; // an eventfd, written when the last shard has ended
};

} // namespace ringcast

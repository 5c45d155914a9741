#include <ringcast/server.hpp>

#include "engine/base/log.hpp"
#include "engine/cluster/redis_engine.hpp"
#include "engine/connection/handle_access.hpp"
#include "engine/io/core_allowance.hpp"
#include "engine/io/socket.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/server/run_as_coroutine.hpp"
#include "engine/server/static_files.hpp"
#include "engine/shard/admission.hpp"
#include "engine/shard/arrival_rates.hpp"
#include "engine/shard/forwarded.hpp"
#include "engine/shard/http_router.hpp"
#include "engine/shard/memory_bound.hpp"
#include "engine/shard/origin.hpp"
#include "engine/shard/server_orders.hpp"
#include "engine/shard/shard.hpp"
#include "engine/tls/tls_identity.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <pthread.h>
#include <ranges>
#include <sched.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace ringcast {

using namespace engine;

// A thread waits with its ring until it is known whether all there is to a server could be had.
enum class server::thread_use : std::uint8_t { undecided, yes, no };

enum class server::listener_kind : std::uint8_t { plain, tls, admin };

struct server::shard_thread {
  std::unique_ptr<ring> own_ring; // made by its thread, until the shard has it
  std::unique_ptr<inbox> from_threads;
  std::unique_ptr<shard> own;
  struct listening {
    int socket;
    listener_kind kind;
    acceptor::queue waiting = acceptor::queue::own;
  };
  std::vector<listening> listeners;
  std::thread thread;
  std::string failure;
  std::atomic<thread_use> is_used{thread_use::undecided};
  std::atomic<bool> accepting{false};
  std::atomic<bool> has_cluster{false}; // can reach what orders its rooms, or has none of them
  std::atomic<std::uint64_t> turns{0};  // that its shard has taken
  std::atomic<bool> has_ended{false};   // and will take no more
  std::uint64_t turns_seen = 0;         // by run()
};

namespace {

// Each room is compared with each of them when it is opened, and each message of a thread that is no shard's.
constexpr std::size_t rooms_like_max = 256;

std::expected<void, std::string> check_room_pattern(std::string_view pattern) {
  // Stars apart it is a part of a name, and so has its letters.
  std::string letters;
  for (const char c : pattern)
    if (c != '*') letters += c;
  if (letters.empty() && !pattern.empty()) return {};
  const auto checked = check_room_name(pattern.size() > 128 ? pattern : letters);
  if (checked) return {};
  return std::unexpected(fmt::format("the pattern of rooms {:?} matches no room: {}", pattern, checked.error()));
}

// An address that is in use is tried again for this long: the listeners of a server that was killed live on for some hundred milliseconds.
constexpr std::chrono::milliseconds address_patience{2000};

void pin_to(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

// A connection is a descriptor; the soft limit is a default for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// [::] is everybody's, but where 0.0.0.0 is listened on by itself.
ip_versions versions_of(const server_options& options, const socket_address& address) {
  if (address.storage.ss_family != AF_INET6 || !is_every_address(address)) return ip_versions::own;
  for (const auto* listen : {&options.listen, &options.listen_admin, &options.listen_tls})
    for (const std::string& text : *listen) {
      const auto other = parse_address(text);
      if (other && other->storage.ss_family == AF_INET && is_every_address(*other) && other->port() == address.port()) return ip_versions::own;
    }
  return ip_versions::both;
}

} // namespace

server::server(server_options options) : options_(std::move(options)), router_(std::make_unique<http_router>()) {}

server::~server() {
  stop();
  wait();
  for (auto& t : threads_)
    for (const auto& listener : t->listeners) close_now(listener.socket);
  if (finished_event_ >= 0) ::close(finished_event_);
}

void server::route(std::string_view method, std::string_view pattern, route_handler handler, std::source_location where) {
  request_handler whole = std::move(handler).call();
  for (const middleware& around : std::views::reverse(middleware_))
    whole = [around, next = std::move(whole)](request& req) { return around(req, next); };
  router_->add(method, pattern, run_as_coroutine(this, std::move(whole), where), where);
}

void server::files(std::string_view pattern, const std::string& folder, file_options options, std::source_location where) {
  route("GET", pattern, serve_files(folder, std::move(options)), where);
}

void server::events(std::string_view pattern, websocket_endpoint endpoint, std::source_location where) {
  router_->add(pattern, std::move(endpoint), where);
}

void server::add_start_hook(std::function<void(std::uint32_t)> call, const std::source_location& where) {
  if (begun_) throw std::logic_error(fmt::format("on_start of {}:{} comes too late: the server has been started", where.file_name(), where.line()));
  start_hooks_.emplace_back(std::move(call), where);
}

class routes server::routes() { return handle_access::routes_of(*router_); }

inbox& server::inbox_of(std::uint32_t shard_index) { return *threads_[shard_index]->from_threads; }
bool server::owns(const shard& s) const { return s.index() < threads_.size() && threads_[s.index()]->own.get() == &s; }

std::expected<void, start_failure> server::open_listeners(const std::vector<std::string>& listen, listener_kind kind,
                                                          std::vector<std::string>& addresses) {
  const patience_end until = std::chrono::steady_clock::now() + address_patience;
  for (const std::string& text : listen) {
    if (text.starts_with("fd:")) {
      if (auto opened = open_inherited(text, kind, addresses); !opened) return opened;
      continue;
    }
    auto address = parse_address(text);
    if (!address) return std::unexpected(start_failure{address.error()});
    const ip_versions by = versions_of(options_, *address);
    if (const auto free = check_port_is_free(*address, until, by); !free) return std::unexpected(start_failure{free.error()});
    const bool has_one_queue = address->storage.ss_family == AF_UNIX;
    for (std::uint32_t i = 0; i < shard_count_; ++i) {
      const auto listener = has_one_queue && i > 0 ? share_listener(threads_[0]->listeners.back().socket)
                                                   : listen_on(*address, static_cast<int>(options_.backlog), until, by);
      if (!listener) return std::unexpected(start_failure{listener.error()});
      threads_[i]->listeners.push_back({*listener, kind, has_one_queue ? acceptor::queue::shared : acceptor::queue::own});
      if (has_one_queue) {
        if (auto file = socket_file_of(*address); i == 0 && file) socket_files_.push_back(std::make_unique<socket_file>(std::move(*file)));
        continue;
      }
      // With port 0 the first shard's socket gets one, and the others share it.
      if (address->port() == 0) *address = local_address_of(*listener);
    }
    addresses.push_back(address->text());
  }
  return {};
}

// One queue for all shards.
std::expected<void, start_failure> server::open_inherited(const std::string& text, listener_kind kind, std::vector<std::string>& addresses) {
  for (auto& t : threads_) {
    const auto listener = inherited_listener(text);
    if (!listener) return std::unexpected(start_failure{listener.error()});
    t->listeners.push_back({*listener, kind, acceptor::queue::shared});
  }
  addresses.push_back(local_address_of(threads_[0]->listeners.back().socket).text());
  return {};
}

void server::rooms_like(std::string_view pattern, const room_rules& rules) {
  if (was_started()) throw std::logic_error("rooms_like() on a server that was started");
  rooms_like_.emplace_back(pattern, rules);
}

void server::remove_socket_files() {
  for (const auto& file : socket_files_) remove_socket_file(*file);
  socket_files_.clear();
}

// What the options say by themselves.
std::expected<void, start_failure> server::check_options() {
  if (options_.shards > connection_handle::shards_max)
    return std::unexpected(start_failure{fmt::format("{} shards are more than the {} there can be", options_.shards, connection_handle::shards_max)});
  for (const auto& [pattern, rules] : rooms_like_)
    if (const auto checked = check_room_pattern(pattern); !checked) return std::unexpected(start_failure{checked.error()});
  if (rooms_like_.size() > rooms_like_max)
    return std::unexpected(start_failure{fmt::format("{} patterns of rooms are more than {}", rooms_like_.size(), rooms_like_max)});
  room_rulebook_ = std::make_unique<room_rulebook>(rules_of_room{.policy = options_.policy,
                                                                 .behind_bytes_max = options_.limits.send_queue_bytes_max,
                                                                 .history = options_.history,
                                                                 .cluster = options_.cluster.all_rooms},
                                                   rooms_like_);
  if (room_rulebook_->keeps_history()) {
    const std::uint64_t memory = options_.memory_bytes != 0 ? options_.memory_bytes : default_memory_bytes();
    if (options_.history.total_bytes == 0) return std::unexpected(start_failure{"rooms are to have a history, and no memory for it"});
    if (options_.history.total_bytes > memory / 2)
      return std::unexpected(
          start_failure{fmt::format("the history of rooms may take {} bytes, which is more than half of the {} that the server may hold",
                                    options_.history.total_bytes, memory)});
  }
  if (!options_.listen_tls.empty()) {
    if (options_.tls.certificates.empty()) return std::unexpected(start_failure{"a TLS port needs a certificate and its key"});
    auto loaded = tls_context::load_server(options_.tls);
    if (!loaded) return std::unexpected(start_failure{loaded.error()});
    identity_ = std::make_unique<tls_identity>(std::move(*loaded));
  }
  if (room_rulebook_->has_cluster()) {
    if (options_.cluster.redis.empty()) return std::unexpected(start_failure{"rooms are to be of a cluster, and nothing says what orders it"});
    auto checked = redis_options_of(options_.cluster);
    if (!checked) return std::unexpected(start_failure{checked.error()});
    redis_ = std::make_unique<redis_options>(std::move(*checked));
  }
  if (options_.proxies.protocol == proxy_protocol::required && options_.proxies.trusted.empty())
    return std::unexpected(start_failure{"the PROXY protocol is of trusted proxies, and none is named"});
  if (!options_.proxies.trusted.empty()) {
    auto trusted = trusted_proxies::parse(options_.proxies);
    if (!trusted) return std::unexpected(start_failure{trusted.error()});
    proxies_ = std::make_unique<trusted_proxies>(std::move(*trusted));
  }
  for (const std::string& origin : options_.allowed_origins)
    if (const auto checked = check_origin(origin); !checked) return std::unexpected(start_failure{checked.error()});
  return {};
}

// Threads, each with its ring. A number that was asked for must be there; otherwise as many as cores, or what locked memory, descriptors
// and threads allow of them.
std::expected<void, start_failure> server::open_rings() {
  const core_allowance allowed = allowed_cores();
  const auto cores = static_cast<std::uint32_t>(allowed.cores.size());
  const std::uint32_t wanted = options_.shards != 0 ? options_.shards : std::min(allowed.threads(), connection_handle::shards_max);
  if (options_.shards > allowed.threads())
    log_warning("{} shards were asked for, but this process may use {:.3g} of {} core(s): more shards than cores share them and gain nothing",
                options_.shards, allowed.quota.value_or(cores), cores);
  if (options_.shards == 0 && wanted < cores)
    log_info("{} shard(s) on {} cores: the CPU quota of the control group is {:.3g} cores", wanted, cores, allowed.quota.value_or(cores));
  std::string failure;
  const auto all_tried = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(wanted));
  for (std::uint32_t i = 0; i < wanted; ++i) {
    threads_.push_back(std::make_unique<shard_thread>());
    shard_thread& t = *threads_.back();
    try {
      t.thread = std::thread([this, &t, i, all_tried, core = wanted <= cores ? allowed.cores[i] : -1] {
        if (core >= 0) pin_to(core);
        pthread_setname_np(pthread_self(), fmt::format("shard-{}", i).c_str());
        if (auto opened = ring::open({}))
          t.own_ring = std::move(*opened);
        else
          t.failure = opened.error();
        all_tried->count_down();
        t.is_used.wait(thread_use::undecided);
        if (t.is_used == thread_use::yes) serve(i);
      });
    } catch (const std::system_error& none) {
      failure = fmt::format("no thread could be started for a shard: {}", none.code().message());
      threads_.pop_back();
      all_tried->count_down(static_cast<std::ptrdiff_t>(wanted - i));
      break;
    }
  }
  all_tried->wait();
  while (!threads_.empty() && threads_.back()->own_ring == nullptr) {
    failure = threads_.back()->failure;
    let_go_of_last_thread();
  }
  for (const auto& t : threads_)
    if (t->own_ring == nullptr) failure = t->failure;
  // A ring that failed between others: those behind it are given back, which leaves room.
  while (!std::ranges::all_of(threads_, [](const auto& t) { return t->own_ring != nullptr; })) let_go_of_last_thread();
  if (threads_.empty() || (options_.shards != 0 && threads_.size() < wanted)) return std::unexpected(start_failure{failure, 3});
  shard_count_ = static_cast<std::uint32_t>(threads_.size());
  if (shard_count_ < wanted) log_warning("{} shard(s) instead of {}: {}", shard_count_, wanted, failure);
  return {};
}

void server::let_go_of_last_thread() {
  shard_thread& t = *threads_.back();
  t.is_used = thread_use::no;
  t.is_used.notify_one();
  t.thread.join();
  threads_.pop_back();
}

// Nothing of what was begun stays.
void server::give_up_start() {
  for (auto& t : threads_) {
    for (const auto& listener : t->listeners) close_now(listener.socket);
    t->listeners.clear();
  }
  while (!threads_.empty()) let_go_of_last_thread();
  remove_socket_files();
}

std::expected<void, start_failure> server::start() {
  if (begun_.exchange(true)) return std::unexpected(start_failure{"start() was called before: a server starts once"});
  if (stopping_.load()) return std::unexpected(start_failure{"the server was stopped before it was started"});
  router_->close();
  if (!router_->problem().empty()) return std::unexpected(start_failure{router_->problem()});
  raise_descriptor_limit();
  // Asked on this thread first, so that the answer to "may io_uring be used" does not depend on ports.
  if (const auto usable = ring::try_out(); !usable) return std::unexpected(start_failure{usable.error(), 3});
  if (auto checked = check_options(); !checked) return checked;
  if (options_.max_connections != 0 || options_.max_connections_per_ip != 0)
    admission_ = std::make_unique<admission>(options_.max_connections, options_.max_connections_per_ip);
  if (options_.new_connections_per_ip.is_on()) arrivals_ = std::make_unique<arrival_rates>(options_.new_connections_per_ip);
  if (auto opened = open_rings(); !opened) return give_up_start(), opened;
  if (auto opened = open_listeners(options_.listen, listener_kind::plain, addresses_); !opened) return give_up_start(), opened;
  if (auto opened = open_listeners(options_.listen_admin, listener_kind::admin, admin_addresses_); !opened) return give_up_start(), opened;
  if (auto opened = open_listeners(options_.listen_tls, listener_kind::tls, tls_addresses_); !opened) return give_up_start(), opened;
  orders_ = std::make_unique<server_orders>(shard_count_);
  try {
    mesh_ = std::make_unique<mesh>(shard_count_, mesh_lane_bytes);
    for (std::uint32_t i = 0; i < shard_count_; ++i) threads_[i]->from_threads = std::make_unique<inbox>(mesh_->bell(i), inbox_bytes);
    finished_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (finished_event_ < 0) throw std::system_error(errno, std::system_category(), "eventfd for the end of the shards");
  } catch (const std::exception& none) {
    give_up_start();
    mesh_.reset();
    return std::unexpected(start_failure{fmt::format("the server cannot start with {} shard(s): {}", shard_count_, none.what()), 3});
  }
  all_begun_ = std::make_unique<std::latch>(static_cast<std::ptrdiff_t>(shard_count_));
  running_ = shard_count_;
  for (auto& t : threads_) {
    t->is_used = thread_use::yes;
    t->is_used.notify_one();
  }
  all_begun_->wait();
  const auto failed = std::ranges::find_if(threads_, [](const auto& t) { return !t->failure.empty(); });
  started_.store(failed == threads_.end(), std::memory_order_release);
  start_decided_ = true;
  start_decided_.notify_all();
  if (failed == threads_.end()) return {};
  const start_failure failure{(*failed)->failure, 3};
  stop();
  wait();
  return std::unexpected(failure);
}

send_status server::post(std::uint32_t shard_index, std::function<void()> work, std::source_location where) {
  if (!was_started()) return send_status::not_started;
  if (shard_index >= shard_count_) throw std::out_of_range(fmt::format("there is no shard {}: there are {}", shard_index, shard_count_));
  auto boxed = std::make_unique<std::function<void(shard&)>>(
      [work = std::move(work), where](shard& there) mutable { there.user_code().note_posted(std::move(work), where); });
  const run_message message{boxed.get()};
  switch (inbox_of(shard_index).push(static_cast<std::uint32_t>(record_kind::run), bytes_of(message))) {
  case inbox_result::queued: (void)boxed.release(); return send_status::queued;
  case inbox_result::full: return send_status::dropped;
  case inbox_result::closed:
  case inbox_result::too_large: break;
  }
  return send_status::closed;
}

std::optional<std::uint32_t> server::this_shard() const {
  const shard* here = shard::current();
  if (here == nullptr || !owns(*here)) return std::nullopt;
  return here->index();
}

// A shard's thread, from here to its end.
void server::serve(std::uint32_t index) {
  shard_thread& t = *threads_[index];
  try {
    const shard_options options{.limits = options_.limits,
                                .admits = admission_.get(),
                                .arrivals = arrivals_.get(),
                                .orders = orders_.get(),
                                .proxies = proxies_.get(),
                                .admin_hosts = options_.admin_hosts,
                                .allowed_origins = options_.allowed_origins,
                                .policy = options_.policy,
                                .coalesce_wait_us = options_.coalesce_wait_us,
                                .memory_bytes = (options_.memory_bytes != 0 ? options_.memory_bytes : default_memory_bytes()) / shard_count_,
                                .spin_us = options_.spin_us,
                                .slow_handler_ms = options_.slow_handler_ms,
                                .compression = options_.compression,
                                .presence = options_.presence,
                                .history = options_.history,
                                .rooms_like = rooms_like_,
                                .all_rooms_of_cluster = options_.cluster.all_rooms,
                                .make_cluster = redis_ == nullptr ? decltype(shard_options::make_cluster){}
                                                                  : [this](std::uint32_t, ring& io) -> std::unique_ptr<cluster_engine> {
                                  return std::make_unique<redis_engine>(io, *redis_);
                                },
                                .on_access = options_.on_access};
    t.own = std::make_unique<shard>(index, options, *mesh_, *t.from_threads, *router_, std::move(t.own_ring));
    for (const auto& listener : t.listeners)
      t.own->accepting().add_listener(
          {.socket = listener.socket,
           .identity = listener.kind == listener_kind::tls ? identity_.get() : nullptr,
           .waiting = listener.waiting,
           .is_admin = listener.kind == listener_kind::admin,
           .is_for_proxies = listener.kind != listener_kind::admin && options_.proxies.protocol == proxy_protocol::required});
    t.listeners.clear();
    t.accepting = true; // before start() returns: the server is ready then
  } catch (const std::exception& failed) {
    t.failure = failed.what();
  }
  all_begun_->arrive_and_wait();
  start_decided_.wait(false);
  if (t.own != nullptr) {
    // Told in its first turn, in which no request can come yet.
    if (was_started())
      for (const start_hook& hook : start_hooks_) t.own->user_code().note_posted([&hook, index] { hook.first(index); }, hook.second);
    for (std::uint64_t turns = 1; t.own->turn(); ++turns) {
      t.accepting.store(t.own->accepting().is_accepting(), std::memory_order_relaxed);
      t.has_cluster.store(t.own->reaches_cluster(), std::memory_order_relaxed);
      t.turns.store(turns, std::memory_order_relaxed);
    }
  }
  t.has_ended = true;
  t.from_threads->close();
  if (running_.fetch_sub(1) == 1) {
    const std::uint64_t one = 1;
    (void)!::write(finished_event_, &one, sizeof one);
  }
}

void server::stop() {
  stopping_ = true; // before start(): that will say so
  if (mesh_ == nullptr) return;
  for (std::uint32_t i = 0; i < shard_count_; ++i) mesh_->bell(i).ask_to_stop();
}

void server::wait() {
  for (auto& t : threads_)
    if (t->thread.joinable()) t->thread.join();
  remove_socket_files();
  say_what_was_not_sent();
  // Shards go only when no thread can send to them any more, one after the other: chunks of logs are freed by the homes that made them.
  for (auto& t : threads_)
    if (t->own != nullptr) t->own->end_tasks();
  for (auto& t : threads_)
    if (t->own != nullptr) t->own->drop_rooms();
  for (auto& t : threads_) t->own.reset();
}

void server::say_what_was_not_sent() const {
  std::uint64_t messages = 0, bytes = 0, connections = 0;
  for (const auto& t : threads_) {
    if (t->own == nullptr) continue;
    messages += t->own->counters().unsent_messages;
    bytes += t->own->counters().unsent_own_bytes;
    connections += t->own->counters().unsent_connections;
  }
  if (connections == 0) return;
  log_warning("{} connections had not read everything when the close timeout was over: {} messages of rooms and {} bytes of other output "
              "were not sent to them",
              connections, messages, bytes);
}

bool server::is_ready() const {
  return started_.load(std::memory_order_acquire) && !stopping_.load(std::memory_order_relaxed) && !draining_.load(std::memory_order_relaxed) &&
         std::ranges::all_of(threads_, [needs_cluster = options_.cluster.ready_needs_it](const auto& t) {
           return t->accepting.load(std::memory_order_relaxed) && (!needs_cluster || t->has_cluster.load(std::memory_order_relaxed));
         });
}

std::expected<void, std::string> server::reload_certificates() {
  if (!was_started()) return std::unexpected("the server has not been started");
  if (identity_ == nullptr) return std::unexpected("no port speaks TLS");
  auto loaded = tls_context::load_server(options_.tls);
  if (!loaded) return std::unexpected(loaded.error());
  identity_->replace(std::move(*loaded));
  return {};
}

// Since the last call; one that sleeps is woken, so that the next call can tell it from one that hangs.
bool server::has_every_shard_turned() {
  bool all = true;
  for (std::uint32_t i = 0; i < shard_count_; ++i) {
    shard_thread& t = *threads_[i];
    const std::uint64_t turns = t.turns.load(std::memory_order_relaxed);
    all = all && (turns != t.turns_seen || t.has_ended);
    t.turns_seen = turns;
    mesh_->bell(i).ring();
  }
  return all;
}

} // namespace ringcast

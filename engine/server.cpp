#include "engine/server.hpp"

#include "engine/admission.hpp"
#include "engine/inbox.hpp"
#include "engine/log.hpp"
#include "engine/memory_bound.hpp"
#include "engine/mesh.hpp"
#include "engine/origin.hpp"
#include "engine/shard.hpp"
#include "engine/socket.hpp"
#include "engine/tls_identity.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <latch>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace ringcast {

struct server::shard_thread {
  std::unique_ptr<inbox> from_threads;
  std::unique_ptr<shard> own;
  struct listening {
    int socket;
    bool encrypted;
  };
  std::vector<listening> listeners;
  std::thread thread;
  std::string failure;
  std::atomic<bool> accepting{false};
};

namespace {

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set)) cores.push_back(core);
  if (cores.empty()) cores.push_back(0);
  return cores;
}

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

} // namespace

server::server(server_options options) : options_(std::move(options)) {}

server::~server() {
  stop();
  wait();
  for (auto& t : threads_)
    for (const auto& listener : t->listeners) close_now(listener.socket);
  if (finished_event_ >= 0) ::close(finished_event_);
}

void server::get(std::string_view pattern, request_handler handler, std::source_location where) {
  router_.add("GET", pattern, run_as_coroutine(this, std::move(handler), where), where);
}

void server::post(std::string_view pattern, request_handler handler, std::source_location where) {
  router_.add("POST", pattern, run_as_coroutine(this, std::move(handler), where), where);
}

void server::events(std::string_view pattern, websocket_endpoint endpoint, std::source_location where) {
  router_.add(pattern, std::move(endpoint), where);
}

inbox& server::inbox_of(std::uint32_t shard_index) { return *threads_[shard_index]->from_threads; }
bool server::owns(const shard& s) const { return s.index() < threads_.size() && threads_[s.index()]->own.get() == &s; }

std::expected<void, start_failure> server::open_listeners(const std::vector<std::string>& listen, bool encrypted,
                                                          std::vector<std::string>& addresses) {
  for (const std::string& text : listen) {
    auto address = parse_address(text);
    if (!address) return std::unexpected(start_failure{address.error()});
    if (const auto free = check_port_is_free(*address); !free) return std::unexpected(start_failure{free.error()});
    for (std::uint32_t i = 0; i < shard_count_; ++i) {
      const auto listener = listen_on(*address, static_cast<int>(options_.backlog));
      if (!listener) return std::unexpected(start_failure{listener.error()});
      threads_[i]->listeners.push_back({*listener, encrypted});
      // With port 0 the first shard's socket gets one, and the others share it.
      if (address->port() == 0) *address = local_address_of(*listener);
    }
    addresses.push_back(address->text());
  }
  return {};
}

std::expected<void, start_failure> server::start() {
  if (begun_.exchange(true)) return std::unexpected(start_failure{"start() was called before: a server starts once"});
  if (stopping_.load()) return std::unexpected(start_failure{"the server was stopped before it was started"});
  router_.close();
  if (!router_.problem().empty()) return std::unexpected(start_failure{router_.problem()});
  raise_descriptor_limit();
  const std::vector<int> cores = usable_cores();
  shard_count_ = options_.shards != 0 ? options_.shards : static_cast<std::uint32_t>(cores.size());
  if (shard_count_ > connection_handle::shards_max)
    return std::unexpected(start_failure{fmt::format("{} shards are more than the {} there can be", shard_count_, connection_handle::shards_max)});
  for (std::uint32_t i = 0; i < shard_count_; ++i) threads_.push_back(std::make_unique<shard_thread>());
  {
    // Asked on this thread first, so that the answer to "may io_uring be used" does not depend on ports.
    const auto probe = ring::open({.submission_entries = 8, .completion_entries = 16});
    if (!probe) return std::unexpected(start_failure{probe.error(), 3});
  }
  if (!options_.listen_tls.empty()) {
    if (options_.tls.certificates.empty()) return std::unexpected(start_failure{"a TLS port needs a certificate and its key"});
    auto loaded = tls_context::load_server(options_.tls);
    if (!loaded) return std::unexpected(start_failure{loaded.error()});
    identity_ = std::make_unique<tls_identity>(std::move(*loaded));
  }
  for (const std::string& origin : options_.allowed_origins)
    if (const auto checked = check_origin(origin); !checked) return std::unexpected(start_failure{checked.error()});
  if (options_.max_connections != 0 || options_.max_connections_per_ip != 0)
    admission_ = std::make_unique<admission>(options_.max_connections, options_.max_connections_per_ip);
  if (auto opened = open_listeners(options_.listen, false, addresses_); !opened) return opened;
  if (auto opened = open_listeners(options_.listen_tls, true, tls_addresses_); !opened) return opened;

  mesh_ = std::make_unique<mesh>(shard_count_, mesh_lane_bytes);
  finished_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  // Shared, because a shard may still be inside its wait when start() has returned.
  const auto started = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(shard_count_));
  running_ = shard_count_;
  for (std::uint32_t i = 0; i < shard_count_; ++i) {
    shard_thread& t = *threads_[i];
    t.from_threads = std::make_unique<inbox>(mesh_->bell(i), inbox_bytes);
    const int core = shard_count_ <= cores.size() ? cores[i] : -1;
    t.thread = std::thread([this, &t, started, i, core] {
      if (core >= 0) pin_to(core);
      pthread_setname_np(pthread_self(), fmt::format("shard-{}", i).c_str());
      auto opened = ring::open({});
      if (opened) {
        const shard_options options{.limits = options_.limits,
                                    .admits = admission_.get(),
                                    .allowed_origins = options_.allowed_origins,
                                    .policy = options_.policy,
                                    .coalesce_wait_us = options_.coalesce_wait_us,
                                    .memory_bytes = (options_.memory_bytes != 0 ? options_.memory_bytes : default_memory_bytes()) / shard_count_,
                                    .spin_us = options_.spin_us,
                                    .compression = options_.compression};
        t.own = std::make_unique<shard>(i, options, *mesh_, *t.from_threads, router_, std::move(*opened));
        for (const auto& listener : t.listeners) t.own->add_listener(listener.socket, listener.encrypted ? identity_.get() : nullptr);
        t.listeners.clear();
        t.accepting = true; // before start() returns: the server is ready then
      } else {
        t.failure = opened.error();
      }
      started->arrive_and_wait();
      if (t.own != nullptr) {
        while (t.own->turn()) t.accepting.store(t.own->is_accepting(), std::memory_order_relaxed);
      }
      t.from_threads->close();
      if (running_.fetch_sub(1) == 1) {
        const std::uint64_t one = 1;
        (void)!::write(finished_event_, &one, sizeof one);
      }
    });
  }
  started->wait();
  for (auto& t : threads_)
    if (!t->failure.empty()) {
      const start_failure failure{t->failure, 3};
      stop();
      wait();
      return std::unexpected(failure);
    }
  started_.store(true, std::memory_order_release);
  return {};
}

void server::stop() {
  stopping_ = true; // before start(): that will say so
  if (mesh_ == nullptr) return;
  for (auto& t : threads_)
    if (t->from_threads != nullptr) (void)t->from_threads->push(static_cast<std::uint32_t>(shard_message::stop), {});
}

void server::wait() {
  for (auto& t : threads_)
    if (t->thread.joinable()) t->thread.join();
  // Shards go only when no thread can send to them any more, one after the other: chunks of logs are freed by the homes that made them.
  for (auto& t : threads_)
    if (t->own != nullptr) t->own->end_tasks();
  for (auto& t : threads_)
    if (t->own != nullptr) t->own->drop_rooms();
  for (auto& t : threads_) t->own.reset();
}

bool server::is_ready() const {
  return started_.load(std::memory_order_acquire) && !stopping_.load(std::memory_order_relaxed) && std::ranges::all_of(threads_, [](const auto& t) { return t->accepting.load(std::memory_order_relaxed); });
}

std::expected<void, std::string> server::reload_certificates() {
  if (!was_started()) return std::unexpected("the server has not been started");
  if (identity_ == nullptr) return std::unexpected("no port speaks TLS");
  auto loaded = tls_context::load_server(options_.tls);
  if (!loaded) return std::unexpected(loaded.error());
  identity_->replace(std::move(*loaded));
  return {};
}

int server::run() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (!options_.listen_tls.empty()) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const int signal_descriptor = signalfd(-1, &signals, SFD_CLOEXEC);
  if (const auto started = start(); !started) {
    std::fprintf(stderr, "%s\n", started.error().why.c_str());
    return started.error().exit_code;
  }
  for (const std::string& address : addresses_) log_info("listening on {} with {} shard(s)", address, shard_count_);
  for (const std::string& address : tls_addresses_)
    log_info("listening on {} for TLS with {} shard(s), {}", address, shard_count_, tls_library_description());
  int signals_seen = 0;
  while (true) {
    pollfd waited[2] = {{signal_descriptor, POLLIN, 0}, {finished_event_, POLLIN, 0}};
    if (::poll(waited, 2, -1) < 0 && errno != EINTR) break;
    if ((waited[1].revents & POLLIN) != 0) break;
    if ((waited[0].revents & POLLIN) == 0) continue;
    signalfd_siginfo seen{};
    (void)!::read(signal_descriptor, &seen, sizeof seen);
    if (seen.ssi_signo == SIGHUP) {
      if (const auto reloaded = reload_certificates(); reloaded)
        log_info("certificates were read again, for new connections");
      else
        log_error("certificates were not renewed: {}", reloaded.error());
      continue;
    }
    if (++signals_seen == 2) ::_exit(1);
    log_info("closing every connection");
    stop();
  }
  wait();
  ::close(signal_descriptor);
  return 0;
}

} // namespace ringcast

// A server as a process: signals, what is said to the service manager, and what may change while it runs.
#include "engine/base/log.hpp"
#include "engine/io/process_signals.hpp"
#include "engine/io/service_manager.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/shard/server_orders.hpp"
#include "engine/tls/tls_identity.hpp"
#include <ringcast/server.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <poll.h>
#include <unistd.h>

namespace ringcast {

using namespace engine;

namespace {

// Without a descriptor for the signals they are looked for this often.
constexpr std::chrono::milliseconds signals_looked_for{100};
constexpr std::chrono::milliseconds drain_line_interval{1000};

} // namespace

int server::run() {
  process_signals signals{SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
  if (const auto started = start(); !started) {
    (void)flush_log(std::chrono::milliseconds{100}); // what was said on the way stands before the reason
    std::fprintf(stderr, "%s\n", started.error().why.c_str());
    return started.error().exit_code;
  }
  for (const std::string& address : addresses_) log_info("listening on {} with {} shard(s)", address, shard_count_);
  for (const std::string& address : admin_addresses_) log_info("listening on {} for those who run this", address);
  for (const std::string& address : tls_addresses_)
    log_info("listening on {} for TLS with {} shard(s), {}", address, shard_count_, tls_library_description());
  const service_manager manager;
  manager.say("READY=1");
  // Four looks in the time that the watchdog allows: what is missed by one is seen by the next.
  const std::chrono::milliseconds beat = manager.watchdog() / 4;
  auto next_beat = std::chrono::steady_clock::now(), next_line = next_beat;
  int ends_asked = 0;
  while (true) {
    std::chrono::milliseconds patience = signals.descriptor() >= 0 ? std::chrono::milliseconds{-1} : signals_looked_for;
    if (draining_) patience = drain_line_interval / 4;
    if (beat.count() > 0 && (patience.count() < 0 || beat < patience)) patience = beat;
    pollfd waited[2] = {{signals.descriptor(), POLLIN, 0}, {finished_event_, POLLIN, 0}};
    if (::poll(waited, 2, static_cast<int>(patience.count())) < 0 && errno != EINTR) break;
    if ((waited[1].revents & POLLIN) != 0) break;
    const auto now = std::chrono::steady_clock::now();
    if (beat.count() > 0 && now >= next_beat) {
      next_beat = now + beat;
      if (has_every_shard_turned()) manager.say("WATCHDOG=1");
    }
    if (draining_ && now >= next_line) {
      next_line = now + drain_line_interval;
      log_info("draining: {} connections are left", left_to_drain());
    }
    const std::optional<int> signal = signals.take();
    if (!signal) continue;
    if (*signal == SIGTERM || *signal == SIGINT) {
      if (++ends_asked == 2) ::_exit(1);
      manager.say("STOPPING=1");
      on_end_asked(*signal);
      next_line = now + drain_line_interval;
    } else {
      on_other_signal(*signal);
    }
  }
  wait();
  return 0;
}

void server::on_end_asked(int signal) {
  const char* const name = signal == SIGTERM ? "SIGTERM" : "SIGINT";
  if (options_.drain.delay_ms == 0 && options_.drain.spread_ms == 0)
    log_info("{}: closing every connection", name);
  else
    log_info("{}: draining: not ready any more, accepting for {} ms, and closing every connection over {} ms", name, options_.drain.delay_ms,
             options_.drain.spread_ms);
  drain(options_.drain);
}

void server::reopen_files() const {
  if (!options_.on_reopen) return log_info("SIGUSR1: there is no log file to open again; the log goes to standard error");
  log_info("SIGUSR1: files are opened again");
  try {
    options_.on_reopen();
  } catch (const std::exception& thrown) {
    log_error("on_reopen threw: {}", thrown.what());
  }
}

void server::on_other_signal(int signal) {
  switch (signal) {
  case SIGHUP:
    if (identity_ == nullptr) {
      if (reload_hooks_.empty()) log_info("SIGHUP: there is nothing to reload, since no port speaks TLS");
    } else if (const auto reloaded = reload_certificates(); reloaded) {
      log_info("SIGHUP: certificates were read again, for new connections");
    } else {
      log_error("SIGHUP: certificates were not renewed: {}", reloaded.error());
    }
    for (const auto& hook : reload_hooks_) {
      try {
        hook();
      } catch (const std::exception& failed) {
        log_error("what on_reload() was given failed: {}", failed.what());
      } catch (...) {
        log_error("what on_reload() was given failed");
      }
    }
    return;
  case SIGUSR1: return reopen_files();
  case SIGUSR2: log_info("SIGUSR2 has no meaning here and is ignored"); return;
  default: return;
  }
}

void server::drain(const drain_options& how) {
  if (!was_started() || (how.delay_ms == 0 && how.spread_ms == 0)) return stop();
  draining_ = true;
  orders_->drain(how);
  for (std::uint32_t i = 0; i < shard_count_; ++i) mesh_->bell(i).ring();
}

std::uint64_t server::left_to_drain() const { return was_started() ? static_cast<std::uint64_t>(std::max<std::int64_t>(orders_->left(), 0)) : 0; }

std::expected<void, std::string> server::change(const server_options& wanted) {
  if (!was_started()) return std::unexpected("the server has not been started");
  for (const std::string& origin : wanted.allowed_origins)
    if (const auto checked = check_origin(origin); !checked) return checked;
  running_options to{.limits = options_.limits, .allowed_origins = wanted.allowed_origins};
  to.limits.message_bytes_max = wanted.limits.message_bytes_max;
  to.limits.ping_interval_ms = wanted.limits.ping_interval_ms;
  to.limits.pong_timeout_ms = wanted.limits.pong_timeout_ms;
  to.limits.idle_timeout_ms = wanted.limits.idle_timeout_ms;
  to.limits.close_timeout_ms = wanted.limits.close_timeout_ms;
  to.limits.rates = wanted.limits.rates;
  orders_->change(std::move(to));
  for (std::uint32_t i = 0; i < shard_count_; ++i) mesh_->bell(i).ring();
  return {};
}

} // namespace ringcast

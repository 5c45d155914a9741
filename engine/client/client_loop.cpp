#include <ringcast/client_loop.hpp>

#include "engine/client/client_host.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/shard/http_router.hpp"
#include "engine/shard/shard.hpp"

#include <csignal>
#include <future>
#include <latch>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <thread>

namespace ringcast {

using namespace engine;

namespace {
constexpr std::uint32_t loop_inbox_bytes = 4096; // it is told little: clients have a queue of their own (client_host)
} // namespace

// A shard without listeners and without a neighbour.
struct client_loop::parts {
  mesh alone{1, mesh_lane_bytes};
  inbox from_threads{alone.bell(0), loop_inbox_bytes};
  http_router no_routes;
  std::unique_ptr<shard> own;
  client_host* host = nullptr;
  std::string failure;
  std::thread thread;
};

client_loop::client_loop(const client_loop_options& options) : parts_(std::make_unique<parts>()) {
  parts& p = *parts_;
  // Shared, because the thread may still be inside its call when this one has gone on.
  const auto started = std::make_shared<std::latch>(1);
  // Signals are for the program's other threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  p.thread = std::thread([&p, options, started] {
    pthread_setname_np(pthread_self(), "client-loop");
    try {
      if (const auto usable = ring::try_out(); !usable) throw std::runtime_error(usable.error());
      auto opened = ring::open({.submission_entries = options.submission_entries});
      if (!opened) throw std::runtime_error(opened.error());
      shard_options own;
      own.limits.close_timeout_ms = options.close_timeout_ms;
      p.own = std::make_unique<shard>(0, own, p.alone, p.from_threads, p.no_routes, std::move(*opened));
      p.host = &client_host::of(*p.own);
    } catch (const std::exception& failed) {
      p.own.reset();
      p.failure = failed.what();
    }
    started->count_down();
    if (p.own == nullptr) return;
    p.own->run();
    p.from_threads.close();
    p.own->drop_rooms();
    p.own.reset();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  started->wait();
  if (p.failure.empty()) return;
  p.thread.join();
  throw std::runtime_error(p.failure);
}

client_loop::~client_loop() {
  parts_->alone.bell(0).ask_to_stop();
  if (parts_->thread.joinable()) parts_->thread.join();
}

client_loop& client_loop::shared() {
  // Never destroyed: a client in a static object may outlive everything else.
  static client_loop& loop = *new client_loop;
  return loop;
}

void client_loop::spawn(std::function<task<void>()> start) { parts_->host->spawn(std::move(start)); }

namespace {

task<void> run_and_tell(std::function<task<void>()> start, std::shared_ptr<std::promise<void>> done) {
  std::exception_ptr thrown;
  try {
    co_await start();
  } catch (...) {
    thrown = std::current_exception();
  }
  if (thrown)
    done->set_exception(thrown);
  else
    done->set_value();
}

} // namespace

void client_loop::run(std::function<task<void>()> start) {
  auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  spawn([start = std::move(start), done = std::move(done)]() mutable { return run_and_tell(std::move(start), std::move(done)); });
  ended.get();
}

client_host& client_loop::host() { return *parts_->host; }

} // namespace ringcast

#include <ringcast/thread_pool.hpp>

#include "engine/base/log.hpp"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <exception>
#include <mutex>
#include <pthread.h>
#include <thread>
#include <utility>
#include <vector>

namespace ringcast {

using namespace engine;

struct thread_pool::parts {
  std::mutex lock;
  std::condition_variable came;
  std::deque<std::function<void()>> waiting;
  std::size_t queued_max = 0;
  bool is_ending = false;
  std::vector<std::thread> threads;

  void serve();
  void end();
};

namespace {

void run_one(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& thrown) {
    log_error("work in a thread pool threw: {}", thrown.what());
  } catch (...) {
    log_error("work in a thread pool threw something that is not a std::exception");
  }
}

} // namespace

thread_pool::thread_pool(const thread_pool_options& options) : parts_(std::make_unique<parts>()) {
  parts_->queued_max = options.queued_max;
  // Signals are for the program's other threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  try {
    for (std::uint32_t i = 0; i < std::max(options.threads, 1u); ++i) {
      parts_->threads.emplace_back([p = parts_.get()] { p->serve(); });
      pthread_setname_np(parts_->threads.back().native_handle(), "thread-pool");
    }
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    parts_->end();
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

thread_pool::~thread_pool() { parts_->end(); }

void thread_pool::parts::serve() {
  std::unique_lock held(lock);
  while (true) {
    came.wait(held, [this] { return is_ending || !waiting.empty(); });
    if (is_ending) return;
    std::function<void()> next = std::move(waiting.front());
    waiting.pop_front();
    held.unlock();
    run_one(next);
    next = nullptr; // what it holds may call back into the pool
    held.lock();
  }
}

void thread_pool::parts::end() {
  std::deque<std::function<void()>> let_go;
  {
    const std::lock_guard held(lock);
    is_ending = true;
    let_go.swap(waiting);
  }
  came.notify_all();
  let_go.clear();
  for (std::thread& each : threads) each.join();
}

bool thread_pool::submit(std::function<void()> work) {
  {
    const std::lock_guard held(parts_->lock);
    if (parts_->is_ending || parts_->waiting.size() >= parts_->queued_max) return false;
    parts_->waiting.push_back(std::move(work));
  }
  parts_->came.notify_one();
  return true;
}

std::size_t thread_pool::queued() const {
  const std::lock_guard held(parts_->lock);
  return parts_->waiting.size();
}

} // namespace ringcast

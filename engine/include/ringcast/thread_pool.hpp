// A few threads for work that would hold up a shard: files, databases, long computations. run_on() (run_on.hpp) brings its result back.
//
// Bounded in both directions: so many threads, and so many pieces of work that wait. A program makes one or a few, before its server, and they
// outlive it: then whatever still waits for them when the server ends has been answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace ringcast {

struct thread_pool_options {
  std::uint32_t threads = 2;      // at least 1
  std::size_t queued_max = 1024;  // that wait for a thread; beyond it submit() refuses: who asks faster than work is done must hear of it
};

class thread_pool {
 public:
  // Starts the threads; std::system_error where there are none. Signals are not taken by them.
  explicit thread_pool(const thread_pool_options& options = {});
  // What has not begun is let go of, and what runs is waited for.
  ~thread_pool();
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  // Any thread, never waits. False: so much waits already, or the pool is ending; then the work is not run. What it throws is logged.
  [[nodiscard]] bool submit(std::function<void()> work);

  // Pieces of work that wait for a thread now. Any thread.
  [[nodiscard]] std::size_t queued() const;

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace ringcast

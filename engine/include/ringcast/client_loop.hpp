// The thread with its ring on which clients live, as many as there are descriptors. Most programs need none of their own: clients that are
// given no loop share one, which lives as long as the process. Each call here may be made
// on any thread but the loop's own.
#pragma once

#include <ringcast/task.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace ringcast {

namespace engine {
class client_host;
struct handle_access;
} // namespace engine

struct client_loop_options {
  // How long the end of the loop may take, for closing handshakes and what is still to be sent.
  std::uint32_t close_timeout_ms = 1'000;
  // For the ring: how many sends fit into one system call.
  std::uint32_t submission_entries = 512;
};

class client_loop {
 public:
  // Starts the thread. Throws std::runtime_error with one sentence when io_uring is refused.
  explicit client_loop(const client_loop_options& options = {});
  // Closes what is open with 1001, tells each client that is not stopped (on_disconnected, on_close), and waits for the thread. Not to be
  // called from a callback. The clients may outlive the loop; they stay closed.
  ~client_loop();
  client_loop(const client_loop&) = delete;
  client_loop& operator=(const client_loop&) = delete;

  // The one of the process.
  [[nodiscard]] static client_loop& shared();

  // Runs a coroutine on the loop's thread, from any thread: `start` is called there. spawn() returns at once, run() when it has ended, with
  // the exception that left it, if one did. A coroutine that is still waiting when the loop ends is destroyed.
  void spawn(std::function<task<void>()> start);
  void run(std::function<task<void>()> start);

 private:
  friend struct engine::handle_access;
  [[nodiscard]] engine::client_host& host();

  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace ringcast

// What a client told, in the order in which it did, for tests that wait for it.
#pragma once

#include <ringcast/client.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace ringcast {

class recorder {
 public:
  // Each event becomes a line: "open", "message hello", "error refused 503 ...", "disconnected 1006", "close 1000 bye clean",
  // "reconnecting 1", "reconnected". To be called before start().
  void listen_to(client& c);

  void add(std::string line);
  // Waits until a line that starts so has been there `times` times; false after `timeout`.
  [[nodiscard]] bool wait_for(const std::string& start, std::size_t times = 1, std::chrono::milliseconds timeout = std::chrono::seconds(10));
  [[nodiscard]] std::vector<std::string> lines() const;
  [[nodiscard]] std::size_t count(const std::string& start) const;
  // All lines, joined by " | ", without what follows the first word of an error.
  [[nodiscard]] std::string story() const;
  [[nodiscard]] std::chrono::milliseconds last_delay() const;

 private:
  [[nodiscard]] std::size_t count_locked(const std::string& start) const;

  mutable std::mutex lock_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::chrono::milliseconds last_delay_{0};
};

} // namespace ringcast

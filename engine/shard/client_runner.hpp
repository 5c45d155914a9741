// What a shard knows of the clients that live on it: when to run them. client_host is the one there is.
#pragma once

#include "engine/base/masking_keys.hpp"
#include "engine/base/timer_wheel.hpp"

namespace ringcast::engine {

class client_runner {
 public:
  client_runner() = default;
  client_runner(const client_runner&) = delete;
  client_runner& operator=(const client_runner&) = delete;
  // Every client that is left is told that its connection is over.
  virtual ~client_runner() = default;

  // Also the look between doorbell::prepare_sleep() and the wait.
  [[nodiscard]] virtual bool has_ready() const noexcept = 0;
  virtual void run_ready() = 0;
  virtual void on_timer(timer_node& node) = 0;

  // For the frames that clients send (RFC 6455 5.3).
  [[nodiscard]] masking_keys& keys() { return keys_; }

 private:
  masking_keys keys_;
};

} // namespace ringcast::engine

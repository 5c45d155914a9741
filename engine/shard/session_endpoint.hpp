// An endpoint whose users keep messages for somebody who receives them later. The shard asks what they hold, and has them drop it.
#pragma once

#include <ringcast/events.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace ringcast::engine {

struct session_endpoint {
  virtual ~session_endpoint() = default;
  [[nodiscard]] virtual std::size_t held_bytes(const void* user) const = 0;
  virtual void drop_waiting(void* user) const = 0;

  websocket_endpoint endpoint;
};

// Of one shard: one for each set of options that was used.
using session_endpoints = std::vector<std::unique_ptr<session_endpoint>>;

} // namespace ringcast::engine

// The certificates that a server shows now. A renewed set takes the old one's place for connections accepted from then on; open ones keep
// what they were opened with.
#pragma once

#include "engine/tls/tls_context.hpp"

#include <memory>
#include <mutex>
#include <utility>

namespace ringcast::engine {

/// Any thread. A shard asks once for each connection that it accepts, which costs nothing beside a handshake.
class tls_identity {
 public:
  explicit tls_identity(std::shared_ptr<const tls_context> now) : now_(std::move(now)) {}

  [[nodiscard]] std::shared_ptr<const tls_context> now() const {
    const std::lock_guard lock{mutex_};
    return now_;
  }
  void replace(std::shared_ptr<const tls_context> renewed) {
    const std::lock_guard lock{mutex_};
    now_.swap(renewed); // The old one is freed after the lock, by whoever held it last.
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const tls_context> now_;
};

} // namespace ringcast::engine

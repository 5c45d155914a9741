// What the application is asked and told. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringcast {

// What a request is answered when the application gives no answer.
enum class when_down : std::uint8_t { refuse, allow };

struct application_options {
  std::string authorize_url; // empty: it is not asked
  std::string ca_file;       // for https://; empty: the system's
  std::uint32_t authorize_timeout_ms = 3'000;
  std::uint32_t authorize_cache_ms = 30'000; // 0: nothing is kept
  std::uint32_t authorize_cache_entries = 10'000;
  std::uint32_t authorize_connections = 16;
  std::uint32_t authorize_waiting = 1'024; // requests that wait for it at once, over all shards
  when_down authorize_when_down = when_down::refuse;
  [[nodiscard]] bool is_asked() const { return !authorize_url.empty(); }
};

} // namespace ringcast

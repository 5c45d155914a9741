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

  std::string webhook_url; // empty: it is told nothing
  std::string webhook_key_file;
  std::vector<std::string> webhook_events; // by name; none: all
  std::uint32_t webhook_batch = 100;       // events of one request
  std::uint32_t webhook_delay_ms = 200;    // how long the first of them waits for others
  std::uint32_t webhook_queue = 10'000;    // events that wait
  std::uint32_t webhook_timeout_ms = 5'000;
  std::uint32_t webhook_end_ms = 5'000; // for what is left when the server has ended
  [[nodiscard]] bool is_told() const { return !webhook_url.empty(); }
  [[nodiscard]] bool is_asked() const { return !authorize_url.empty(); }
};

} // namespace ringcast

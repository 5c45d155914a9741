// What a server counts, as Prometheus reads it: the text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). Every name
// begins with ringcast_.
#pragma once

#include <ringcast/statistics.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringcast {

// What the application was asked.
struct application_numbers {
  std::uint64_t questions = 0, from_cache = 0;
  std::vector<std::pair<std::string_view, std::uint64_t>> results{}; // of requests
};

// What the application was told.
struct webhook_numbers {
  std::uint64_t queued = 0;                           // events, now
  std::uint64_t delivered = 0, dropped = 0, lost = 0; // events; lost: left when the server ended
  std::uint64_t requests = 0, failures = 0;           // by HTTP; a failure is tried again
};

// What the process has beside its server.
struct process_numbers {
  std::uint64_t log_lines_dropped = 0;
  std::optional<std::uint64_t> access_lines_dropped{}; // none where there is no such file
  std::optional<std::uint64_t> resident_bytes; // none where there is no /proc
  std::vector<std::pair<std::string_view, std::uint64_t>> token_refusals{}; // by reason; empty where no tokens are asked for
  std::vector<std::pair<std::string_view, std::uint64_t>> admin_actions{}; // by name
  std::optional<webhook_numbers> webhooks{};        // nothing where it is told nothing
  std::optional<application_numbers> application{}; // nothing where it is not asked
};
[[nodiscard]] process_numbers process_numbers_now();

constexpr std::string_view metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";
[[nodiscard]] std::string metrics_text(const server_statistics& told, const process_numbers& process);

} // namespace ringcast

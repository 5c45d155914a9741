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

// What the process has beside its server.
struct process_numbers {
  std::uint64_t log_lines_dropped = 0;
  std::optional<std::uint64_t> access_lines_dropped{}; // none where there is no such file
  std::optional<std::uint64_t> resident_bytes; // none where there is no /proc
  std::vector<std::pair<std::string_view, std::uint64_t>> token_refusals{}; // by reason; empty where no tokens are asked for
};
[[nodiscard]] process_numbers process_numbers_now();

constexpr std::string_view metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";
[[nodiscard]] std::string metrics_text(const server_statistics& told, const process_numbers& process);

} // namespace ringcast

// One file of a folder, as the answer to one request: what is asked for, what there is, and what RFC 9110 makes of the two. Blocks; any thread.
#pragma once

#include <ringcast/files.hpp>
#include <ringcast/http_status.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringcast::engine {

// Owns what it says, since the request may be gone when it is read.
struct file_question {
  std::string path; // decoded, relative to the folder
  std::string target_path; // as the peer wrote it
  std::string if_none_match, if_modified_since, if_range, range; // headers; empty: absent
};

struct file_answer {
  http_status code = http_status::not_found;
  std::string type, body;
  std::vector<std::pair<std::string, std::string>> headers;
};

[[nodiscard]] file_answer answer_with_file(int folder, const file_question& asked, const file_options& options);

// --- its parts, for tests ---
struct byte_range {
  std::uint64_t first, last; // both included
  friend bool operator==(const byte_range&, const byte_range&) = default;
};
enum class range_result : std::uint8_t { none, one, unsatisfiable };
// RFC 9110 14.2: what is no single range of bytes is ignored.
[[nodiscard]] range_result parse_range(std::string_view header, std::uint64_t file_bytes, byte_range& range);
// Weak comparison (RFC 9110 13.1.2).
[[nodiscard]] bool lists_tag(std::string_view if_none_match, std::string_view tag);
[[nodiscard]] std::string_view type_of_file(std::string_view path);

} // namespace ringcast::engine

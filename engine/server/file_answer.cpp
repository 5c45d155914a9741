#include "engine/server/file_answer.hpp"

#include "proto/http_fields.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ringcast::engine {

namespace {

// A descriptor of this file, closed with it.
class opened_file {
 public:
  explicit opened_file(int descriptor) noexcept : descriptor_(descriptor) {}
  opened_file(const opened_file&) = delete;
  opened_file& operator=(const opened_file&) = delete;
  ~opened_file() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

// The kernel resolves the path and refuses whatever would lead out of the folder: "..", an absolute path, a link. O_NONBLOCK for a pipe, at
// which an open would wait.
int open_beneath(int folder, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how));
}

// Names that begin with a dot are not meant for others (.git, .env); RFC 8615 has the one that is.
bool is_hidden(std::string_view path) {
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment.starts_with('.') && segment != ".well-known") return true;
    path.remove_prefix(std::min(path.size(), segment.size() + 1));
  }
  return false;
}

std::string http_date(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// RFC 9110 5.6.7, the form that is sent today; others are ignored.
std::optional<std::time_t> parse_http_date(const std::string& text) {
  std::tm parts{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return timegm(&parts);
}

std::optional<std::string> read_part(int file, const byte_range& part) {
  std::string bytes;
  bytes.resize_and_overwrite(part.last - part.first + 1, [&](char* to, std::size_t wanted) {
    std::size_t got = 0;
    while (got < wanted) {
      const ssize_t count = ::pread(file, to + got, wanted - got, static_cast<off_t>(part.first + got));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return std::size_t{0};
      got += static_cast<std::size_t>(count);
    }
    return got;
  });
  if (bytes.size() != part.last - part.first + 1) return std::nullopt; // it became shorter meanwhile
  return bytes;
}

file_answer refusal(http_status code, std::string_view why) { return {.code = code, .type = {}, .body = std::string{why}, .headers = {}}; }

// What a file is called by those who have it already.
struct validators {
  std::string tag, modified;
  std::time_t modified_s;
};

validators validators_of(const struct stat& file) {
  return {.tag = fmt::format("\"{:x}-{:x}-{:x}.{:x}\"", file.st_ino, file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec),
          .modified = http_date(file.st_mtim.tv_sec),
          .modified_s = file.st_mtim.tv_sec};
}

// RFC 9110 13.2.2: a tag is asked for first, and a date only without one.
bool is_known_to_peer(const file_question& asked, const validators& now) {
  if (!asked.if_none_match.empty()) return lists_tag(asked.if_none_match, now.tag);
  const auto since = parse_http_date(asked.if_modified_since);
  return since && now.modified_s <= *since;
}

// RFC 9110 13.1.5, the strong comparison: a range of another file would be of no use.
bool is_range_wanted(const file_question& asked, const validators& now) {
  return !asked.range.empty() && (asked.if_range.empty() || asked.if_range == now.tag || asked.if_range == now.modified);
}

file_answer answer_with_bytes(int file, std::uint64_t bytes, const file_question& asked, const file_options& options, const validators& now,
                              file_answer answer) {
  byte_range part{0, bytes == 0 ? 0 : bytes - 1};
  const range_result ranged = is_range_wanted(asked, now) ? parse_range(asked.range, bytes, part) : range_result::none;
  if (ranged == range_result::unsatisfiable) {
    answer = refusal(http_status::range_not_satisfiable, "the file has no such bytes");
    answer.headers.emplace_back("Content-Range", fmt::format("bytes */{}", bytes));
    return answer;
  }
  answer.code = http_status::ok;
  if (ranged == range_result::one) {
    // RFC 9110 15.3.7: a part of the range may be sent.
    part.last = std::min(part.last, part.first + options.answer_bytes_max - 1);
    answer.code = http_status::partial_content;
    answer.headers.emplace_back("Content-Range", fmt::format("bytes {}-{}/{}", part.first, part.last, bytes));
  } else if (bytes > options.answer_bytes_max) {
    return refusal(http_status::forbidden, "this file is larger than one answer may be: it is served in ranges");
  }
  if (bytes == 0) return answer;
  auto read = read_part(file, part);
  if (!read) return refusal(http_status::service_unavailable, "the file could not be read");
  answer.body = std::move(*read);
  return answer;
}

} // namespace

file_answer answer_with_file(int folder, const file_question& asked, const file_options& options) {
  static constexpr std::string_view nothing = "there is nothing at this path";
  std::string path = asked.path;
  if (path.empty() || path.ends_with('/')) {
    if (options.index.empty()) return refusal(http_status::not_found, nothing);
    path += options.index;
  }
  if (path.find('\0') != std::string::npos || is_hidden(path)) return refusal(http_status::not_found, nothing);
  const opened_file file{open_beneath(folder, path)};
  struct stat about{};
  if (file.get() < 0 || ::fstat(file.get(), &about) != 0)
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? refusal(http_status::service_unavailable, "the file could not be opened")
                                                                 : refusal(http_status::not_found, nothing);
  // What a browser would resolve against the folder above. A target that begins with two slashes would be another host's.
  if (S_ISDIR(about.st_mode) && !options.index.empty() && !asked.target_path.starts_with("//")) {
    file_answer moved{.code = http_status::moved_permanently, .type = {}, .body = {}, .headers = {}};
    moved.headers.emplace_back("Location", asked.target_path + "/");
    return moved;
  }
  if (!S_ISREG(about.st_mode)) return refusal(http_status::not_found, nothing);
  const validators now = validators_of(about);
  file_answer answer{.code = http_status::ok, .type = std::string{type_of_file(path)}, .body = {}, .headers = {}};
  answer.headers = {{"ETag", now.tag}, {"Last-Modified", now.modified}, {"Accept-Ranges", "bytes"}, {"X-Content-Type-Options", "nosniff"}};
  if (!options.cache_control.empty()) answer.headers.emplace_back("Cache-Control", options.cache_control);
  if (is_known_to_peer(asked, now)) {
    answer.code = http_status::not_modified;
    return answer;
  }
  return answer_with_bytes(file.get(), static_cast<std::uint64_t>(about.st_size), asked, options, now, std::move(answer));
}

range_result parse_range(std::string_view header, std::uint64_t file_bytes, byte_range& range) {
  const std::size_t equals = header.find('=');
  if (equals == std::string_view::npos || !equal_ignoring_case(header.substr(0, equals), "bytes")) return range_result::none;
  const std::string_view text = trim_whitespace(header.substr(equals + 1));
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.find(',') != std::string_view::npos) return range_result::none;
  const auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const std::string_view first_text = text.substr(0, dash), last_text = text.substr(dash + 1);
  if (first_text.empty()) { // the last so many
    const auto wanted = number(last_text);
    if (!wanted) return range_result::none;
    if (*wanted == 0 || file_bytes == 0) return range_result::unsatisfiable;
    range = {file_bytes - std::min(*wanted, file_bytes), file_bytes - 1};
    return range_result::one;
  }
  const auto first = number(first_text);
  const auto last = last_text.empty() ? std::optional{~std::uint64_t{0}} : number(last_text);
  if (!first || !last || *last < *first) return range_result::none;
  if (*first >= file_bytes) return range_result::unsatisfiable;
  range = {*first, std::min(*last, file_bytes - 1)};
  return range_result::one;
}

bool lists_tag(std::string_view if_none_match, std::string_view tag) {
  if (trim_whitespace(if_none_match) == "*") return true;
  // Our tags have no comma in them, so whatever is cut wrongly is none of ours.
  return !for_each_list_element(if_none_match, [&](std::string_view each) {
    if (each.starts_with("W/")) each.remove_prefix(2);
    return each != tag;
  });
}

std::string_view type_of_file(std::string_view path) {
  static constexpr std::pair<std::string_view, std::string_view> types[] = {{"html", "text/html; charset=utf-8"},
                                                                            {"htm", "text/html; charset=utf-8"},
                                                                            {"css", "text/css; charset=utf-8"},
                                                                            {"js", "text/javascript; charset=utf-8"},
                                                                            {"mjs", "text/javascript; charset=utf-8"},
                                                                            {"json", "application/json"},
                                                                            {"map", "application/json"},
                                                                            {"webmanifest", "application/manifest+json"},
                                                                            {"txt", "text/plain; charset=utf-8"},
                                                                            {"md", "text/markdown; charset=utf-8"},
                                                                            {"csv", "text/csv; charset=utf-8"},
                                                                            {"xml", "text/xml; charset=utf-8"},
                                                                            {"svg", "image/svg+xml"},
                                                                            {"png", "image/png"},
                                                                            {"jpg", "image/jpeg"},
                                                                            {"jpeg", "image/jpeg"},
                                                                            {"gif", "image/gif"},
                                                                            {"webp", "image/webp"},
                                                                            {"avif", "image/avif"},
                                                                            {"ico", "image/x-icon"},
                                                                            {"woff2", "font/woff2"},
                                                                            {"woff", "font/woff"},
                                                                            {"ttf", "font/ttf"},
                                                                            {"otf", "font/otf"},
                                                                            {"wasm", "application/wasm"},
                                                                            {"pdf", "application/pdf"},
                                                                            {"mp4", "video/mp4"},
                                                                            {"webm", "video/webm"},
                                                                            {"mp3", "audio/mpeg"},
                                                                            {"ogg", "audio/ogg"},
                                                                            {"wav", "audio/wav"},
                                                                            {"zip", "application/zip"},
                                                                            {"gz", "application/gzip"}};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot != std::string_view::npos)
    for (const auto& [extension, type] : types)
      if (equal_ignoring_case(name.substr(dot + 1), extension)) return type;
  return "application/octet-stream";
}

} // namespace ringcast::engine

#include "apps/ringcast-server/config_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace ringcast {

namespace {

// A hundred times the longest that anybody needs; what is larger was meant to be something else.
constexpr std::uint64_t file_bytes_max = 1u << 20;

std::unexpected<std::string> wrong(std::string sentence) { return std::unexpected(std::move(sentence)); }

class open_file {
 public:
  // Does not wait for the other end of a pipe.
  explicit open_file(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~open_file() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

std::expected<std::string, std::string> contents_of(const std::string& path) {
  const auto failed = [&] { return wrong(fmt::format("{}: {}", path, std::strerror(errno))); };
  const open_file file{path};
  struct stat status{};
  if (file.descriptor() < 0 || ::fstat(file.descriptor(), &status) != 0) return failed();
  if (S_ISDIR(status.st_mode)) return wrong(fmt::format("{}: is a folder", path));
  if (!S_ISREG(status.st_mode)) return wrong(fmt::format("{}: is not a file", path));
  if (static_cast<std::uint64_t>(status.st_size) > file_bytes_max)
    return wrong(fmt::format("{}: has {} bytes, and a configuration has at most {}", path, status.st_size, file_bytes_max));
  std::string text(file_bytes_max, '\0');
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const ssize_t got = ::read(file.descriptor(), text.data() + bytes, text.size() - bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed();
    if (got == 0) break;
    bytes += static_cast<std::size_t>(got);
  }
  text.resize(bytes);
  return text;
}

std::string_view name_of(toml::node_type type) {
  switch (type) {
  case toml::node_type::table: return "a table";
  case toml::node_type::array: return "an array";
  case toml::node_type::string: return "a string";
  case toml::node_type::integer: return "a number";
  case toml::node_type::floating_point: return "a number with a fraction";
  case toml::node_type::boolean: return "a truth value";
  case toml::node_type::date:
  case toml::node_type::time:
  case toml::node_type::date_time: return "a date or time";
  case toml::node_type::none: break;
  }
  return "nothing";
}

// The value as it would stand on the command line.
std::expected<std::string, std::string> value_of(const option& o, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  const auto* number = node.as_integer();
  if (number != nullptr && std::holds_alternative<number_rules>(o.rules)) return std::to_string(number->get());
  const std::string allowed = o.allowed();
  return wrong(fmt::format("takes {}, and {} is given{}", o.takes(), name_of(node.type()), allowed.empty() ? "" : "; allowed: " + allowed));
}

std::expected<std::vector<std::string>, std::string> values_of(const option& o, const toml::node& node) {
  std::vector<std::string> values;
  const auto* array = o.is_list() ? node.as_array() : nullptr;
  if (array == nullptr) {
    const auto one = value_of(o, node);
    if (!one) return wrong(one.error());
    values.push_back(*one);
    return values;
  }
  for (const toml::node& each : *array) {
    const auto one = value_of(o, each);
    if (!one) return wrong(one.error());
    values.push_back(*one);
  }
  return values;
}

} // namespace

std::expected<std::vector<given_option>, std::string> read_config(std::string_view text, std::string_view name) {
  const auto parsed = toml::parse(text);
  if (!parsed) return wrong(fmt::format("{}:{}: {}", name, parsed.error().source().begin.line, parsed.error().description()));
  std::vector<std::string> keys;
  for (const option& o : all_options()) keys.push_back(o.key());
  std::vector<given_option> given;
  struct complaint {
    toml::source_index line;
    std::string sentence;
  };
  std::vector<complaint> complaints;
  for (const auto& [key, node] : parsed.table()) {
    const toml::source_index line = key.source().begin.line;
    const std::string where = fmt::format("{}:{}: {}", name, line, key.str());
    const auto found = std::ranges::find(keys, key.str());
    if (found == keys.end()) {
      complaints.push_back({line, fmt::format("{} is not known{}", where, nearest(key.str(), keys))});
      continue;
    }
    const option& o = all_options()[static_cast<std::size_t>(found - keys.begin())];
    if (auto values = values_of(o, node))
      given.push_back({.what = &o, .where = where, .values = std::move(*values)});
    else
      complaints.push_back({line, fmt::format("{}: {}", where, values.error())});
  }
  // A table has its keys in another order than the file, and a reader looks for the first line that is wrong.
  if (!complaints.empty()) return wrong(std::ranges::min_element(complaints, {}, &complaint::line)->sentence);
  return given;
}

std::expected<std::vector<given_option>, std::string> read_config_file(const std::string& path) {
  const auto text = contents_of(path);
  if (!text) return wrong(text.error());
  return read_config(*text, path);
}

} // namespace ringcast

#include "apps/ringcast-server/config_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <span>
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
// Each room that is opened is compared with each of them.
constexpr std::size_t rooms_most = 256;

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

// Reads all of a file before it complains: a table has its keys in another order than the file, and a reader looks for the first line that is wrong.
class reader {
 public:
  explicit reader(std::string_view name) : name_(name) {}

  // Of a table whose keys are these options, and others that are read elsewhere.
  std::vector<given_option> options_in(const toml::table& table, std::span<const option* const> known, std::span<const std::string_view> others) {
    std::vector<std::string> keys(others.begin(), others.end());
    for (const option* o : known) keys.push_back(o->key());
    std::vector<given_option> given;
    for (const auto& [key, node] : table) {
      const auto found = static_cast<std::size_t>(std::ranges::find(keys, key.str()) - keys.begin());
      if (found == keys.size()) complain(key.source(), fmt::format("{} is not known{}", key.str(), nearest(key.str(), keys)));
      if (found == keys.size() || found < others.size()) continue;
      const option* o = known[found - others.size()];
      if (auto values = values_of(*o, node))
        given.push_back({.what = o, .where = place(key.source(), key.str()), .values = std::move(*values)});
      else
        complain(key.source(), fmt::format("{}: {}", key.str(), values.error()));
    }
    return given;
  }

  void rooms_in(const toml::node& node, std::vector<room_entry>& rooms) {
    const toml::array* tables = node.as_array();
    if (tables == nullptr || !tables->is_homogeneous(toml::node_type::table)) {
      complain(node.source(), fmt::format("room: takes tables [[room]], and {} is given", name_of(node.type())));
      return;
    }
    if (tables->size() > rooms_most)
      return complain(node.source(), fmt::format("room: {} tables [[room]] are more than {}", tables->size(), rooms_most));
    for (const toml::node& each : *tables) room_in(*each.as_table(), rooms);
  }

  // Of all that was wrong, what stands first.
  [[nodiscard]] std::expected<void, std::string> verdict() const {
    if (complaints_.empty()) return {};
    return wrong(std::ranges::min_element(complaints_, {}, &complaint::line)->sentence);
  }

 private:
  struct complaint {
    toml::source_index line;
    std::string sentence;
  };

  [[nodiscard]] std::string place(const toml::source_region& where, std::string_view what) const {
    return fmt::format("{}:{}: {}", name_, where.begin.line, what);
  }
  void complain(const toml::source_region& where, std::string_view sentence) { complaints_.push_back({where.begin.line, place(where, sentence)}); }

  // Its options are those of the server, with the same rules.
  void room_in(const toml::table& table, std::vector<room_entry>& rooms) {
    static constexpr std::array<std::string_view, 1> pattern_key{"pattern"};
    std::vector<const option*> known;
    for (const option& o : all_options())
      if (std::ranges::find(room_options, o.name) != room_options.end()) known.push_back(&o);
    for (const option& o : all_room_options()) known.push_back(&o);
    const std::vector<given_option> given = options_in(table, known, pattern_key);
    settings all;
    for (const given_option& each : given)
      if (const auto set = each.what->set(all, each.values); !set)
        complain(table.get(each.what->key())->source(), fmt::format("{}: {}", each.what->key(), set.error()));
    const auto gives = [&](std::string_view name) { return std::ranges::any_of(given, [&](const given_option& o) { return o.what->name == name; }); };
    const toml::node* pattern = table.get("pattern");
    const std::string text = pattern != nullptr ? pattern->value<std::string>().value_or("") : "";
    if (pattern == nullptr)
      complain(table.source(), "[[room]] has no pattern");
    else if (text.empty())
      complain(pattern->source(), "pattern: takes the name of a room, in which * stands for anything");
    else if (std::ranges::find(rooms, text, &room_entry::pattern) != rooms.end())
      complain(pattern->source(), fmt::format("pattern: '{}' is given twice", text));
    room_entry entry{.pattern = text};
    if (gives("slow-consumer")) entry.policy = all.server.policy;
    if (gives("send-queue-bytes")) entry.send_queue_bytes_max = all.server.limits.send_queue_bytes_max;
    if (gives("history-messages") || gives("history-bytes") || gives("history-seconds")) entry.history = all.server.history;
    if (gives("cluster")) entry.cluster = all.server.cluster.all_rooms;
    if (gives("max-message-bytes")) entry.message_bytes_max = all.server.limits.message_bytes_max;
    if (gives("max-members")) entry.members_max = all.room.members_max;
    if (gives("presence")) entry.presence = all.room.presence;
    if (gives("max-room-messages-per-s") || gives("burst-room-messages")) entry.messages = all.room.messages;
    if (gives("join")) entry.join = all.room.join;
    if (gives("publish")) entry.publish = all.room.publish;
    rooms.push_back(std::move(entry));
  }

  static constexpr std::array<std::string_view, 7> room_options{"slow-consumer", "cluster",         "send-queue-bytes", "history-messages",
                                                                "history-bytes", "history-seconds", "max-message-bytes"};

  std::string_view name_;
  std::vector<complaint> complaints_;
};

} // namespace

room_rights room_entry::rights() const {
  const auto who = [](const std::optional<std::vector<std::string>>& words) { return words ? std::optional<who_may>{*words} : std::nullopt; };
  return {.pattern = pattern, .join = who(join), .publish = who(publish)};
}

std::expected<std::vector<given_option>, std::string> read_config(std::string_view text, std::string_view name, std::vector<room_entry>* rooms) {
  const auto parsed = toml::parse(text);
  if (!parsed) return wrong(fmt::format("{}:{}: {}", name, parsed.error().source().begin.line, parsed.error().description()));
  std::vector<const option*> known;
  for (const option& o : all_options()) known.push_back(&o);
  static constexpr std::array<std::string_view, 1> room_key{"room"};
  reader all{name};
  std::vector<given_option> given =
      all.options_in(parsed.table(), known, rooms != nullptr ? std::span<const std::string_view>{room_key} : std::span<const std::string_view>{});
  if (const toml::node* tables = parsed.table().get("room"); tables != nullptr && rooms != nullptr) all.rooms_in(*tables, *rooms);
  if (const auto verdict = all.verdict(); !verdict) return wrong(verdict.error());
  return given;
}

std::expected<std::vector<given_option>, std::string> read_config_file(const std::string& path, std::vector<room_entry>* rooms) {
  const auto text = contents_of(path);
  if (!text) return wrong(text.error());
  return read_config(*text, path, rooms);
}

} // namespace ringcast

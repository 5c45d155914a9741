// What ringcast-server can be told. Each option is declared once, in options_*.cpp, and everything that speaks of options is made from there: the
// command line, the environment, files, --help, the example of a file, and the table in the README.
#pragma once

#include "apps/ringcast-server/application_options.hpp"
#include "apps/ringcast-server/token_options.hpp"
#include <ringcast/log.hpp>
#include <ringcast/server_options.hpp>

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ringcast {

// What the options of a table [[room]] set that the server itself does not have.
struct room_settings {
  std::uint32_t members_max = 0;
  bool presence = true;
  rate_limit messages{};
  std::vector<std::string> join, publish;
};

// What the options set. A settings{} holds the defaults.
struct settings {
  server_options server{.drain = {.delay_ms = 0, .spread_ms = 10'000}};
  std::vector<std::string> certificate_files, key_files; // in pairs: made to server.tls.certificates when all options are known
  token_options tokens;
  application_options application;
  std::string base_path; // in front of every path: empty, or like /chat-server
  room_settings room; // of the table that is being read
  std::string access_log; // a file; empty: none
  ringcast::log_level log_level = ringcast::log_level::info;
  ringcast::log_format log_format = ringcast::log_format::text;
};

enum class number_unit : std::uint8_t { none, bytes, microseconds };

// A number; with a unit the bounds and the two factors count in it.
struct number_rules {
  number_unit unit = number_unit::none;
  std::uint64_t plain = 1; // what a number without a unit counts: 1'000'000 for an option in seconds
  std::uint64_t step = 1;  // what the field counts, and so what get and set speak of
  std::uint64_t least = 0, most = 0;
  std::string_view word{}; // may stand in place of a number, and is nullopt; empty: none may
  std::optional<std::uint64_t> (*get)(const settings&) = nullptr;
  void (*set)(settings&, std::optional<std::uint64_t>) = nullptr;
};

struct choice_rules {
  std::vector<std::string_view> words;
  std::size_t (*get)(const settings&) = nullptr; // which of them
  void (*set)(settings&, std::size_t) = nullptr;
};

// Why a text cannot be the value, if it cannot.
using text_check = std::expected<void, std::string> (*)(std::string_view);

struct text_rules {
  std::string_view takes; // FILE
  const std::string& (*get)(const settings&) = nullptr;
  void (*set)(settings&, std::string) = nullptr;
  text_check check = nullptr; // null: anything will do
};

// May be given several times.
struct list_rules {
  std::string_view takes;
  const std::vector<std::string>& (*get)(const settings&) = nullptr;
  void (*set)(settings&, std::vector<std::string>) = nullptr;
  text_check check = nullptr; // of each; null: anything will do
};

enum class may_change : std::uint8_t { at_start, at_reload };

struct option {
  std::string_view name;   // of --name
  std::string_view means;  // in Markdown, as is the reason
  std::string_view reason; // of the default
  may_change when = may_change::at_start;
  std::variant<number_rules, choice_rules, text_rules, list_rules> rules;

  [[nodiscard]] bool is_list() const { return std::holds_alternative<list_rules>(rules); }
  [[nodiscard]] std::string variable() const;     // in the environment: RINGCAST_NAME
  [[nodiscard]] std::string key() const;          // in a file: its name with _ for -
  [[nodiscard]] std::string takes() const;        // what stands behind --name: FILE, SIZE|auto, on|off
  [[nodiscard]] std::string text_of(const settings& all) const; // its value as it could be given; empty: nothing
  [[nodiscard]] std::string default_text() const { return text_of({}); }
  [[nodiscard]] std::string allowed() const;      // in words; empty: any text
  // Sets it, in place of what it was; a list is set to all of them. The error says what was given and what is allowed.
  [[nodiscard]] std::expected<void, std::string> set(settings& all, std::span<const std::string> values) const;
};

[[nodiscard]] std::span<const option> all_options();
// Those that stand in tables [[room]] alone.
[[nodiscard]] std::span<const option> all_room_options();

// What makes the program do something else than serve, or says where options come from; on the command line alone.
struct command_word {
  std::string_view name;
  std::string_view takes; // empty: nothing
  std::string_view means;
};
[[nodiscard]] std::span<const command_word> all_command_words();

// ", did you mean NAME?" with the one of the names that is most like this one; nothing if none is.
[[nodiscard]] std::string nearest(std::string_view given, std::span<const std::string> names);

} // namespace ringcast

#include "apps/ringcast-server/option_texts.hpp"

#include "apps/ringcast-server/options.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>

namespace ringcast {

namespace {

constexpr std::size_t width = 80; // of a terminal

// Words in lines of at most `width` columns, each after `indent`.
std::string wrapped(std::string_view text, std::string_view indent) {
  std::string all, line{indent};
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (line.size() + 1 + end > width && line.size() > indent.size()) {
      all.append(line).append(1, '\n');
      line = indent;
    }
    if (line.size() > indent.size()) line += ' ';
    line += text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all.append(line).append(1, '\n');
}

// As a terminal shows it.
std::string without_marks(std::string_view markdown) {
  std::string text;
  for (const char c : markdown)
    if (c != '`') text += c;
  return text;
}

// A cell of a table ends with a bar.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// What it means, its default and its range, and why.
std::string sentences(const option& o) {
  std::string text = without_marks(o.means);
  const std::string value = o.default_text(), allowed = std::holds_alternative<number_rules>(o.rules) ? o.allowed() : "";
  if (!allowed.empty()) text += fmt::format("; {}", allowed);
  if (!value.empty()) text += fmt::format("; default {}", value);
  if (!o.reason.empty()) text += fmt::format(" ({})", without_marks(o.reason));
  if (o.when == may_change::at_reload) text += "; changes at SIGHUP";
  return text;
}

std::string default_in_toml(const option& o) {
  const std::string value = o.default_text();
  if (o.is_list()) return value.empty() ? "[]" : fmt::format("[\"{}\"]", value);
  const bool is_number = !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
  return is_number ? value : fmt::format("\"{}\"", value);
}

} // namespace

std::string help_text() {
  std::string text = "A WebSocket broadcast server on io_uring.\n\nusage: ringcast-server [OPTION]...\n\n";
  for (const option& o : all_options()) text += fmt::format("  --{} {}\n{}", o.name, o.takes(), wrapped(sentences(o), "      "));
  text += '\n';
  for (const command_word& word : all_command_words())
    text += fmt::format("  --{}{}{}\n{}", word.name, word.takes.empty() ? "" : " ", word.takes, wrapped(without_marks(word.means), "      "));
  text += '\n';
  text +=
      wrapped("A SIZE is a number of bytes, or has a unit: 64KiB, 1MiB, 1GB. A TIME is a number of what the option's name ends with, or has a unit: "
              "250ms, 30s, 5m, 1h. Each option can also stand in a file, --max-connections as max_connections, or in the environment, as "
              "RINGCAST_MAX_CONNECTIONS, there with commas between several values; an empty one counts as none. The command line wins over the "
              "environment, and that over the file.",
              "");
  return text;
}

std::string example_file() {
  std::string text =
      wrapped("For ringcast-server --config FILE. Every option stands here with its default: take the # in front of one away to change it, and "
              "try with --check-config FILE. Sizes are a number of bytes or \"64KiB\", times \"30s\" or \"250ms\".",
              "# ");
  for (const option& o : all_options()) {
    text += fmt::format("#\n{}", wrapped(sentences(o), "# "));
    if (!std::holds_alternative<number_rules>(o.rules)) text += wrapped(fmt::format("value: {}", o.takes()), "# ");
    text += fmt::format("#{} = {}\n", o.key(), default_in_toml(o));
  }
  text += "#\n" +
          wrapped("Rooms whose names match a pattern may have other rules than the above, in which * stands for anything; of several tables that "
                  "match the first one "
                  "holds. It may have slow_consumer, send_queue_bytes, history_messages, history_bytes, history_seconds and max_message_bytes, and "
                  "what only a room has:",
                  "# ");
  for (const option& o : all_room_options()) {
    text += wrapped(fmt::format("{}: {}", o.key(), sentences(o)), "#   ");
    if (!std::holds_alternative<number_rules>(o.rules)) text += wrapped(fmt::format("value: {}", o.takes()), "#   ");
  }
  text += "#   [[room]]\n#   pattern = \"prices/*\"\n#   slow_consumer = \"latest\"\n#   history_messages = 100\n";
  return text;
}

std::string options_in_markdown() {
  std::string text = "| option | default | range | means | why this default | SIGHUP |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const option& o : all_options()) {
    const std::string value = o.default_text();
    text += fmt::format("| `--{} {}` | {} | {} | {} | {} | {} |\n", o.name, cell(o.takes()), value.empty() ? "" : fmt::format("`{}`", value),
                        std::holds_alternative<number_rules>(o.rules) ? o.allowed() : "", cell(o.means), cell(o.reason),
                        o.when == may_change::at_reload ? "changes" : "");
  }
  for (const command_word& word : all_command_words())
    text += fmt::format("| `--{}{}{}` | | | {} | | |\n", word.name, word.takes.empty() ? "" : " ", cell(word.takes), cell(word.means));
  return text;
}

} // namespace ringcast

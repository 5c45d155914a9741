#include "apps/ringcast-server/top/page.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cwchar>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

namespace ringcast::top {

namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::uint64_t number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

connection_row row_of(const json& told) {
  connection_row row{.address = text_of(told, "address"), .room = {}, .who = text_of(told, "name")};
  if (const auto rooms = told.find("rooms"); rooms != told.end() && rooms->is_array() && !rooms->empty() && rooms->front().is_string())
    row.room = rooms->front().get<std::string>();
  if (row.who.empty()) row.who = text_of(told, "user");
  if (row.who.empty()) row.who = fmt::format("({})", text_of(told, "kind"));
  row.bytes_behind = number_of(told, "bytes_behind");
  row.messages_behind = number_of(told, "messages_behind");
  row.messages_in = number_of(told, "messages_in");
  row.messages_out = number_of(told, "messages_out");
  row.age_s = number_of(told, "age_s");
  return row;
}

void read_metrics(std::string_view text, look& into) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string_view::npos) continue;
    const std::string value{line.substr(space + 1)};
    into.metrics.emplace(line.substr(0, space), std::strtod(value.c_str(), nullptr));
  }
}

// What has been added, for each second between the looks.
struct rates {
  const look& before;
  const look& now;

  [[nodiscard]] double of(std::string_view name) const {
    const double seconds = now.at_s - before.at_s;
    const double added = now[name] - before[name];
    return seconds > 0 && added > 0 ? added / seconds : 0; // less than before: the server has started again
  }
  // The end of the bucket that has this share of what was added; 0: nothing was.
  [[nodiscard]] double quantile(std::string_view histogram, double share) const {
    const std::string prefix = fmt::format("{}_bucket{{le=\"", histogram);
    std::vector<std::pair<double, double>> buckets; // end, and how many up to it
    for (auto at = now.metrics.lower_bound(prefix); at != now.metrics.end() && at->first.starts_with(prefix); ++at) {
      const std::string end = at->first.substr(prefix.size());
      buckets.emplace_back(end.starts_with('+') ? std::numeric_limits<double>::infinity() : std::strtod(end.c_str(), nullptr),
                           at->second - before[at->first]);
    }
    std::ranges::sort(buckets);
    if (buckets.empty() || buckets.back().second <= 0) return 0;
    const double wanted = share * buckets.back().second;
    return std::ranges::find_if(buckets, [&](const auto& bucket) { return bucket.second >= wanted; })->first;
  }
};

std::string short_time(double seconds) {
  if (seconds <= 0) return "-";
  if (std::isinf(seconds)) return ">17s";
  if (seconds < 0.001) return fmt::format("{:.0f}us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f}ms", seconds * 1e3);
  return fmt::format("{:.1f}s", seconds);
}

std::string short_age(std::uint64_t seconds) {
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 7200) return fmt::format("{}m", seconds / 60);
  if (seconds < 172'800) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86'400);
}

std::string left(std::string_view text, std::size_t columns);

class page_writer {
 public:
  explicit page_writer(std::size_t lines_max) : lines_left_(lines_max) {}
  [[nodiscard]] std::size_t lines_left() const { return lines_left_; }
  void line(std::string_view text = {}) {
    if (lines_left_ == 0) return;
    --lines_left_;
    text_ += fitted(text, page_columns);
    text_ += '\n';
  }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  std::string text_;
  std::size_t lines_left_;
};

void write_head(page_writer& to, std::string_view server, std::string_view time, const rates& each) {
  const look& now = each.now;
  to.line(fmt::format("{} {:>10}", left(fmt::format("ringcast at {}", server), 69), time));
  to.line(fmt::format("connections {:>6}  http {:>6}  rooms {:>6}  held {:>6} of {:>6}",
                      short_number(now["ringcast_connections{kind=\"websocket\"}"]), short_number(now["ringcast_connections{kind=\"http\"}"]),
                      short_number(now["ringcast_rooms"]), short_number(now["ringcast_shard_held_bytes"]),
                      short_number(now["ringcast_shard_held_limit_bytes"])));
  to.line(fmt::format("in/s {:>6} messages {:>6}B  out/s {:>6} deliveries {:>6} others {:>6}B",
                      short_number(each.of("ringcast_received_messages_total")), short_number(each.of("ringcast_received_bytes_total")),
                      short_number(each.of("ringcast_deliveries_total")), short_number(each.of("ringcast_sent_messages_total")),
                      short_number(each.of("ringcast_sent_bytes_total"))));
  to.line(fmt::format("p99: turn {:>7}  receive to send {:>7}   slow closes {:>6}   memory {:>6}B",
                      short_time(each.quantile("ringcast_turn_seconds", 0.99)), short_time(each.quantile("ringcast_receive_to_send_seconds", 0.99)),
                      short_number(now["ringcast_slow_closes_total"]), short_number(now["ringcast_resident_memory_bytes"])));
}

std::size_t shard_count(const look& now) {
  std::size_t count = 0;
  while (now.metrics.contains(fmt::format("ringcast_shard_turns_total{{shard=\"{}\"}}", count))) ++count;
  return count;
}

void write_shards(page_writer& to, const rates& each, std::size_t lines) {
  to.line();
  to.line("shard  websockets  messages in/s  deliveries/s  busy  free buffers  to others");
  const std::size_t count = shard_count(each.now);
  for (std::size_t i = 0; i < count; ++i) {
    if (i + 1 == lines && count > lines) return to.line(fmt::format("  and {} more", count - i));
    const auto name = [&](std::string_view metric) { return fmt::format("ringcast_shard_{}{{shard=\"{}\"}}", metric, i); };
    to.line(fmt::format("{:>5}  {:>10}  {:>13}  {:>12}  {:>3.0f}%  {:>5} of {:>3}  {:>8}B", i, short_number(each.now[name("websockets")]),
                        short_number(each.of(name("received_messages_total"))), short_number(each.of(name("deliveries_total"))),
                        std::min(100.0, 100 * each.of(name("busy_seconds_total"))), short_number(each.now[name("receive_buffers_free")]),
                        short_number(each.now[name("receive_buffers")]), short_number(each.now[name("lane_waiting_bytes")])));
  }
}

void write_rooms(page_writer& to, const look& now, std::size_t lines) {
  to.line();
  to.line(fmt::format("members  room{}", now.more_rooms ? " (of the first 1,000)" : ""));
  if (now.rooms.empty()) to.line("      -");
  for (std::size_t i = 0; i < std::min(lines, now.rooms.size()); ++i)
    to.line(fmt::format("{:>7}  {}", short_number(static_cast<double>(now.rooms[i].members)), now.rooms[i].name));
}

void write_slowest(page_writer& to, const look& now) {
  to.line();
  to.line(" behind  messages     in    out   age  address                who         room");
  for (const connection_row& row : now.slowest)
    to.line(fmt::format("{:>6}B  {:>8} {:>6} {:>6} {:>5}  {} {} {}", short_number(static_cast<double>(row.bytes_behind)),
                        short_number(static_cast<double>(row.messages_behind)), short_number(static_cast<double>(row.messages_in)),
                        short_number(static_cast<double>(row.messages_out)), short_age(row.age_s), left(row.address, 22), left(row.who, 11),
                        row.room));
}

// --- characters ---

// The next character, and how many bytes it has; nothing where the bytes are no UTF-8.
std::optional<char32_t> next_character(std::string_view text, std::size_t& bytes) {
  const auto lead = static_cast<unsigned char>(text[0]);
  bytes = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
  if (bytes == 0 || bytes > text.size()) {
    bytes = 1;
    return std::nullopt;
  }
  char32_t character = bytes == 1 ? lead : lead & (0x7fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) character = character << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  return character;
}

// Of the characters that only say how others are to be drawn, so a name cannot turn the line around (Unicode 6.2.1, bidirectional formatting).
bool is_order(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
         c == 0xfeff;
}

std::size_t columns_of(char32_t c) {
  if (c < 0x7f) return 1;
  const int columns = ::wcwidth(static_cast<wchar_t>(c));
  return columns < 0 ? 1 : static_cast<std::size_t>(columns);
}

// What fits, and how wide that is.
std::pair<std::string, std::size_t> cut(std::string_view text, std::size_t columns) {
  std::string out;
  std::size_t used = 0;
  while (!text.empty()) {
    std::size_t bytes = 0;
    const auto character = next_character(text, bytes);
    const bool shown = character && !is_order(*character);
    const std::size_t wide = shown ? columns_of(*character) : 1;
    if (used + wide > columns) break;
    used += wide;
    if (shown)
      out.append(text.substr(0, bytes));
    else
      out += '?';
    text.remove_prefix(bytes);
  }
  return {std::move(out), used};
}

std::string left(std::string_view text, std::size_t columns) {
  auto [shown, used] = cut(text, columns);
  return shown.append(columns - used, ' ');
}

} // namespace

double look::operator[](std::string_view name) const {
  if (const auto found = metrics.find(name); found != metrics.end()) return found->second;
  // Of every shard together.
  double sum = 0;
  const std::string prefix = fmt::format("{}{{", name);
  for (auto at = metrics.lower_bound(prefix); at != metrics.end() && at->first.starts_with(prefix); ++at) sum += at->second;
  return sum;
}

std::expected<look, std::string> look_of(double at_s, std::string_view metrics, std::string_view rooms, std::string_view connections) {
  look made{.at_s = at_s};
  read_metrics(metrics, made);
  const json listed = json::parse(rooms, nullptr, false);
  const json told = json::parse(connections, nullptr, false);
  if (!made.metrics.contains("ringcast_rooms") || !listed.is_object() || !told.is_object() || !listed.contains("rooms") ||
      !told.contains("connections"))
    return std::unexpected("what answers there is no ringcast-server that tells of itself");
  for (const json& each : listed["rooms"])
    if (each.is_object()) made.rooms.push_back({text_of(each, "name"), number_of(each, "members")});
  std::ranges::sort(made.rooms,
                    [](const room_row& a, const room_row& b) { return a.members != b.members ? a.members > b.members : a.name < b.name; });
  made.more_rooms = text_of(listed, "next") != "";
  for (const json& each : told["connections"])
    if (each.is_object()) made.slowest.push_back(row_of(each));
  return made;
}

std::string page_text(std::string_view server, std::string_view time, const look& before, const look& now, std::size_t lines_max) {
  page_writer to{lines_max};
  const rates each{before, now};
  write_head(to, server, time, each);
  // Shards and rooms have a third each of what is left, the slowest have the rest.
  const std::size_t part = std::max<std::size_t>(2, to.lines_left() / 3);
  const std::size_t rows = std::max<std::size_t>(1, part - 2);
  write_shards(to, each, rows);
  write_rooms(to, now, rows);
  write_slowest(to, now);
  return std::move(to).text();
}

std::string fitted(std::string_view text, std::size_t columns) { return cut(text, columns).first; }

std::string short_number(double number) {
  constexpr std::array<const char*, 7> units{"", "k", "M", "G", "T", "P", "E"};
  std::size_t unit = 0;
  while (number >= 999.5 && unit + 1 < units.size()) {
    number /= 1000;
    ++unit;
  }
  const int digits = unit == 0 || number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", number, digits, units[unit]);
}

} // namespace ringcast::top

#include "apps/ringcast-server/connections.hpp"

#include <ringcast/names.hpp>

#include <charconv>
#include <fmt/format.h>
#include <iterator>
#include <optional>
#include <string_view>

namespace ringcast {

namespace {

struct named_order {
  std::string_view name;
  connection_order order;
};
constexpr named_order orders[] = {{"behind", connection_order::behind},
                                  {"age", connection_order::age},
                                  {"messages_in", connection_order::messages_in},
                                  {"messages_out", connection_order::messages_out}};

template <class Number> std::optional<Number> number_of(std::string_view text, int base = 10) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<connection_order> order_of(std::string_view name) {
  for (const named_order& each : orders)
    if (each.name == name) return each.order;
  return std::nullopt;
}

// KEY:ID, as `next` says it.
std::optional<connection_place> place_of(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto key = number_of<std::uint64_t>(text.substr(0, colon));
  const auto id = number_of<std::uint64_t>(text.substr(colon + 1), 16);
  if (!key || !id) return std::nullopt;
  return connection_place{*key, {*id}};
}

class writer {
 public:
  void string(std::string_view key, std::string_view value) {
    begin(key);
    append_json_string(text_, value);
  }
  void number(std::string_view key, std::uint64_t value) {
    begin(key);
    fmt::format_to(std::back_inserter(text_), "{}", value);
  }
  template <class Number> void number_or_null(std::string_view key, const std::optional<Number>& value) {
    if (value) return number(key, *value);
    begin(key);
    text_ += "null";
  }
  void strings(std::string_view key, const std::vector<std::string>& values) {
    begin(key);
    text_ += '[';
    for (const std::string& each : values) {
      if (&each != values.data()) text_ += ',';
      append_json_string(text_, each);
    }
    text_ += ']';
  }
  // Null where it is empty.
  void word_or_null(std::string_view key, std::string_view value) {
    if (!value.empty()) return string(key, value);
    begin(key);
    text_ += "null";
  }
  [[nodiscard]] std::string object() && { return std::move(text_) + '}'; }

 private:
  void begin(std::string_view key) {
    text_ += text_.empty() ? "{\"" : ",\"";
    text_.append(key).append("\":");
  }

  std::string text_;
};

std::string json_of(const connection_summary& of) {
  writer to;
  to.string("id", fmt::format("{:016x}", of.id.value));
  to.string("kind", name_of(of.kind));
  to.string("address", of.address);
  to.strings("rooms", of.rooms);
  to.number("room_count", of.room_count);
  to.word_or_null("name", of.name);
  to.word_or_null("user", of.user);
  to.number("age_s", of.age_s);
  to.number_or_null("pong_age_s", of.pong_age_s);
  to.number("bytes_behind", of.bytes_behind);
  to.number("messages_behind", of.messages_behind);
  to.number_or_null("bytes_unacknowledged", of.bytes_unacknowledged);
  to.number("messages_in", of.messages_in);
  to.number("messages_out", of.messages_out);
  to.number_or_null("bytes_in", of.bytes_in);
  to.number_or_null("bytes_out", of.bytes_out);
  to.number_or_null("round_trip_us", of.round_trip_us);
  to.word_or_null("tls", of.tls_version);
  to.word_or_null("compression", !of.compressed ? "" : of.compression_context ? "dedicated" : "shared");
  return std::move(to).object();
}

} // namespace

std::expected<connection_query, std::string> asked_connections(const http_request& request) {
  connection_query asked;
  if (const auto sort = request.query("sort")) {
    const auto order = order_of(*sort);
    if (!order) return std::unexpected("sort is one of behind, age, messages_in, messages_out");
    asked.order = *order;
  }
  if (const auto room = request.query("room")) {
    if (const auto valid = check_room_name(*room); !valid) return std::unexpected(fmt::format("room: {}", valid.error()));
    asked.room = *room;
  }
  if (const auto limit = request.query("limit")) {
    const auto number = number_of<std::uint32_t>(*limit);
    if (!number || *number == 0 || *number > connection_page_max)
      return std::unexpected(fmt::format("limit is a number from 1 to {}", connection_page_max));
    asked.limit = *number;
  }
  if (const auto after = request.query("after")) {
    asked.after = place_of(*after);
    if (!asked.after) return std::unexpected("after is what another page has said as next: KEY:ID");
  }
  return asked;
}

std::string connections_json(const connection_page& page) {
  std::string json = fmt::format("{{\"total\":{},\"connections\":[", page.total);
  for (const connection_summary& each : page.connections) {
    if (&each != page.connections.data()) json += ',';
    json += json_of(each);
  }
  json += "],\"next\":";
  json += page.next ? fmt::format("\"{}:{:016x}\"", page.next->key, page.next->id.value) : "null";
  return json + '}';
}

} // namespace ringcast

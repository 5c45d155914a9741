#include "apps/ringcast-server/admin_state.hpp"

#include "apps/ringcast-server/metrics.hpp"

#include <chrono>
#include <fmt/format.h>
#include <iterator>
#include <random>
#include <string_view>

namespace ringcast {

namespace {

using namespace std::chrono;

// Which life of the program it is: a page that was open before a restart begins anew.
struct process_start {
  std::string name = fmt::format("{:08x}", std::random_device{}());
  steady_clock::time_point at = steady_clock::now();
};
const process_start started;

// Names are this program's own words, so nothing needs an escape.
class object {
 public:
  template <class Value> object& add(std::string_view key, const Value& value) {
    fmt::format_to(std::back_inserter(text_), "{}\"{}\":{}", text_.empty() ? "" : ",", key, value);
    return *this;
  }
  object& add_word(std::string_view key, std::string_view word) { return add(key, fmt::format("\"{}\"", word)); }
  [[nodiscard]] std::string text() const { return '{' + text_ + '}'; }

 private:
  std::string text_;
};

std::string json_of(const duration_histogram& of) {
  std::string json = "[";
  for (std::size_t i = 0; i < duration_histogram::bucket_count; ++i) {
    if (of.count_of(i) == 0) continue;
    // The last bucket has no end: it is told by where it begins.
    const std::uint64_t end = duration_histogram::end_ns(std::min(i, duration_histogram::bucket_count - 2));
    fmt::format_to(std::back_inserter(json), "{}[{},{}]", json.size() == 1 ? "" : ",", end, of.count_of(i));
  }
  return json + ']';
}

std::string json_of(const shard_statistics& shard) {
  return object{}
      .add("websockets", shard.websocket_connections)
      .add("http", shard.http_connections)
      .add("rooms", shard.rooms)
      .add("turns", shard.turns)
      .add("busy_ns", shard.turn_times.sum_ns())
      .add("received", shard.messages_received)
      .add("sent", shard.messages_sent)
      .add("deliveries", shard.deliveries)
      .add("bytes_in", shard.bytes_received)
      .add("bytes_out", shard.bytes_sent)
      .add("held", shard.held_bytes)
      .add("held_max", shard.held_bytes_max)
      .add("buffers", shard.receive_buffers)
      .add("buffers_free", shard.receive_buffers_free)
      .add("lane_waiting", shard.lane_bytes_waiting)
      .add("receive_to_send", json_of(shard.receive_to_send))
      .text();
}

std::string closes_of(const shard_statistics& all) {
  object closes;
  for (std::size_t i = 0; i < close_code_places; ++i)
    if (all.closes[i] != 0) closes.add(name_of_close_code_place(i), all.closes[i]);
  return closes.text();
}

std::string refusals_of(const shard_statistics& all) {
  object refusals;
  for (std::size_t i = 0; i < refusal_count; ++i)
    if (all.refusals[i] != 0) refusals.add(name_of(static_cast<refusal>(i)), all.refusals[i]);
  return refusals.text();
}

std::string shards_of(const server_statistics& told) {
  std::string json = "[";
  for (const shard_statistics& shard : told.shards) {
    if (json.size() > 1) json += ',';
    json += json_of(shard);
  }
  return json + ']';
}

} // namespace

std::string admin_state_json(const server_statistics& told, bool has_actions) {
  const shard_statistics all = told.total();
  std::uint64_t lost = 0;
  for (const std::uint64_t by_policy : all.messages_lost) lost += by_policy;
  object state;
  state.add_word("start", started.name)
      .add_word("version", RINGCAST_VERSION)
      .add("uptime_s", duration_cast<seconds>(steady_clock::now() - started.at).count())
      .add("actions", has_actions)
      .add("accepted", all.accepted)
      .add("ending", all.ending_connections)
      .add("lost", lost)
      .add("slow_closes", all.members_closed_slow)
      .add("history", all.history_bytes)
      .add("history_max", all.history_bytes_max);
  if (const auto resident = process_numbers_now().resident_bytes) state.add("resident", *resident);
  return state.add("closes", closes_of(all)).add("refusals", refusals_of(all)).add("shards", shards_of(told)).text();
}

} // namespace ringcast

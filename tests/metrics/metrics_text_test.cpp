// The text that Prometheus reads; promtool and a real Prometheus judge that of a running server (tests/interop/metrics.test.mjs).
#include "apps/ringcast-server/metrics.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <set>
#include <sstream>
#include <string>

using namespace ringcast;

namespace {

server_statistics two_shards() {
  server_statistics told;
  told.shards.resize(2);
  told.shards[0].websocket_connections = 3;
  told.shards[1].websocket_connections = 4;
  told.shards[1].refusals[static_cast<std::size_t>(refusal::origin)] = 5;
  told.shards[0].closes[close_code_place(1013)] = 6;
  told.shards[0].turn_times.record(1'000);
  told.shards[1].turn_times.record(1'100, 2);
  told.shards[0].messages_lost[static_cast<std::size_t>(slow_consumer::drop_oldest)] = 9;
  return told;
}

std::string text_of(const server_statistics& told, const process_numbers& process = {}) { return metrics_text(told, process); }

bool has_line(const std::string& text, const std::string& line) { return ("\n" + text).find("\n" + line + "\n") != std::string::npos; }

} // namespace

BOOST_AUTO_TEST_SUITE(metrics_text_format)

BOOST_AUTO_TEST_CASE(shards_are_added_up_and_told_by_themselves) {
  const std::string text = text_of(two_shards());
  BOOST_TEST(has_line(text, R"(ringcast_connections{kind="websocket"} 7)"));
  BOOST_TEST(has_line(text, R"(ringcast_shard_websockets{shard="0"} 3)"));
  BOOST_TEST(has_line(text, R"(ringcast_shard_websockets{shard="1"} 4)"));
  BOOST_TEST(has_line(text, R"(ringcast_refusals_total{reason="origin"} 5)"));
  BOOST_TEST(has_line(text, R"(ringcast_closes_total{code="1013"} 6)"));
  BOOST_TEST(has_line(text, R"(ringcast_lost_messages_total{policy="drop-oldest"} 9)"));
}

BOOST_AUTO_TEST_CASE(a_histogram_counts_up_to_the_end_of_each_bucket) {
  const std::string text = text_of(two_shards());
  BOOST_TEST(has_line(text, R"(ringcast_turn_seconds_bucket{le="1.024e-06"} 1)"));
  BOOST_TEST(has_line(text, R"(ringcast_turn_seconds_bucket{le="1.28e-06"} 3)"));
  BOOST_TEST(has_line(text, R"(ringcast_turn_seconds_bucket{le="+Inf"} 3)"));
  BOOST_TEST(has_line(text, "ringcast_turn_seconds_count 3"));
  BOOST_TEST(has_line(text, "ringcast_turn_seconds_sum 3.2e-06"));
}

BOOST_AUTO_TEST_CASE(each_line_is_of_a_family_that_was_described_once_and_no_value_stands_twice) {
  std::set<std::string> described, values;
  std::istringstream lines{text_of(two_shards(), {.log_lines_dropped = 1, .resident_bytes = 2})};
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words{line};
    std::string first, what, name;
    words >> first;
    if (first == "#") {
      words >> what >> name;
      if (what == "HELP") BOOST_TEST(described.insert(name).second, name << " is described twice");
      family = name;
      BOOST_TEST(name.starts_with("ringcast_"));
    } else {
      BOOST_TEST(first.starts_with(family), first << " is not of " << family);
      BOOST_TEST(values.insert(first).second, first << " stands twice");
    }
  }
  BOOST_TEST(described.size() > 40u);
}

BOOST_AUTO_TEST_CASE(memory_is_left_out_where_nobody_knows_it) {
  BOOST_TEST(text_of(two_shards()).find("resident_memory") == std::string::npos);
  BOOST_TEST(has_line(text_of(two_shards(), {.log_lines_dropped = 0, .resident_bytes = 4096}), "ringcast_resident_memory_bytes 4096"));
  BOOST_TEST(process_numbers_now().resident_bytes.value_or(0) > 1u << 20);
}

BOOST_AUTO_TEST_SUITE_END()

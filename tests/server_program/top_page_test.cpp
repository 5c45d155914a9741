// What `ringcast-server top` shows: the page as text, from what a server has told.
#include "apps/ringcast-server/top/admin_client.hpp"
#include "apps/ringcast-server/top/page.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <clocale>
#include <fmt/format.h>
#include <sstream>
#include <string>
#include <vector>

using namespace ringcast::top;

namespace {

std::string metrics_of(std::uint64_t messages, unsigned shards = 2) {
  std::string text = fmt::format("# HELP ringcast_rooms Rooms.\n# TYPE ringcast_rooms gauge\nringcast_rooms 3\nringcast_received_messages_total {}\n"
                                 "ringcast_connections{{kind=\"websocket\"}} 1234\nringcast_turn_seconds_bucket{{le=\"0.001\"}} {}\n"
                                 "ringcast_turn_seconds_bucket{{le=\"0.002\"}} {}\nringcast_turn_seconds_bucket{{le=\"+Inf\"}} {}\n",
                                 messages, messages / 2, messages, messages);
  for (unsigned i = 0; i < shards; ++i)
    text += fmt::format("ringcast_shard_turns_total{{shard=\"{0}\"}} 5\nringcast_shard_held_bytes{{shard=\"{0}\"}} 1000\n", i);
  return text;
}

look look_at(double at_s, std::uint64_t messages, unsigned shards = 2, const std::string& rooms = R"({"rooms":[],"next":null})",
             const std::string& connections = R"({"connections":[],"next":null})") {
  const auto made = look_of(at_s, metrics_of(messages, shards), rooms, connections);
  BOOST_REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error()));
  return *made;
}

std::vector<std::string> lines_of(const std::string& page) {
  std::vector<std::string> lines;
  std::istringstream in{page};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool has(const std::string& page, const std::string& text) { return page.find(text) != std::string::npos; }

} // namespace

BOOST_AUTO_TEST_SUITE(top_page)

BOOST_AUTO_TEST_CASE(what_grows_is_shown_by_the_second) {
  const std::string page = page_text("x:1", "12:00:00", look_at(10, 1'000), look_at(12, 7'000), 24);
  BOOST_TEST(has(page, "3.00k messages"));
  BOOST_TEST(has(page, "p99: turn   2.0ms"));
  BOOST_TEST(has(page, "connections  1.23k"));
  BOOST_TEST(has(page, "held  2.00k")); // both shards together
  // One look has no rate, and a server that has started again has none either.
  BOOST_TEST(has(page_text("x:1", "", look_at(10, 7'000), look_at(10, 7'000), 24), "     0 messages"));
  BOOST_TEST(has(page_text("x:1", "", look_at(10, 7'000), look_at(11, 5), 24), "     0 messages"));
}

BOOST_AUTO_TEST_CASE(no_line_is_wider_than_eighty_columns_and_no_page_longer_than_asked_for) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  std::string rooms = "{\"rooms\":[", connections = "{\"connections\":[";
  for (int i = 0; i < 60; ++i) {
    const std::string comma = i == 0 ? "" : ",";
    rooms += comma + fmt::format(R"({{"name":"{}","members":18446744073709551615}})", std::string(128, 'r'));
    connections +=
        comma +
        fmt::format(
            R"({{"address":"[2001:db8:1111:2222:3333:4444:5555:6666]:65535","rooms":["{}"],"name":"{}","bytes_behind":18446744073709551615,)"
            R"("messages_behind":18446744073709551615,"messages_in":18446744073709551615,"messages_out":18446744073709551615,"age_s":4294967295}})",
            std::string(128, 'x'), "日本語日本語日本語");
  }
  rooms += "],\"next\":\"more\"}";
  connections += "],\"next\":null}";
  const look now = look_at(1, UINT64_MAX, 256, rooms, connections);
  for (const std::size_t most : {1u, 5u, 10u, 24u, 50u, 500u}) {
    const auto lines = lines_of(page_text(std::string(300, 's'), "12:00:00", look_at(0, 0, 256), now, most));
    BOOST_TEST(lines.size() <= most);
    for (const std::string& line : lines) BOOST_TEST(line == fitted(line, page_columns));
    for (std::size_t i = 2; i < std::min<std::size_t>(4, lines.size()); ++i) BOOST_TEST(lines[i].ends_with("B")); // nothing of these was cut off
    if (most == 24) BOOST_TEST(lines.size() == 24u);
  }
}

BOOST_AUTO_TEST_CASE(what_a_peer_has_chosen_cannot_move_the_cursor) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  BOOST_TEST(fitted("a\x1b[2Jb\nc\x7f", 80) == "a?[2Jb?c?");
  BOOST_TEST(fitted("a\xc2\x9b"
                    "2J",
                    80) == "a?2J");           // CSI in one character
  BOOST_TEST(fitted("a\xe2\x80\xae"
                    "b",
                    80) == "a?b");         // right to left
  BOOST_TEST(fitted("\xff"
                    "a\xe2\x80",
                    80) == "?a??");         // no UTF-8
  BOOST_TEST(fitted("日本語", 5) == "日本");                     // each is two columns wide
  BOOST_TEST(fitted("Zoe\xcc\x88!", 4) == "Zoe\xcc\x88!");      // a mark above the letter before it takes none
  BOOST_TEST(fitted("abc", 0).empty());
}

BOOST_AUTO_TEST_CASE(numbers_have_at_most_six_characters) {
  BOOST_TEST(short_number(0) == "0");
  BOOST_TEST(short_number(999.4) == "999");
  BOOST_TEST(short_number(999.6) == "1.00k");
  BOOST_TEST(short_number(1'234'567) == "1.23M");
  BOOST_TEST(short_number(99'940) == "99.9k");
  BOOST_TEST(short_number(99'960) == "100k");
  BOOST_TEST(short_number(1.8e19) == "18.0E");
  for (double number = 1; number < 1e20; number *= 1.37) BOOST_TEST(short_number(number).size() <= 6u);
}

BOOST_AUTO_TEST_CASE(what_is_no_answer_of_a_server_is_said_in_words) {
  const std::string rooms = R"({"rooms":[]})", connections = R"({"connections":[]})";
  BOOST_TEST(look_of(0, metrics_of(1), rooms, connections).has_value());
  for (const auto& [metrics, listed, told] :
       {std::tuple{std::string{}, rooms, connections}, std::tuple{metrics_of(1), std::string{"<html>"}, connections},
        std::tuple{metrics_of(1), rooms, std::string{"[]"}}, std::tuple{metrics_of(1), std::string{"{}"}, connections}})
    BOOST_TEST(look_of(0, metrics, listed, told).error() == "what answers there is no ringcast-server that tells of itself");
  // Whatever else stands in it is passed over.
  BOOST_TEST(look_of(0, metrics_of(1), R"({"rooms":[1,{"name":2,"members":"x"}],"next":7})", R"({"connections":[null,{"rooms":[3],"age_s":-1}]})")
                 .has_value());
}

BOOST_AUTO_TEST_CASE(an_address_is_read_from_its_url) {
  BOOST_TEST(admin_address::of("http://127.0.0.1:8080")->text() == "127.0.0.1:8080");
  BOOST_TEST(admin_address::of("http://localhost/")->text() == "localhost:80");
  BOOST_TEST(admin_address::of("http://[::1]:9")->text() == "[::1]:9");
  BOOST_TEST(admin_address::of("http://localhost:1/chat-server/")->text() == "localhost:1/chat-server");
  BOOST_TEST(admin_address::of("http://localhost/a/b")->base == "/a/b");
  for (const char* wrong : {"", "127.0.0.1:8080", "https://x", "http://", "http://:80", "http://x:", "http://x:port", "http://x:123456",
                            "http://[::1", "http://x/path?query", "http://user@x", "http://[::1]x"})
    BOOST_TEST(admin_address::of(wrong).error().starts_with("--admin: "));
}

BOOST_AUTO_TEST_SUITE_END()

// What lines of the log are made of: any text as JSON, and how many of one kind there may be.
#include "engine/base/log_json.hpp"
#include "engine/base/log_rate.hpp"

#include <boost/test/unit_test.hpp>
#include <ringcast/log.hpp>
#include <string>
#include <string_view>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

std::string json_of(std::string_view text) {
  std::string out;
  append_any_json_string(out, text);
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(log_lines)

BOOST_AUTO_TEST_CASE(any_text_is_a_json_string) {
  using namespace std::string_view_literals;
  BOOST_TEST(json_of("") == "\"\"");
  BOOST_TEST(json_of("a\"b\\c\n\t\0"sv) == R"("a\"b\\c\u000a\u0009\u0000")");
  BOOST_TEST(json_of("Zoë 日本 😀") == "\"Zoë 日本 😀\"");
  BOOST_TEST(json_of("a\xff"
                     "b\xc3") == "\"a\\ufffdb\\ufffd\"");                 // a byte of no character, and a cut one
  BOOST_TEST(json_of("\xed\xa0\x80") == "\"\\ufffd\\ufffd\\ufffd\"");             // a surrogate
  BOOST_TEST(json_of("\xf0\x9f\x98") == "\"\\ufffd\\ufffd\\ufffd\"");
}

BOOST_AUTO_TEST_CASE(ten_lines_a_second_and_the_next_one_counts_the_rest) {
  log_rate rate;
  const auto ask = [&](std::uint64_t now_ms, int times) {
    int said = 0;
    for (int i = 0; i < times; ++i) said += rate.ask(now_ms).may_say ? 1 : 0;
    return said;
  };
  BOOST_TEST(ask(5'000, 9) == 9);
  BOOST_TEST(ask(5'999, 1) == 1);
  BOOST_TEST(ask(5'999, 1) == 0);
  // Another thread's clock is a little behind: it is the same second.
  BOOST_TEST(ask(4'990, 100) == 0);
  const auto next = rate.ask(6'000);
  BOOST_TEST(next.may_say);
  BOOST_TEST(next.left_out == 101u);
  BOOST_TEST(rate.ask(6'000).left_out == 0u);
  BOOST_TEST(ask(6'500, 100) == 8);
}

BOOST_AUTO_TEST_CASE(a_format_is_read_from_its_name) {
  BOOST_TEST((parse_log_format("text").value() == log_format::text));
  BOOST_TEST((parse_log_format("json").value() == log_format::json));
  BOOST_TEST(parse_log_format("JSON").error() == "'JSON' is not a format of the log; it is one of text, json");
}

BOOST_AUTO_TEST_SUITE_END()

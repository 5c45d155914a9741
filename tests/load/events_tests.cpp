// The generator's own reading of server-sent events: what the WHATWG standard says of lines and fields, and RFC 9112 of chunks, cut anywhere.
#include "apps/load/event_reader.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <string>
#include <string_view>

namespace ringcast::load {

namespace {

std::string chunk(std::string_view text) { return fmt::format("{:x}\r\n{}\r\n", text.size(), text); }

// Each event as "name id data", a line end within it as '/'; behind them how the body stands.
std::string story_of(std::string_view bytes, bool chunked, std::size_t step) {
  event_reader reader{chunked};
  std::string story;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    reader.feed(std::as_bytes(std::span{bytes.substr(at, step)}), [&](const heard_event& event) {
      std::string data = event.data;
      for (char& c : data)
        if (c == '\n') c = '/';
      story += fmt::format("[{} {} {}]", event.name, event.last_id, data);
      return true;
    });
  }
  return story + (reader.is_broken() ? "broken" : reader.is_over() ? "over" : "");
}

// However it is cut: whole, byte by byte, and in between; plain, in one chunk, and each byte a chunk of its own.
void check_events(std::string_view text, std::string_view expected) {
  std::string bytewise;
  for (const char c : text) bytewise += chunk({&c, 1});
  for (std::size_t step = 1; step <= text.size() * 7; step += step < 9 ? 1 : 7) {
    BOOST_TEST(story_of(text, false, step) == expected, text);
    BOOST_TEST(story_of(chunk(text), true, step) == expected, text);
    BOOST_TEST(story_of(bytewise, true, step) == expected, text);
  }
}

} // namespace

BOOST_AUTO_TEST_SUITE(load_events)

BOOST_AUTO_TEST_CASE(events_are_read_as_the_standard_has_them) {
  check_events("data: a\n\n", "[message  a]");
  check_events("data:a\ndata: b\ndata:  c\n\n", "[message  a/b/ c]");
  check_events("data: a\r\ndata: b\r\n\r\ndata: c\r\rdata: d\n\n", "[message  a/b][message  c][message  d]");
  check_events(": a comment\n\ndata: a\n:\n\n", "[message  a]");
  check_events("event: joined\nid: e:1\ndata: a\n\ndata: b\n\n", "[joined e:1 a][message e:1 b]");
  check_events("id: e:1\n\ndata: a\n\n", "[message e:1 a]");        // Without data nothing is told, but the id is kept.
  check_events("event: x\n\ndata: a\n\n", "[message  a]");          // And the name is not.
  check_events("id: 1\ndata: a\n\nid\ndata: b\n\n", "[message 1 a][message  b]");
  check_events(std::string_view{"id: 1\0\ndata: a\n\n", 16}, "[message  a]");
  check_events("data\n\ndata\ndata\n\n", "[message  ][message  /]");
  check_events("retry: 10\nunknown: x\nDATA: x\n\n", "");
  check_events("data: unfinished\n", "");
  check_events("\xEF\xBB\xBF"
               "data: a\n\ndata: b\n\n",
               "[message  a][message  b]");
}

BOOST_AUTO_TEST_CASE(a_chunked_body_ends_and_breaks_where_it_should) {
  const auto check = [](std::string_view bytes, std::string_view expected) {
    for (std::size_t step = 1; step <= bytes.size(); ++step) BOOST_TEST(story_of(bytes, true, step) == expected, bytes);
  };
  check("9;name=\"value\"\r\ndata: a\n\n\r\n0\r\n\r\n", "[message  a]over");
  check("0009\r\ndata: a\n\n\r\n0\r\nTrailer: x\r\nMore: y\r\n\r\n", "[message  a]over");
  check("A\r\ndata: ab\n\n\r\n", "[message  ab]");
  check("0\r\n\r\nx", "broken");
  check("9\r\ndata: a\n\nxx", "[message  a]broken"); // No CRLF behind the chunk.
  check("8\r\ndata: a\n\n\r\n", "broken");
  check("zz\r\n", "broken");
  check("\r\n", "broken");
  check("9\ndata: a\n\n", "broken");
  check("1234567890abcdef\r\n", "broken");
  check("-1\r\n", "broken");
}

BOOST_AUTO_TEST_CASE(reading_ends_where_the_listener_says_so) {
  event_reader reader{false};
  int heard = 0;
  constexpr std::string_view three = "data: a\n\ndata: b\n\ndata: c\n\n";
  reader.feed(std::as_bytes(std::span{three}), [&](const heard_event&) { return ++heard < 2; });
  BOOST_TEST(heard == 2);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::load

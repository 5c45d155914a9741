#include "proto/event_stream.hpp"
#include "tests/support/event_reader.hpp"
#include <ringcast/base64.hpp>

#include <boost/test/unit_test.hpp>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace ringcast;

namespace {

// In memory that is exactly as large as was said, for the sanitizers to see.
std::string written(const stream_event& event) {
  const std::size_t bytes = event_chunk_bytes(event);
  const auto memory = std::make_unique<std::byte[]>(bytes);
  const std::byte* const end = write_event_chunk(memory.get(), event);
  BOOST_REQUIRE_EQUAL(static_cast<std::size_t>(end - memory.get()), bytes);
  return {reinterpret_cast<const char*>(memory.get()), bytes};
}

std::string written(std::string_view text, std::string_view name = {}, std::string_view id = {}) {
  return written({.name = name, .id = id, .payload = std::as_bytes(std::span{text})});
}

std::vector<event_reader::event> read_back(std::string_view bytes, std::string* complaint = nullptr) {
  event_reader reader;
  std::vector<event_reader::event> heard;
  reader.on_event = [&](const event_reader::event& e) { heard.push_back(e); };
  reader.feed(bytes);
  if (complaint != nullptr) *complaint = reader.complaint();
  return heard;
}

// The text as an EventSource hears it: each end of a line is one LF.
std::string with_feeds(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && i > 0 && text[i - 1] == '\r') continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  return out;
}

bool asks(std::string_view method, std::string_view headers) {
  const std::string text = std::string{method} + " / HTTP/1.1\r\nHost: a\r\n" + std::string{headers} + "\r\n";
  request_head head;
  BOOST_REQUIRE((parse_request_head(std::as_bytes(std::span{text}), {}, head).status == head_status::done));
  return asks_for_event_stream(head);
}

} // namespace

BOOST_AUTO_TEST_SUITE(event_stream)

BOOST_AUTO_TEST_CASE(an_event_is_one_chunk_on_the_wire) {
  BOOST_TEST(written("hi") == "a\r\ndata: hi\n\n\r\n");
  BOOST_TEST(written("hi", "joined", "e:7") == "20\r\nid: e:7\nevent: joined\ndata: hi\n\n\r\n");
  BOOST_TEST(written("") == "8\r\ndata: \n\n\r\n");
  const std::byte bytes[] = {std::byte{1}, std::byte{2}, std::byte{3}};
  BOOST_TEST(written({.name = {}, .id = {}, .op = opcode::binary, .payload = bytes}) == "1a\r\nevent: binary\ndata: AQID\n\n\r\n");
}

BOOST_AUTO_TEST_CASE(each_end_of_a_line_is_a_line_of_data) {
  BOOST_TEST(written("a\nb\rc\r\nd") == "21\r\ndata: a\ndata: b\ndata: c\ndata: d\n\n\r\n");
  BOOST_TEST(written("\n") == "f\r\ndata: \ndata: \n\n\r\n");
  BOOST_TEST(written("\n\r") == "16\r\ndata: \ndata: \ndata: \n\n\r\n");
}

BOOST_AUTO_TEST_CASE(what_is_written_is_heard_by_the_standard) {
  std::mt19937 draw{7};
  const std::string_view pieces[] = {"\r", "\n", "\r\n", "a", " ", ":", "data: x", "id: 9", "\xc3\xa4", "0\r\n\r\n", "event: close"};
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (std::size_t n = draw() % 12; n > 0; --n) text += pieces[draw() % std::size(pieces)];
    if (draw() % 50 == 0) text += std::string(draw() % 70'000, 'x');
    std::string complaint;
    const auto heard =
        read_back(written(text, {}, "e:1") + std::string{comment_chunk} + written("next", "gap") + std::string{last_chunk}, &complaint);
    BOOST_REQUIRE_EQUAL(complaint, "");
    BOOST_REQUIRE_EQUAL(heard.size(), 2u);
    BOOST_REQUIRE_EQUAL(heard[0].data, with_feeds(text));
    BOOST_REQUIRE_EQUAL(heard[0].name, "message");
    BOOST_REQUIRE_EQUAL(heard[1].name, "gap");
    BOOST_REQUIRE_EQUAL(heard[1].id, "e:1"); // an event without an id leaves it
  }
}

BOOST_AUTO_TEST_CASE(bytes_come_back_from_base64) {
  std::mt19937 draw{9};
  for (std::size_t size = 0; size < 300; ++size) {
    std::vector<std::byte> bytes(size);
    for (std::byte& b : bytes) b = static_cast<std::byte>(draw());
    const auto heard = read_back(written({.name = {}, .id = "e:1", .op = opcode::binary, .payload = bytes}));
    BOOST_REQUIRE_EQUAL(heard.size(), 1u);
    BOOST_REQUIRE_EQUAL(heard[0].name, "binary");
    std::vector<std::byte> back(size + 3);
    const auto count = base64_decode(heard[0].data, back);
    BOOST_REQUIRE(count.has_value());
    back.resize(*count);
    BOOST_REQUIRE(back == bytes);
  }
}

BOOST_AUTO_TEST_CASE(who_asks_for_a_stream) {
  BOOST_TEST(asks("GET", "Accept: text/event-stream\r\n"));
  BOOST_TEST(asks("GET", "accept: Text/Event-Stream;q=0.5\r\n"));
  BOOST_TEST(asks("GET", "Accept: text/html , text/event-stream ; charset=utf-8, */*;q=0.1\r\n"));
  BOOST_TEST(asks("GET", "Accept: text/html\r\nAccept: text/event-stream\r\n"));
  BOOST_TEST(!asks("GET", ""));
  BOOST_TEST(!asks("GET", "Accept: */*\r\n"));
  BOOST_TEST(!asks("GET", "Accept: text/event-streams\r\n"));
  BOOST_TEST(!asks("GET", "Accept: text/event-stream;q=0\r\n"));
  BOOST_TEST(!asks("GET", "Accept: text/event-stream; q=0.000\r\n"));
  BOOST_TEST(!asks("GET", "Accept:\r\n"));
  BOOST_TEST(!asks("GET", "Accept: ;;;q=1,,\r\n"));
  BOOST_TEST(!asks("POST", "Accept: text/event-stream\r\n"));
  BOOST_TEST(!asks("HEAD", "Accept: text/event-stream\r\n"));
  BOOST_TEST(!asks("GET", "Accept: text/event-stream\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"));
}

BOOST_AUTO_TEST_SUITE_END()

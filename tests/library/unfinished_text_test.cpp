// A text that comes slowly fails when the bytes that have come cannot be text (RFC 6455 8.1), and not when its frame is whole: in whichever
// way the connection is received, and however many frames stand in front.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <algorithm>
#include <string>

using namespace ringcast;

namespace {

struct with_echo {
  running server{[](auto& s) { s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }}); }, {.shards = 1}};
  wire_client c{server.address()};
  with_echo() { BOOST_REQUIRE(c.upgrade("/echo").starts_with("HTTP/1.1 101")); }
};

std::string text_of(std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "0123456789 \xe2\x82\xac ";
  return text;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(unfinished_texts, with_echo)

BOOST_AUTO_TEST_CASE(what_cannot_be_text_any_more_fails_although_its_frame_is_not_whole) {
  // The last two are received in another way: from 64 KiB on straight into their place.
  for (const std::size_t before : {0u, 1u, 4'000u, 40'000u, 100'000u, 400'000u})
    for (const bool in_fragments : {false, true})
      for (const bool behind_others : {false, true})
        BOOST_TEST_CONTEXT(before << (in_fragments ? " in the second fragment" : "") << (behind_others ? " behind other messages" : "")) {
          wire_client one{server.address()};
          BOOST_REQUIRE(one.upgrade("/echo").starts_with("HTTP/1.1 101"));
          std::string all;
          if (behind_others)
            for (int i = 0; i < 3; ++i) all += masked_frame(opcode::text, "earlier");
          const std::string good = text_of(before);
          if (in_fragments) all += masked_frame(opcode::text, good, false);
          const std::string last = masked_frame(in_fragments ? opcode::continuation : opcode::text, good + "\xf4\x90" + std::string(5'000, 'x'));
          one.send_bytes(all + last.substr(0, last.size() - 4'999));
          for (int i = 0; behind_others && i < 3; ++i) BOOST_TEST(one.text() == "earlier");
          BOOST_TEST(one.text() == "<close 1007>");
        }
}

BOOST_AUTO_TEST_CASE(a_text_that_comes_in_any_pieces_is_what_it_was) {
  for (const std::size_t size : {1u, 30u, 4'000u, 100'000u, 300'000u}) {
    const std::string text = text_of(size);
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4'099}, std::size_t{70'001}}) {
      const std::string frame = masked_frame(opcode::text, text.substr(0, text.size() / 2 + 1), false) +
                                masked_frame(opcode::continuation, text.substr(text.size() / 2 + 1));
      if (frame.size() / step > 400) continue;
      for (std::size_t at = 0; at < frame.size(); at += step) c.send_bytes(std::string_view{frame}.substr(at, step));
      BOOST_TEST((c.text() == text), "a text of " << size << " bytes in pieces of " << step);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_character_may_be_cut_anywhere_and_a_message_that_ends_inside_one_fails) {
  const std::string text = "\xe2\x82\xac \xf0\x9f\x92\xa9";
  const std::string frame = masked_frame(opcode::text, text);
  for (std::size_t cut = 1; cut < frame.size(); ++cut) {
    c.send_bytes(std::string_view{frame}.substr(0, cut));
    BOOST_TEST(!c.ended(5));
    c.send_bytes(std::string_view{frame}.substr(cut));
    BOOST_TEST(c.text() == text);
  }
  const std::string bad = masked_frame(opcode::text, text.substr(0, text.size() - 1));
  c.send_bytes(std::string_view{bad}.substr(0, bad.size() - 1));
  BOOST_TEST(!c.ended(5));
  c.send_bytes(std::string_view{bad}.substr(bad.size() - 1));
  BOOST_TEST(c.text() == "<close 1007>");
}

BOOST_AUTO_TEST_SUITE_END()

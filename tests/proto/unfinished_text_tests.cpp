// RFC 6455 8.1 for a frame that arrives in pieces: it fails at the byte that cannot be text, not at the frame's end.
#include "tests/proto/everywhere.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

using namespace ringcast;
using namespace ringcast::test;

BOOST_AUTO_TEST_SUITE(unfinished_texts)

namespace {

struct outcome {
  violation broken = violation::none;
  std::size_t after_bytes = 0; ///< how many bytes of the input had come
  std::size_t checked_bytes = 0;
};

outcome byte_by_byte(const bytes& input, const frame_rules& rules = to_server, std::uint64_t message_bytes_max = 1 << 20) {
  reading_end end(rules, message_bytes_max, placement::before_guard, input.size());
  for (std::size_t at = 0; at < input.size(); ++at) {
    end.arrive(std::span(input).subspan(at, 1));
    if (!end.story().empty() && end.story().back().what == assembled::kind::violation)
      return {end.story().back().broken, at + 1, end.checked_bytes()};
  }
  return {.checked_bytes = end.checked_bytes()};
}

struct row {
  std::string_view name, text;
  std::size_t fails_after; ///< bytes of the text
};

// The first is that of Autobahn's cases 6.4: a valid word, then F4 90, which would be above U+10FFFF, then ASCII.
constexpr row rows[] = {
    {"a code point above U+10FFFF", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80\x65\x64\x69\x74\x65\x64", 13},
    {"a surrogate", "ab\xed\xa0\x80 and more", 4},
    {"an overlong form", "ab\xc0\xaf and more", 3},
    {"a continuation byte that stands alone", "ab\x80 and more", 3},
    {"a character that another cuts off", "ab\xf0\x9f\x92 and more", 6},
};

} // namespace

BOOST_AUTO_TEST_CASE(a_frame_fails_at_the_byte_that_cannot_be_text) {
  for (const row& r : rows)
    for (const bool fin : {true, false}) BOOST_TEST_CONTEXT(r.name << (fin ? "" : ", in a fragment")) {
        const wire_frame to_us{.opcode = 1, .payload = to_bytes(r.text), .fin = fin};
        const outcome got = byte_by_byte(to_us.write());
        BOOST_TEST((got.broken == violation::text_not_utf8));
        BOOST_TEST(got.after_bytes == 6 + r.fails_after);
        expect_everywhere(to_us.write(), {broke(violation::text_not_utf8)});
        // The same from a server, which does not mask.
        const wire_frame from_server{.opcode = 1, .payload = to_bytes(r.text), .fin = fin, .masked = false};
        BOOST_TEST(byte_by_byte(from_server.write(), to_client).after_bytes == 2 + r.fails_after);
        expect_everywhere(from_server.write(), {broke(violation::text_not_utf8)}, to_client);
      }
}

BOOST_AUTO_TEST_CASE(a_continuation_fails_at_the_byte_that_cannot_be_text) {
  for (const row& r : rows) {
    const std::string_view text = r.text;
    // Cut everywhere before the fault, also inside a character, with a ping between the fragments.
    for (std::size_t cut = 0; cut < r.fails_after; ++cut) BOOST_TEST_CONTEXT(r.name << " cut at " << cut) {
        const bytes first = wire_frame{.opcode = 1, .payload = to_bytes(text.substr(0, cut)), .fin = false}.write() + wire_frame{.opcode = 9}.write();
        const bytes second = wire_frame{.opcode = 0, .payload = to_bytes(text.substr(cut))}.write();
        const outcome got = byte_by_byte(first + second);
        BOOST_TEST((got.broken == violation::text_not_utf8));
        BOOST_TEST(got.after_bytes == first.size() + 6 + r.fails_after - cut);
        expect_everywhere(first + second, {control(opcode::ping), broke(violation::text_not_utf8)});
      }
  }
}

BOOST_AUTO_TEST_CASE(a_character_that_is_not_complete_may_go_on_later) {
  const std::string text = "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x92\xa9";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    expect_everywhere(wire_frame{.opcode = 1, .payload = to_bytes(text.substr(0, cut)), .fin = false}.write() +
                          wire_frame{.opcode = 0, .payload = to_bytes(text.substr(cut))}.write(),
                      {text_message(text)});
  }
  // At the end of its frame it fails where the message ends, and waits where it does not.
  const bytes cut_off = to_bytes(text.substr(0, text.size() - 1));
  expect_everywhere(wire_frame{.opcode = 1, .payload = cut_off}.write(), {broke(violation::text_not_utf8)});
  expect_everywhere(wire_frame{.opcode = 1, .payload = cut_off, .fin = false}.write(), {});
}

BOOST_AUTO_TEST_CASE(no_byte_is_checked_twice_and_the_last_is_not_missed) {
  std::string text;
  while (text.size() < 70'000) text += "0123456789 \xe2\x82\xac ";
  const bytes input = wire_frame{.opcode = 1, .payload = to_bytes(text)}.write();
  // In steps that the pieces of the check do not divide; what came before the last arrival has been checked, once.
  for (const std::size_t step : {701U, 2048U, 4099U, 69'999U}) {
    reading_end end(to_server, 1 << 20, placement::before_guard, input.size());
    for (std::size_t at = 0; at < input.size(); at += step) end.arrive(std::span(input).subspan(at, std::min(step, input.size() - at)));
    BOOST_TEST(end.story() == events{text_message(text)});
    BOOST_TEST(end.checked_bytes() < text.size());
    BOOST_TEST(end.checked_bytes() + step + 14 >= text.size());
  }
  // A fault in the last byte is in no piece that was checked before.
  bytes broken_last = to_bytes(text);
  broken_last.back() = std::byte{0xFF};
  BOOST_TEST((byte_by_byte(wire_frame{.opcode = 1, .payload = bytes(broken_last.end() - 300, broken_last.end())}.write()).broken ==
              violation::text_not_utf8));
}

BOOST_AUTO_TEST_CASE(nothing_but_plain_text_is_looked_at) {
  const bytes no_text = to_bytes({0xFF, 0xFE, 0xFD, 0xFC});
  const auto untouched = [&](const bytes& input, const events& expected, const frame_rules& rules = to_server) {
    expect_everywhere(input, expected, rules);
    BOOST_TEST(byte_by_byte(input, rules).checked_bytes == 0U);
  };
  untouched(wire_frame{.opcode = 2, .payload = no_text}.write(), {binary_message(no_text)});
  untouched(wire_frame{.opcode = 2, .payload = no_text, .fin = false}.write() + wire_frame{.opcode = 0, .payload = no_text}.write(),
            {binary_message(no_text + no_text)});
  untouched(wire_frame{.opcode = 9, .payload = no_text}.write(), {control(opcode::ping, no_text)});
  event compressed = text_message("");
  compressed.payload = no_text;
  compressed.compressed = true;
  untouched(wire_frame{.opcode = 1, .payload = no_text, .rsv = 4}.write(), {compressed}, to_server_with_deflate);
  // What is broken otherwise is told as that, however it arrives.
  expect_everywhere(wire_frame{.opcode = 0, .payload = no_text}.write(), {broke(violation::unexpected_continuation)});
  expect_everywhere(wire_frame{.opcode = 1, .fin = false}.write() + wire_frame{.opcode = 1, .payload = no_text}.write(),
                    {broke(violation::message_inside_fragments)});
}

BOOST_AUTO_TEST_CASE(a_text_that_its_header_announces_too_big_is_that_and_not_looked_at) {
  const bytes no_text = to_bytes({0xFF, 0xFE, 0xFD, 0xFC, 0xFB});
  const bytes second = wire_frame{.opcode = 0, .payload = no_text}.write();
  const bytes first = wire_frame{.opcode = 1, .payload = to_bytes("abcdef"), .fin = false}.write();
  expect_everywhere(first + second, {broke(violation::message_too_big)}, to_server, 10);
  BOOST_TEST(byte_by_byte(first + second, to_server, 10).after_bytes == first.size() + 6);
  // With compression a frame may be a little larger than a message; a plain one may not.
  const bytes large = wire_frame{.opcode = 1, .payload = bytes(20, std::byte{0xFF})}.write();
  expect_everywhere(large, {broke(violation::message_too_big)}, to_server_with_deflate, 19);
}

BOOST_AUTO_TEST_SUITE_END()

// RFC 6455 5.4 and 8.1: fragments, control frames between them, and UTF-8.
#include "proto/message_assembler.hpp"
#include "tests/proto/everywhere.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::test;

BOOST_AUTO_TEST_SUITE(message_assembling)

namespace {

bytes text(std::string_view payload, bool fin = true) { return wire_frame{.opcode = 1, .payload = to_bytes(payload), .fin = fin}.write(); }
bytes binary(const bytes& payload, bool fin = true) { return wire_frame{.opcode = 2, .payload = payload, .fin = fin}.write(); }
bytes continuation(std::string_view payload, bool fin) { return wire_frame{.opcode = 0, .payload = to_bytes(payload), .fin = fin}.write(); }
bytes ping(std::string_view payload) { return wire_frame{.opcode = 9, .payload = to_bytes(payload)}.write(); }

frame frame_of(opcode op, bytes& payload, bool fin, bool rsv1 = false) {
  return {.op = op, .fin = fin, .rsv1 = rsv1, .payload = payload, .frame_bytes = payload.size() + 6};
}

} // namespace

BOOST_AUTO_TEST_CASE(a_fragmented_unmasked_text_message_contains_hello) {
  // RFC 6455 5.7: "Hel" and "lo".
  expect_everywhere(to_bytes({0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}), {text_message("Hello")}, to_client);
}

BOOST_AUTO_TEST_CASE(a_fragmented_message_is_one_with_fin_clear_then_zero_or_more_with_fin_clear_then_one_with_it_set) {
  expect_everywhere(text("one, ", false) + continuation("two, ", false) + continuation("", false) + continuation("three", true) + text("next"),
                    {text_message("one, two, three"), text_message("next")});
  expect_everywhere(binary({}, false) + continuation("", true), {binary_message({})});
}

BOOST_AUTO_TEST_CASE(control_frames_may_be_injected_in_the_middle_of_a_fragmented_message) {
  expect_everywhere(
      text("a", false) + ping("1") + continuation("b", false) + ping("2") + ping("3") + continuation("c", true),
      {control(opcode::ping, to_bytes("1")), control(opcode::ping, to_bytes("2")), control(opcode::ping, to_bytes("3")), text_message("abc")});
}

BOOST_AUTO_TEST_CASE(a_close_frame_in_the_middle_of_a_fragmented_message_is_passed_out) {
  const bytes normal = to_bytes({0x03, 0xE8});
  expect_everywhere(text("a", false) + wire_frame{.opcode = 8, .payload = normal}.write(), {control(opcode::close, normal)});
}

BOOST_AUTO_TEST_CASE(a_continuation_frame_without_a_message_to_continue_fails) {
  expect_everywhere(continuation("x", true), {broke(violation::unexpected_continuation)});
  expect_everywhere(continuation("x", false), {broke(violation::unexpected_continuation)});
  expect_everywhere(text("a") + continuation("x", true), {text_message("a"), broke(violation::unexpected_continuation)});
  expect_everywhere(text("a", false) + continuation("b", true) + continuation("c", true),
                    {text_message("ab"), broke(violation::unexpected_continuation)});
}

BOOST_AUTO_TEST_CASE(the_fragments_of_one_message_must_not_be_interleaved_with_those_of_another) {
  expect_everywhere(text("a", false) + text("b"), {broke(violation::message_inside_fragments)});
  expect_everywhere(text("a", false) + binary({}, false), {broke(violation::message_inside_fragments)});
}

BOOST_AUTO_TEST_CASE(a_text_frame_that_is_not_utf8_fails) {
  expect_everywhere(text("fine \xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"), {text_message("fine \xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80")});
  for (const std::string_view bad :
       {"\xFF", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "cut off \xE2\x82", "a long line of letters, then \x80 and some more behind it"}) {
    expect_everywhere(text("good") + text(bad), {text_message("good"), broke(violation::text_not_utf8)});
    expect_everywhere(binary(to_bytes(bad)), {binary_message(to_bytes(bad))});
  }
}

BOOST_AUTO_TEST_CASE(a_character_may_be_split_between_fragments_but_the_whole_message_must_be_utf8) {
  const std::string_view sample = "x\xC3\xA4y\xE2\x82\xACz\xF0\x9F\x98\x80!";
  for (std::size_t first = 0; first <= sample.size(); ++first) {
    for (std::size_t second = first; second <= sample.size(); ++second) {
      expect_everywhere(text(sample.substr(0, first), false) + continuation(sample.substr(first, second - first), false) +
                            continuation(sample.substr(second), true),
                        {text_message(sample)});
    }
  }
  expect_everywhere(text("\xE2\x82", false) + continuation("", true), {broke(violation::text_not_utf8)});
  expect_everywhere(text("\xE2\x82", false) + ping("p") + continuation("A", true),
                    {control(opcode::ping, to_bytes("p")), broke(violation::text_not_utf8)});
}

BOOST_AUTO_TEST_CASE(bad_text_in_a_fragment_fails_at_that_fragment) {
  message_assembler assembler;
  bytes bad = to_bytes("abc\xED\xA0");
  const assembled made = assembler.take(frame_of(opcode::text, bad, false), 1000);
  BOOST_TEST((made.what == assembled::kind::violation && made.broken == violation::text_not_utf8));
  BOOST_TEST(assembler.held_bytes() == 0U);
}

BOOST_AUTO_TEST_CASE(compressed_text_is_left_for_the_caller_to_check) {
  const bytes not_text = to_bytes({0xFF, 0xFE, 0x00});
  event expected = text_message("");
  expected.compressed = true;
  expected.payload = not_text;
  expect_everywhere(wire_frame{.opcode = 1, .payload = not_text, .rsv = 4}.write(), {expected}, to_server_with_deflate);
  expected.payload = not_text + not_text;
  expect_everywhere(wire_frame{.opcode = 1, .payload = not_text, .fin = false, .rsv = 4}.write() +
                        wire_frame{.opcode = 0, .payload = not_text}.write() + text("plain"),
                    {expected, text_message("plain")}, to_server_with_deflate);
}

BOOST_AUTO_TEST_CASE(a_message_above_the_limit_fails_however_it_is_fragmented) {
  for (const std::size_t length : {9U, 10U, 11U}) {
    const bytes payload = noise(length, 1);
    const events expected{length <= 10 ? binary_message(payload) : broke(violation::message_too_big)};
    expect_everywhere(binary(payload), expected, to_server, 10);
    const bytes first(payload.begin(), payload.begin() + 5);
    const bytes rest(payload.begin() + 5, payload.end());
    expect_everywhere(binary(first, false) + wire_frame{.opcode = 0, .payload = rest}.write(), expected, to_server, 10);
  }
  // It fails at the fragment that exceeds the limit, not at the end of the message.
  expect_everywhere(binary(bytes(6), false) + wire_frame{.opcode = 0, .payload = bytes(5), .fin = false}.write(), {broke(violation::message_too_big)},
                    to_server, 10);
}

BOOST_AUTO_TEST_CASE(close_frames_with_a_bad_payload_fail) {
  const auto close = [](const bytes& payload) { return wire_frame{.opcode = 8, .payload = payload}.write(); };
  expect_everywhere(close({}), {control(opcode::close)});
  expect_everywhere(close(to_bytes({0x03})), {broke(violation::close_payload_of_one_byte)});
  expect_everywhere(close(to_bytes({0x03, 0xED})), {broke(violation::close_code_not_sendable)});
  expect_everywhere(close(to_bytes({0x03, 0xE8, 0xFF})), {broke(violation::close_reason_not_utf8)});
}

BOOST_AUTO_TEST_CASE(a_whole_message_is_passed_through_without_a_copy) {
  message_assembler assembler;
  bytes payload = to_bytes("as it is");
  for (const opcode op : {opcode::text, opcode::binary, opcode::ping, opcode::pong}) {
    const assembled made = assembler.take(frame_of(op, payload, true), 1000);
    BOOST_TEST((made.payload.data() == payload.data() && made.payload.size() == payload.size()));
    BOOST_TEST(assembler.held_bytes() == 0U);
  }
}

BOOST_AUTO_TEST_CASE(memory_is_held_only_while_a_fragmented_message_is_under_way) {
  message_assembler assembler;
  bytes part = noise(100, 9);
  BOOST_TEST(assembler.held_bytes() == 0U);
  BOOST_TEST((assembler.take(frame_of(opcode::binary, part, false), 150).what == assembled::kind::none));
  BOOST_TEST(assembler.is_inside_message());
  assembler.release(); // Does nothing to a message that is still under way.
  BOOST_TEST(assembler.is_inside_message());
  bytes rest = noise(50, 10);
  const assembled made = assembler.take(frame_of(opcode::continuation, rest, true), 150);
  BOOST_REQUIRE((made.what == assembled::kind::message));
  BOOST_TEST(!assembler.is_inside_message());
  BOOST_TEST(assembler.held_bytes() >= 150U);
  BOOST_TEST(assembler.held_bytes() < 150U + 100U); // Growth stops at the limit.
  part = noise(100, 1);                             // The message does not depend on the frames' bytes any more.
  BOOST_TEST((bytes(made.payload.begin(), made.payload.end()) == noise(100, 9) + noise(50, 10)));
  assembler.release();
  BOOST_TEST(assembler.held_bytes() == 0U);
}

BOOST_AUTO_TEST_CASE(the_next_frame_frees_a_finished_message) {
  message_assembler assembler;
  bytes part = noise(100, 9);
  for (const opcode next : {opcode::binary, opcode::ping}) {
    static_cast<void>(assembler.take(frame_of(opcode::binary, part, false), 1000));
    BOOST_REQUIRE((assembler.take(frame_of(opcode::continuation, part, true), 1000).what == assembled::kind::message));
    BOOST_TEST(assembler.held_bytes() > 0U);
    static_cast<void>(assembler.take(frame_of(next, part, true), 1000));
    BOOST_TEST(assembler.held_bytes() == 0U);
  }
}

BOOST_AUTO_TEST_CASE(an_idle_assembler_is_small) { BOOST_TEST(sizeof(message_assembler) <= 16U); }

BOOST_AUTO_TEST_SUITE_END()

// RFC 6455 5.1, 5.2 and 5.5: one frame at a time.
#include "proto/frame_reader.hpp"
#include "tests/proto/everywhere.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::test;

BOOST_AUTO_TEST_SUITE(frame_reading)

BOOST_AUTO_TEST_CASE(a_single_frame_masked_text_message_contains_hello) {
  // RFC 6455 5.7.
  expect_everywhere(to_bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}), {text_message("Hello")});
}

BOOST_AUTO_TEST_CASE(a_single_frame_unmasked_text_message_contains_hello) {
  expect_everywhere(to_bytes({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}), {text_message("Hello")}, to_client);
}

BOOST_AUTO_TEST_CASE(payloads_of_every_length_encoding_arrive_unmasked) {
  for (const std::size_t length : {0U, 1U, 2U, 3U, 4U, 7U, 8U, 15U, 16U, 17U, 31U, 32U, 33U, 124U, 125U, 126U, 127U, 300U}) {
    const bytes payload = noise(length, 11);
    const bytes next = wire_frame{.opcode = 9, .payload = to_bytes("next")}.write();
    expect_everywhere(wire_frame{.payload = payload}.write() + next, {binary_message(payload), control(opcode::ping, to_bytes("next"))});
    expect_everywhere(wire_frame{.payload = payload, .masked = false}.write(), {binary_message(payload)}, to_client);
  }
}

BOOST_AUTO_TEST_CASE(payloads_above_65535_bytes_use_the_64_bit_length) {
  for (const std::size_t length : {65'535U, 65'536U, 65'537U}) {
    const bytes payload = noise(length, 12);
    bytes input = wire_frame{.payload = payload}.write();
    guarded_memory memory(input.size());
    for (const std::size_t cut : {std::size_t{1}, std::size_t{9}, std::size_t{13}, input.size() - 1}) {
      const auto partial = read_frame(memory.place_last(std::span(input).first(cut)), to_server);
      BOOST_TEST((partial.status == read_status::need_more));
      BOOST_TEST(partial.frame_bytes_wanted == (cut < 4 || (cut < 10 && length > 65'535) ? 0 : input.size()));
    }
    const auto whole = read_frame(memory.place_last(input), to_server);
    BOOST_REQUIRE((whole.status == read_status::frame));
    BOOST_TEST(whole.value.frame_bytes == input.size());
    BOOST_TEST(std::ranges::equal(whole.value.payload, payload));
  }
}

BOOST_AUTO_TEST_CASE(need_more_tells_the_whole_size_once_the_length_is_there) {
  bytes input = wire_frame{.payload = bytes(200)}.write();
  for (std::size_t cut = 0; cut < input.size(); ++cut) {
    const auto result = read_frame(std::span(input).first(cut), to_server);
    BOOST_TEST((result.status == read_status::need_more));
    BOOST_TEST(result.frame_bytes_wanted == (cut < 4 ? 0 : input.size()));
  }
}

BOOST_AUTO_TEST_CASE(what_stands_behind_a_frame_is_not_touched) {
  bytes input = wire_frame{.payload = noise(40, 1)}.write();
  const std::size_t frame_size = input.size();
  const bytes behind = noise(100, 2);
  input = input + behind;
  const auto result = read_frame(input, to_server);
  BOOST_REQUIRE((result.status == read_status::frame));
  BOOST_TEST(result.value.frame_bytes == frame_size);
  BOOST_TEST(std::equal(behind.begin(), behind.end(), input.begin() + static_cast<std::ptrdiff_t>(frame_size)));
}

BOOST_AUTO_TEST_CASE(ascii_is_seen_while_unmasking_and_one_other_byte_anywhere_is_too) {
  for (std::size_t length = 0; length <= 130; ++length) {
    const bytes letters(length, std::byte{'a'});
    for (std::size_t place = 0; place <= length; ++place) {
      bytes payload = letters;
      if (place < length) payload[place] = std::byte{0x80}; // Not UTF-8 in any place.
      bytes input = wire_frame{.opcode = 1, .payload = payload}.write();
      const auto result = read_frame(input, to_server);
      BOOST_REQUIRE((result.status == read_status::frame));
      if (result.value.is_ascii && place < length) BOOST_ERROR("length " << length << ", byte " << place);
      if (!result.value.is_ascii && place == length && length <= mask_inline_bytes_max) {
        BOOST_ERROR("ASCII of length " << length << " was not seen");
      }
      message_assembler assembler;
      const bool is_message = assembler.take(result.value, 1000).what == assembled::kind::message;
      if (is_message != (place == length)) BOOST_ERROR("text of length " << length << ", byte " << place);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_server_must_close_upon_receiving_a_frame_that_is_not_masked) {
  for (const unsigned op : {0U, 1U, 2U, 8U, 9U, 10U}) {
    expect_everywhere(wire_frame{.opcode = op, .masked = false}.write(), {broke(violation::unmasked_client_frame)});
  }
}

BOOST_AUTO_TEST_CASE(a_client_must_close_if_it_detects_a_masked_frame) {
  for (const unsigned op : {0U, 1U, 2U, 8U, 9U, 10U}) {
    expect_everywhere(wire_frame{.opcode = op}.write(), {broke(violation::masked_server_frame)}, to_client);
  }
}

BOOST_AUTO_TEST_CASE(reserved_bits_must_be_0_unless_an_extension_defines_them) {
  for (unsigned rsv = 1; rsv < 8; ++rsv) {
    const bytes input = wire_frame{.opcode = 2, .payload = to_bytes("x"), .rsv = rsv}.write();
    expect_everywhere(input, {broke(violation::reserved_bit_set)});
    if (rsv == 4) {
      event compressed = binary_message(to_bytes("x"));
      compressed.compressed = true;
      expect_everywhere(input, {compressed}, to_server_with_deflate);
    } else {
      expect_everywhere(input, {broke(violation::reserved_bit_set)}, to_server_with_deflate);
    }
  }
}

BOOST_AUTO_TEST_CASE(an_unknown_opcode_must_fail_the_connection) {
  for (const unsigned op : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}) {
    for (const bool fin : {true, false}) {
      expect_everywhere(wire_frame{.opcode = op, .fin = fin}.write(), {broke(violation::reserved_opcode)});
      expect_everywhere(wire_frame{.opcode = op, .fin = fin, .masked = false}.write(), {broke(violation::reserved_opcode)}, to_client);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_length_must_be_encoded_in_the_minimal_number_of_bytes) {
  for (const std::size_t length : {0U, 1U, 124U, 125U}) {
    expect_everywhere(wire_frame{.payload = bytes(length), .form = length_form::two_bytes}.write(), {broke(violation::length_not_minimal)});
    expect_everywhere(wire_frame{.payload = bytes(length), .form = length_form::eight_bytes}.write(), {broke(violation::length_not_minimal)});
  }
  expect_everywhere(wire_frame{.payload = bytes(126), .form = length_form::eight_bytes}.write(), {broke(violation::length_not_minimal)});
  bytes longest = wire_frame{.payload = bytes(65'535), .form = length_form::eight_bytes}.write();
  BOOST_TEST((read_frame(longest, to_server).broken == violation::length_not_minimal));
}

BOOST_AUTO_TEST_CASE(the_most_significant_bit_of_a_64_bit_length_must_be_0) {
  const bytes input = to_bytes({0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4});
  expect_everywhere(input, {broke(violation::length_high_bit_set)});
  const frame_rules without_limit{.our_role = role::server, .payload_bytes_max = ~std::uint64_t{0}};
  expect_everywhere(input, {broke(violation::length_high_bit_set)}, without_limit);
}

BOOST_AUTO_TEST_CASE(all_control_frames_must_have_a_payload_length_of_125_bytes_or_less) {
  for (const unsigned op : {9U, 10U}) {
    expect_everywhere(wire_frame{.opcode = op, .payload = bytes(125)}.write(), {control(static_cast<opcode>(op), bytes(125))});
    expect_everywhere(wire_frame{.opcode = op, .payload = bytes(126)}.write(), {broke(violation::control_frame_too_long)});
    bytes longest = wire_frame{.opcode = op, .payload = bytes(70'000)}.write();
    BOOST_TEST((read_frame(longest, to_server).broken == violation::control_frame_too_long));
  }
  expect_everywhere(wire_frame{.opcode = 8, .payload = bytes(126)}.write(), {broke(violation::control_frame_too_long)});
}

BOOST_AUTO_TEST_CASE(control_frames_must_not_be_fragmented) {
  for (const unsigned op : {8U, 9U, 10U}) {
    expect_everywhere(wire_frame{.opcode = op, .fin = false}.write(), {broke(violation::control_frame_fragmented)});
  }
}

BOOST_AUTO_TEST_CASE(the_compressed_bit_must_not_stand_on_control_frames_nor_on_later_fragments) {
  for (const unsigned op : {8U, 9U, 10U}) {
    expect_everywhere(wire_frame{.opcode = op, .rsv = 4}.write(), {broke(violation::compressed_control_frame)}, to_server_with_deflate);
  }
  expect_everywhere(wire_frame{.opcode = 1, .fin = false, .rsv = 4}.write() + wire_frame{.opcode = 0, .rsv = 4}.write(),
                    {broke(violation::compressed_continuation)}, to_server_with_deflate);
}

BOOST_AUTO_TEST_CASE(a_length_above_the_limit_is_reported_from_the_header) {
  const frame_rules rules{.our_role = role::server, .payload_bytes_max = 1000};
  for (const std::size_t length : {999U, 1000U, 1001U}) {
    const bytes input = wire_frame{.payload = noise(length, 3)}.write();
    if (length <= 1000) {
      bytes copy = input;
      BOOST_TEST((read_frame(copy, rules).status == read_status::frame));
    } else {
      bytes header(input.begin(), input.begin() + 4); // Neither the masking key nor the payload have arrived.
      const auto result = read_frame(header, rules);
      BOOST_TEST((result.status == read_status::violation && result.broken == violation::message_too_big));
    }
  }
  const frame_rules tiny{.our_role = role::server, .payload_bytes_max = 4};
  expect_everywhere(wire_frame{.payload = bytes(4)}.write(), {binary_message(bytes(4))}, tiny);
  expect_everywhere(wire_frame{.payload = bytes(5)}.write(), {broke(violation::message_too_big)}, tiny);
  expect_everywhere(wire_frame{.opcode = 9, .payload = bytes(5)}.write(), {control(opcode::ping, bytes(5))}, tiny);
}

BOOST_AUTO_TEST_CASE(violations_show_at_the_first_byte_that_tells_them) {
  const auto broken_by = [](bytes input, const frame_rules& rules = to_server) { return read_frame(input, rules).broken; };
  BOOST_TEST((broken_by(to_bytes({0xA2})) == violation::reserved_bit_set));
  BOOST_TEST((broken_by(to_bytes({0x83})) == violation::reserved_opcode));
  BOOST_TEST((broken_by(to_bytes({0x09})) == violation::control_frame_fragmented));
  BOOST_TEST((broken_by(to_bytes({0x82, 0x01})) == violation::unmasked_client_frame));
  BOOST_TEST((broken_by(to_bytes({0x89, 0xFE})) == violation::control_frame_too_long));
  BOOST_TEST((broken_by(to_bytes({0x82, 0xFE, 0x00, 0x7D})) == violation::length_not_minimal));
}

BOOST_AUTO_TEST_SUITE_END()

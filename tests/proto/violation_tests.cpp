// Every violation has its row, and every one is reached by bytes on the wire, however they arrive.
#include "proto/close_handshake.hpp"
#include "proto/violation.hpp"
#include "tests/proto/everywhere.hpp"

#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

using namespace ringcast;
using namespace ringcast::test;

BOOST_AUTO_TEST_SUITE(violations)

namespace {

struct sample {
  bytes input;
  frame_rules rules = to_server;
};

/// The shortest input that breaks each rule.
std::map<violation, sample> samples() {
  const bytes first_fragment = wire_frame{.opcode = 2, .fin = false}.write();
  const auto close = [](const bytes& payload) { return wire_frame{.opcode = 8, .payload = payload}.write(); };
  const frame_rules eight_bytes{.our_role = role::server, .payload_bytes_max = 8};
  return {
      {violation::reserved_bit_set, {to_bytes({0xC2})}},
      {violation::reserved_opcode, {to_bytes({0x83})}},
      {violation::unmasked_client_frame, {to_bytes({0x82, 0x00})}},
      {violation::masked_server_frame, {to_bytes({0x82, 0x80}), to_client}},
      {violation::length_not_minimal, {to_bytes({0x82, 0xFE, 0x00, 0x01})}},
      {violation::length_high_bit_set, {to_bytes({0x82, 0xFF, 0x80, 0, 0, 0, 0, 1, 0, 0})}},
      {violation::control_frame_too_long, {to_bytes({0x89, 0xFE})}},
      {violation::control_frame_fragmented, {to_bytes({0x09})}},
      {violation::unexpected_continuation, {wire_frame{.opcode = 0}.write()}},
      {violation::message_inside_fragments, {first_fragment + wire_frame{.opcode = 2}.write()}},
      {violation::compressed_control_frame, {to_bytes({0xC9}), to_server_with_deflate}},
      {violation::compressed_continuation, {to_bytes({0xC0}), to_server_with_deflate}},
      {violation::text_not_utf8, {wire_frame{.opcode = 1, .payload = to_bytes({0xFF})}.write()}},
      {violation::message_too_big, {to_bytes({0x82, 0x89}), eight_bytes}},
      {violation::close_payload_of_one_byte, {close(to_bytes({3}))}},
      {violation::close_code_not_sendable, {close(to_bytes({3, 0xEC}))}},
      {violation::close_reason_not_utf8, {close(to_bytes({3, 0xE8, 0x80}))}},
  };
}

} // namespace

BOOST_AUTO_TEST_CASE(each_one_is_reached_on_the_wire) {
  for (const auto& [broken, how] : samples()) {
    BOOST_TEST_CONTEXT(describe(broken)) { expect_everywhere(how.input, {broke(broken)}, how.rules); }
  }
}

BOOST_AUTO_TEST_CASE(no_enumerator_is_left_out) {
  const auto reached = samples();
  for (std::size_t i = 1; i < violation_count; ++i) {
    const auto broken = static_cast<violation>(i);
    if (broken == violation::compressed_data_invalid) continue; // The inflater's, and reached in its tests.
    if (broken == violation::data_after_close) {
      close_handshake server{role::server};
      static_cast<void>(server.on_close_received());
      BOOST_TEST((server.on_frame().error() == broken));
      continue;
    }
    BOOST_TEST_CONTEXT(describe(broken)) { BOOST_TEST(reached.contains(broken)); }
  }
}

BOOST_AUTO_TEST_CASE(each_one_has_a_sendable_code_a_reason_that_fits_and_a_section) {
  std::set<std::string_view> phrases;
  for (std::size_t i = 1; i < violation_count; ++i) {
    const auto broken = static_cast<violation>(i);
    BOOST_TEST(may_be_sent(static_cast<std::uint16_t>(close_code_of(broken))));
    BOOST_TEST(!describe(broken).empty());
    BOOST_TEST(describe(broken).size() <= close_reason_bytes_max);
    BOOST_TEST(rfc_section_of(broken).starts_with("RFC "));
    phrases.insert(describe(broken));
  }
  BOOST_TEST(phrases.size() == violation_count - 1);
}

BOOST_AUTO_TEST_CASE(the_codes_are_those_of_section_7_4_1) {
  BOOST_TEST((close_code_of(violation::reserved_bit_set) == close_code::protocol_error));
  BOOST_TEST((close_code_of(violation::text_not_utf8) == close_code::invalid_payload));
  BOOST_TEST((close_code_of(violation::close_reason_not_utf8) == close_code::invalid_payload));
  BOOST_TEST((close_code_of(violation::message_too_big) == close_code::message_too_big));
  BOOST_TEST((close_code_of(violation::none) == close_code::normal));
}

BOOST_AUTO_TEST_SUITE_END()

// RFC 6455 5.5.1, 7.1 and 7.4: the Close payload, and who closes what when.
#include "proto/close_handshake.hpp"
#include "tests/proto/guard_page.hpp"
#include "tests/proto/wire.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

using namespace ringcast;
using namespace ringcast::test;

BOOST_AUTO_TEST_SUITE(closing)

namespace {

bytes close_bytes(unsigned code, std::string_view reason = "") { return to_bytes({code >> 8, code & 0xFF}) + to_bytes(reason); }

std::string written(std::uint16_t code, std::string_view reason) {
  guarded_memory memory(125);
  const std::span<std::byte> place = memory.last(125);
  const std::size_t size = write_close_payload(place.data(), code, reason);
  BOOST_REQUIRE(size <= 125);
  return {reinterpret_cast<const char*>(place.data()), size};
}

} // namespace

BOOST_AUTO_TEST_CASE(if_there_is_a_body_the_first_two_bytes_must_be_the_status_code) {
  guarded_memory memory(125);
  const bytes with_reason = close_bytes(1000, "good-bye");
  const auto said = parse_close(memory.place_last(with_reason));
  BOOST_REQUIRE(said.has_value());
  BOOST_TEST(said->code == 1000);
  BOOST_TEST(said->reason == "good-bye");
  const auto nothing = parse_close(memory.last(0));
  BOOST_REQUIRE(nothing.has_value());
  BOOST_TEST(nothing->code == 1005);
  BOOST_TEST(nothing->reason.empty());
  BOOST_TEST((parse_close(memory.place_last(to_bytes({0x03}))).error() == violation::close_payload_of_one_byte));
}

BOOST_AUTO_TEST_CASE(every_status_code_is_accepted_or_refused_as_the_registry_says) {
  for (unsigned code = 0; code <= 0xFFFF; ++code) {
    const bool named = code == 1000 || code == 1001 || code == 1002 || code == 1003 || (code >= 1007 && code <= 1014);
    const bool expected = named || (code >= 3000 && code <= 4999);
    const auto said = parse_close(close_bytes(code));
    if (said.has_value() != expected) BOOST_ERROR("code " << code);
    if (!said && said.error() != violation::close_code_not_sendable) BOOST_ERROR("code " << code);
    if (said && said->code != code) BOOST_ERROR("code " << code);
    if (written(static_cast<std::uint16_t>(code), "").size() != (expected ? 2U : 0U)) BOOST_ERROR("code " << code);
  }
}

BOOST_AUTO_TEST_CASE(the_reason_must_be_utf8) {
  guarded_memory memory(125);
  for (const std::string_view bad : {"\xFF", "a\xC0\xAF", "\xE2\x82"}) {
    const auto said = parse_close(memory.place_last(close_bytes(1000, bad)));
    BOOST_REQUIRE(!said.has_value());
    BOOST_TEST((said.error() == violation::close_reason_not_utf8));
    BOOST_TEST(written(1000, bad) == "\x03\xE8"); // Never sent either.
  }
}

BOOST_AUTO_TEST_CASE(a_long_reason_is_cut_between_characters) {
  const std::string letters(200, 'x');
  BOOST_TEST(written(1001, letters).substr(2) == letters.substr(0, 123));
  BOOST_TEST(written(1001, letters.substr(0, 123)).substr(2) == letters.substr(0, 123));
  for (std::size_t ahead = 115; ahead <= 124; ++ahead) {
    for (const std::string_view character : {"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
      const std::string reason = letters.substr(0, ahead) + std::string(character) + "tail, long enough to be cut";
      const std::string sent = written(1001, reason).substr(2);
      BOOST_TEST(sent.size() <= 123U);
      BOOST_TEST(sent.size() >= 120U);
      BOOST_TEST(reason.starts_with(sent));
      BOOST_TEST(parse_close(close_bytes(1001, sent)).has_value());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_close_without_status_is_answered_by_one_without_status) { BOOST_TEST(written(1005, "x") == ""); }

BOOST_AUTO_TEST_CASE(upon_receiving_a_close_frame_the_server_answers_and_closes_tcp) {
  close_handshake server{role::server};
  BOOST_TEST(server.may_send());
  BOOST_TEST((server.on_close_received() == close_action::send_close));
  BOOST_TEST((server.state() == close_state::close_received));
  BOOST_TEST(!server.may_send());
  BOOST_TEST((server.begin() == close_action::none)); // Only one Close frame is ever sent.
  BOOST_TEST((server.on_close_written() == close_action::close_tcp));
  BOOST_TEST((server.state() == close_state::closed));
}

BOOST_AUTO_TEST_CASE(the_client_waits_for_the_server_to_close_tcp) {
  close_handshake client{role::client};
  BOOST_TEST((client.on_close_received() == close_action::send_close));
  BOOST_TEST((client.on_close_written() == close_action::await_tcp_close));
  close_handshake first{role::client};
  BOOST_TEST((first.begin() == close_action::send_close));
  BOOST_TEST((first.on_close_written() == close_action::await_peer));
  BOOST_TEST((first.on_close_received() == close_action::await_tcp_close));
  BOOST_TEST((first.state() == close_state::closed));
}

BOOST_AUTO_TEST_CASE(the_server_that_closes_first_closes_tcp_behind_the_answer) {
  close_handshake server{role::server};
  BOOST_TEST((server.begin() == close_action::send_close));
  BOOST_TEST(!server.may_send());
  BOOST_TEST(server.on_frame().has_value()); // What the peer sent before its Close frame still counts.
  BOOST_TEST((server.begin() == close_action::none));
  BOOST_TEST((server.on_close_written() == close_action::await_peer));
  BOOST_TEST((server.on_close_received() == close_action::close_tcp));
}

BOOST_AUTO_TEST_CASE(close_frames_that_cross_do_not_cut_off_the_one_still_being_written) {
  close_handshake server{role::server};
  BOOST_TEST((server.begin() == close_action::send_close));
  BOOST_TEST((server.on_close_received() == close_action::none));
  BOOST_TEST((server.state() == close_state::close_received));
  BOOST_TEST((server.on_close_written() == close_action::close_tcp));
}

BOOST_AUTO_TEST_CASE(data_after_the_peers_close_frame_is_discarded) {
  close_handshake server{role::server};
  BOOST_TEST(server.on_frame().has_value());
  static_cast<void>(server.on_close_received());
  BOOST_TEST((server.on_frame().error() == violation::data_after_close));
  BOOST_TEST((server.on_close_received() == close_action::none));
  static_cast<void>(server.on_close_written());
  BOOST_TEST((server.on_frame().error() == violation::data_after_close));
  BOOST_TEST((server.on_close_received() == close_action::none));
}

BOOST_AUTO_TEST_CASE(failing_sends_a_close_frame_once_and_closes_tcp_without_waiting) {
  for (const role our_role : {role::server, role::client}) {
    close_handshake end{our_role};
    BOOST_TEST((end.fail() == close_action::send_close));
    BOOST_TEST((end.fail() == close_action::none));
    BOOST_TEST((end.on_close_received() == close_action::none));
    BOOST_TEST((end.on_close_written() == close_action::close_tcp));
    BOOST_TEST((end.fail() == close_action::none));
  }
}

BOOST_AUTO_TEST_CASE(failing_behind_our_own_close_frame_closes_tcp_when_it_is_written) {
  close_handshake written_before{role::server};
  static_cast<void>(written_before.begin());
  static_cast<void>(written_before.on_close_written());
  BOOST_TEST((written_before.fail() == close_action::close_tcp));
  close_handshake still_queued{role::server};
  static_cast<void>(still_queued.begin());
  BOOST_TEST((still_queued.fail() == close_action::none));
  BOOST_TEST((still_queued.on_close_written() == close_action::close_tcp));
}

BOOST_AUTO_TEST_CASE(the_state_is_small) { BOOST_TEST(sizeof(close_handshake) <= 2U); }

BOOST_AUTO_TEST_SUITE_END()

// The one table behind `violation`: a protocol rule is a row here and an enumerator in the header.
#include "proto/violation.hpp"

#include <array>

namespace ringcast {
namespace {

struct rule {
  violation broken;
  close_code code;
  std::string_view phrase;
  std::string_view section;
};

constexpr std::array<rule, violation_count> rules{{
    {violation::none, close_code::normal, "no rule is broken", ""},
    {violation::reserved_bit_set, close_code::protocol_error, "a reserved bit is set", "RFC 6455 5.2"},
    {violation::reserved_opcode, close_code::protocol_error, "the opcode is reserved", "RFC 6455 5.2"},
    {violation::unmasked_client_frame, close_code::protocol_error, "a client's frame must be masked", "RFC 6455 5.1"},
    {violation::masked_server_frame, close_code::protocol_error, "a server's frame must not be masked", "RFC 6455 5.1"},
    {violation::length_not_minimal, close_code::protocol_error, "the length is not in its shortest form", "RFC 6455 5.2"},
    {violation::length_high_bit_set, close_code::protocol_error, "the highest bit of the length is set", "RFC 6455 5.2"},
    {violation::control_frame_too_long, close_code::protocol_error, "a control frame is longer than 125 bytes", "RFC 6455 5.5"},
    {violation::control_frame_fragmented, close_code::protocol_error, "a control frame is fragmented", "RFC 6455 5.5"},
    {violation::unexpected_continuation, close_code::protocol_error, "there is no message to continue", "RFC 6455 5.4"},
    {violation::message_inside_fragments, close_code::protocol_error, "the fragmented message has not ended", "RFC 6455 5.4"},
    {violation::compressed_control_frame, close_code::protocol_error, "a control frame is marked as compressed", "RFC 7692 6.1"},
    {violation::compressed_continuation, close_code::protocol_error, "a fragment after the first is marked as compressed", "RFC 7692 6.1"},
    {violation::text_not_utf8, close_code::invalid_payload, "the text is not UTF-8", "RFC 6455 8.1"},
    {violation::message_too_big, close_code::message_too_big, "the message is too big", "RFC 6455 10.4"},
    {violation::compressed_data_invalid, close_code::invalid_payload, "the compressed data is broken", "RFC 7692 7.2.2"},
    {violation::close_payload_of_one_byte, close_code::protocol_error, "a close payload has two bytes or none", "RFC 6455 5.5.1"},
    {violation::close_code_not_sendable, close_code::protocol_error, "the close code must not be sent", "RFC 6455 7.4"},
    {violation::close_reason_not_utf8, close_code::invalid_payload, "the close reason is not UTF-8", "RFC 6455 5.5.1"},
    {violation::data_after_close, close_code::protocol_error, "a frame follows the close frame", "RFC 6455 5.5.1"},
}};

constexpr bool rows_stand_in_order() {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (static_cast<std::size_t>(rules[i].broken) != i || rules[i].phrase.size() > 123) return false;
  }
  return true;
}
static_assert(rows_stand_in_order(), "a violation is its row's index, and its phrase fits into a close reason");

const rule& rule_of(violation broken) noexcept { return rules[static_cast<std::size_t>(broken) % rules.size()]; }

} // namespace

close_code close_code_of(violation broken) noexcept { return rule_of(broken).code; }

std::string_view describe(violation broken) noexcept { return rule_of(broken).phrase; }

std::string_view rfc_section_of(violation broken) noexcept { return rule_of(broken).section; }

} // namespace ringcast

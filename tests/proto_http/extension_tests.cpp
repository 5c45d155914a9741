// Sec-WebSocket-Extensions in the words of RFC 6455 section 9.1 and RFC 7692 section 7.1, for both roles.
#include "proto/extension.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>
#include <vector>

using namespace ringcast;

namespace {

http_fields fields_of(const std::vector<std::string_view>& values) {
  http_fields fields;
  for (const auto value : values) fields.headers[fields.header_count++] = {"sec-websocket-EXTENSIONS", value};
  return fields;
}

// A policy that wishes for nothing, so that a response shows what the offer alone leads to.
constexpr deflate_policy no_wishes{.server_no_context_takeover = false, .client_no_context_takeover = false};

std::string answer(const std::vector<std::string_view>& values, const deflate_policy& policy = no_wishes) {
  const auto accepted = negotiate_deflate(fields_of(values), policy);
  return accepted ? std::string{accepted->response_value()} : "declined";
}

std::string read_all(std::string_view value) {
  std::string out;
  extension_reader reader{value};
  while (const auto name = reader.next_extension()) {
    out += '[' + std::string{*name};
    while (const auto param = reader.next_param()) {
      out += '|' + std::string{param->name};
      if (param->has_value) out += '=' + std::string{param->raw_value};
    }
    out += ']';
  }
  return reader.malformed() ? "malformed" : out;
}

using outcome = std::expected<std::optional<deflate_params>, extension_error>;

outcome response(const std::vector<std::string_view>& values, const deflate_offer& offer = {}) {
  return check_deflate_response(fields_of(values), &offer);
}

void expect_failure(const std::vector<std::string_view>& values, extension_error error, const deflate_offer& offer = {}) {
  BOOST_TEST_CONTEXT(values.front()) {
    const auto result = response(values, offer);
    BOOST_TEST_REQUIRE(!result.has_value());
    BOOST_TEST((result.error() == error));
    BOOST_TEST(describe(result.error()).ends_with('.'));
  }
}

} // namespace

BOOST_AUTO_TEST_SUITE(the_extension_header)

BOOST_AUTO_TEST_CASE(is_a_list_of_extensions_with_parameters) {
  // The four examples of RFC 6455 section 9.1.
  BOOST_TEST(read_all("foo") == "[foo]");
  BOOST_TEST(read_all("bar; baz=2") == "[bar|baz=2]");
  BOOST_TEST(read_all("deflate-stream") == "[deflate-stream]");
  BOOST_TEST(read_all("mux; max-channels=4; flow-control, deflate-stream") == "[mux|max-channels=4|flow-control][deflate-stream]");
  BOOST_TEST(read_all("private-extension") == "[private-extension]");
  BOOST_TEST(read_all("") == "");
  BOOST_TEST(read_all(" , a\t;\tb = c ,, d,") == "[a|b=c][d]");
  BOOST_TEST(read_all("a;b=\"c\";d") == "[a|b=c|d]");
  BOOST_TEST(read_all("a;b=\"c\\d\"") == "[a|b=c\\d]");
}

BOOST_AUTO_TEST_CASE(that_breaks_the_grammar_is_malformed) {
  for (const std::string_view value : {";",           "a;",        "a;;b",       "a b",        "a=b",          "a;b=",   "a;b=;c",   "a;=b",
                                       "a;b c",       "a;b=c d",   "\"a\"",      "a;\"b\"",    "a;b=\"c",      "a;b=\"", "a;b=\"\"", "a;b=\"c d\"",
                                       "a;b=\"c,d\"", "a;b=\"c\\", "a;b=\"c\"d", "a;b='c,d';", "a;b=\"\\\"\"", "a,(",    "a;b=c=d",  "a,;b"})
    BOOST_TEST(read_all(value) == "malformed", value);
  BOOST_TEST(extensions_well_formed(fields_of({"a", "b;c"})));
  BOOST_TEST(!extensions_well_formed(fields_of({"a", "b;"})));
  BOOST_TEST(extensions_well_formed(fields_of({})));
}

BOOST_AUTO_TEST_CASE(is_read_on_when_parameters_are_left_unread) {
  extension_reader reader{"a; b=\"c\"; d, e; f, g"};
  BOOST_TEST(*reader.next_extension() == "a");
  BOOST_TEST(reader.next_param()->name == "b");
  BOOST_TEST(*reader.next_extension() == "e");
  BOOST_TEST(*reader.next_extension() == "g");
  BOOST_TEST(!reader.next_extension().has_value());
  BOOST_TEST(!reader.next_param().has_value());
  BOOST_TEST(!reader.malformed());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_server_that_negotiates_permessage_deflate)

BOOST_AUTO_TEST_CASE(answers_the_examples_of_RFC_7692_section_7_1_3) {
  // "The simplest header to offer use of the extension"; the response must then not have client_max_window_bits.
  BOOST_TEST(answer({"permessage-deflate"}) == "permessage-deflate");
  BOOST_TEST(
      answer({"permessage-deflate"}, {.server_no_context_takeover = false, .client_no_context_takeover = false, .client_max_window_bits = 10}) ==
      "permessage-deflate");
  // "asking the server to use a window of 1,024 bytes or less and declaring that the client supports
  // client_max_window_bits"
  BOOST_TEST(answer({"permessage-deflate; client_max_window_bits; server_max_window_bits=10"}) == "permessage-deflate; server_max_window_bits=10");
  // "the client should offer the fallback option explicitly": a server that can, and one that cannot do the first.
  const std::string_view with_fallback = "permessage-deflate; client_max_window_bits; server_max_window_bits=10, "
                                         "permessage-deflate; client_max_window_bits";
  BOOST_TEST(answer({with_fallback}) == "permessage-deflate; server_max_window_bits=10");
  deflate_policy only_large = no_wishes;
  only_large.server_min_window_bits = 15;
  BOOST_TEST(answer({with_fallback}, only_large) == "permessage-deflate");
  BOOST_TEST(answer({"permessage-deflate; server_max_window_bits=10"}, only_large) == "declined");
}

BOOST_AUTO_TEST_CASE(keeps_no_context_by_default) {
  const auto accepted = negotiate_deflate(fields_of({"permessage-deflate; client_max_window_bits"}), {});
  BOOST_TEST_REQUIRE(accepted.has_value());
  BOOST_TEST(accepted->response_value() == "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  BOOST_TEST((accepted->params == deflate_params{.server_no_context_takeover = true, .client_no_context_takeover = true}));
  BOOST_TEST(answer({"permessage-deflate"}, {.enabled = false}) == "declined");
}

BOOST_AUTO_TEST_CASE(accepts_a_takeover_parameter_by_repeating_it) {
  BOOST_TEST(answer({"permessage-deflate; server_no_context_takeover"}) == "permessage-deflate; server_no_context_takeover");
  BOOST_TEST(answer({"permessage-deflate; client_no_context_takeover"}) == "permessage-deflate; client_no_context_takeover");
  BOOST_TEST(answer({"permessage-deflate; client_no_context_takeover; server_no_context_takeover"}) ==
             "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
}

BOOST_AUTO_TEST_CASE(answers_every_size_of_window) {
  for (unsigned bits = 8; bits <= 15; ++bits) {
    const std::string number = std::to_string(bits);
    const std::string server_offer = "permessage-deflate; server_max_window_bits=" + number;
    const std::string client_offer = "permessage-deflate; client_max_window_bits=" + number;
    BOOST_TEST(answer({server_offer}) == server_offer);
    BOOST_TEST(answer({client_offer}) == client_offer);
    BOOST_TEST(answer({"permessage-deflate; server_max_window_bits=\"" + number + "\""}) == server_offer);
    const auto accepted = negotiate_deflate(fields_of({server_offer}), no_wishes);
    BOOST_TEST(+accepted->params.server_max_window_bits == bits);
    BOOST_TEST(+negotiate_deflate(fields_of({client_offer}), no_wishes)->params.client_max_window_bits == bits);

    // Our own limits lower what the client allows, and are stated where the client lets us.
    deflate_policy policy = no_wishes;
    policy.server_max_window_bits = policy.client_max_window_bits = 11;
    const std::string lower = std::to_string(std::min(bits, 11U));
    BOOST_TEST(answer({server_offer}, policy) == "permessage-deflate; server_max_window_bits=" + lower);
    BOOST_TEST(answer({client_offer}, policy) == "permessage-deflate; server_max_window_bits=11; client_max_window_bits=" + lower);
  }
  deflate_policy policy = no_wishes;
  policy.client_max_window_bits = 9;
  BOOST_TEST(answer({"permessage-deflate; client_max_window_bits"}, policy) == "permessage-deflate; client_max_window_bits=9");
}

BOOST_AUTO_TEST_CASE(writes_the_longest_answer_in_full) {
  const deflate_policy policy{.server_max_window_bits = 10, .client_max_window_bits = 12};
  const std::string longest = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                              "server_max_window_bits=10; client_max_window_bits=12";
  BOOST_TEST(longest.size() == extension_text::capacity);
  BOOST_TEST(answer({"permessage-deflate; client_max_window_bits"}, policy) == longest);
}

BOOST_AUTO_TEST_CASE(declines_an_offer_that_RFC_7692_does_not_allow_and_takes_the_next) {
  // Section 7.1: "A server MUST decline an extension negotiation offer for this extension if any of the following": a
  // parameter not defined for use in an offer, with an invalid value, or several with the same name.
  for (const std::string_view params : {"unknown",
                                        "unknown=1",
                                        "server_no_context_takeover=1",
                                        "client_no_context_takeover=true",
                                        "server_max_window_bits",
                                        "server_max_window_bits=7",
                                        "server_max_window_bits=16",
                                        "server_max_window_bits=08",
                                        "server_max_window_bits=010",
                                        "server_max_window_bits=1",
                                        "server_max_window_bits=100",
                                        "server_max_window_bits=1x",
                                        "server_max_window_bits=+9",
                                        "server_max_window_bits=9.0",
                                        "client_max_window_bits=7",
                                        "client_max_window_bits=16",
                                        "client_max_window_bits=09",
                                        "client_max_window_bits=x",
                                        "Server_No_Context_Takeover",
                                        "server_no_context_takeover; server_no_context_takeover",
                                        "client_no_context_takeover; client_no_context_takeover",
                                        "server_max_window_bits=9; server_max_window_bits=9",
                                        "client_max_window_bits; client_max_window_bits",
                                        "client_max_window_bits; client_max_window_bits=9",
                                        "client_max_window_bits=9; client_max_window_bits"}) {
    BOOST_TEST_CONTEXT(params) {
      const std::string offer = "permessage-deflate; " + std::string{params};
      BOOST_TEST(answer({offer}) == "declined");
      BOOST_TEST(answer({offer + ", permessage-deflate"}) == "permessage-deflate");
      BOOST_TEST(answer({offer, "permessage-deflate"}) == "permessage-deflate");
      BOOST_TEST(answer({"x-other; " + std::string{params} + ", " + offer + ", permessage-deflate; client_max_window_bits=9"}) ==
                 "permessage-deflate; client_max_window_bits=9");
    }
  }
}

BOOST_AUTO_TEST_CASE(takes_the_first_offer_that_it_can_keep_over_all_header_lines) {
  BOOST_TEST(answer({"permessage-bar, permessage-deflate; client_max_window_bits=9", "permessage-deflate"}) ==
             "permessage-deflate; client_max_window_bits=9");
  BOOST_TEST(answer({"permessage-bar", "", "x-webkit-deflate-frame", "permessage-deflate"}) == "permessage-deflate");
  BOOST_TEST(answer({"permessage-bar; server_no_context_takeover"}) == "declined");
  BOOST_TEST(answer({"PERMESSAGE-DEFLATE"}) == "declined");
  BOOST_TEST(answer({}) == "declined");
}

BOOST_AUTO_TEST_CASE(accepts_nothing_from_a_malformed_header) {
  BOOST_TEST(answer({"permessage-deflate, ;"}) == "declined");
  BOOST_TEST(answer({"permessage-deflate", "a=b"}) == "declined");
  BOOST_TEST(answer({"permessage-deflate; server_max_window_bits="}) == "declined");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_client_that_negotiates_permessage_deflate)

BOOST_AUTO_TEST_CASE(writes_its_offer) {
  BOOST_TEST(write_deflate_offer({}).view() == "permessage-deflate; client_max_window_bits");
  BOOST_TEST(write_deflate_offer({.allow_client_max_window_bits = false}).view() == "permessage-deflate");
  const std::string longest = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                              "server_max_window_bits=10; client_max_window_bits=12";
  BOOST_TEST(write_deflate_offer(
                 {.server_no_context_takeover = true, .client_no_context_takeover = true, .server_max_window_bits = 10, .client_max_window_bits = 12})
                 .view() == longest);
  BOOST_TEST(write_deflate_offer({.server_max_window_bits = 3, .client_max_window_bits = 99}).view() ==
             "permessage-deflate; server_max_window_bits=8; client_max_window_bits=15");
}

BOOST_AUTO_TEST_CASE(knows_what_was_agreed) {
  BOOST_TEST(!response({}).value().has_value());
  BOOST_TEST(!response({""}).value().has_value());
  BOOST_TEST((response({"permessage-deflate"}).value() == deflate_params{}));
  BOOST_TEST((response({"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; "
                        "client_max_window_bits=\"10\""})
                  .value() == deflate_params{true, true, 9, 10}));
  // A smaller window than was asked for is fine.
  BOOST_TEST((response({"permessage-deflate; server_max_window_bits=9"}, {.server_max_window_bits = 10}).value() ==
              deflate_params{.server_max_window_bits = 9}));
  BOOST_TEST((response({"permessage-deflate; client_max_window_bits=9"}, {.client_max_window_bits = 10}).value() ==
              deflate_params{.client_max_window_bits = 9}));
  BOOST_TEST(!check_deflate_response(fields_of({}), nullptr).value().has_value());
}

BOOST_AUTO_TEST_CASE(fails_the_connection_for_every_answer_that_does_not_fit_the_offer) {
  using enum extension_error;
  expect_failure({"permessage-deflate;"}, malformed);
  expect_failure({"permessage-bar"}, unrequested);
  expect_failure({"permessage-deflate, permessage-bar"}, unrequested);
  expect_failure({"permessage-deflate, permessage-deflate"}, repeated);
  expect_failure({"permessage-deflate", "permessage-deflate"}, repeated);
  expect_failure({"permessage-deflate; x"}, unknown_parameter);
  expect_failure({"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, repeated_parameter);
  expect_failure({"permessage-deflate; client_max_window_bits=9; client_max_window_bits=9"}, repeated_parameter);
  expect_failure({"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"}, repeated_parameter);
  expect_failure({"permessage-deflate; server_max_window_bits=16"}, invalid_value);
  expect_failure({"permessage-deflate; server_max_window_bits"}, invalid_value);
  expect_failure({"permessage-deflate; client_max_window_bits=7"}, invalid_value);
  expect_failure({"permessage-deflate; server_no_context_takeover=1"}, invalid_value);
  // Only an offer may leave the value out.
  expect_failure({"permessage-deflate; client_max_window_bits"}, invalid_value);
  expect_failure({"permessage-deflate; client_max_window_bits=9"}, unrequested_parameter, {.allow_client_max_window_bits = false});
  expect_failure({"permessage-deflate; client_max_window_bits=11"}, unrequested_parameter, {.client_max_window_bits = 10});
  expect_failure({"permessage-deflate"}, offer_ignored, {.server_no_context_takeover = true});
  expect_failure({"permessage-deflate"}, offer_ignored, {.server_max_window_bits = 10});
  expect_failure({"permessage-deflate; server_max_window_bits=11"}, offer_ignored, {.server_max_window_bits = 10});
  BOOST_TEST((check_deflate_response(fields_of({"permessage-deflate"}), nullptr).error() == unrequested));
}

BOOST_AUTO_TEST_CASE(agrees_with_our_server_on_every_combination) {
  // Both roles against each other: whatever the server answers, the client accepts, and both hold the same parameters.
  for (unsigned mask = 0; mask < 256; ++mask) {
    const auto bit = [&](unsigned n) { return (mask >> n & 1) != 0; };
    deflate_offer offer{.server_no_context_takeover = bit(0), .client_no_context_takeover = bit(1), .allow_client_max_window_bits = bit(2)};
    if (bit(3)) offer.server_max_window_bits = 10;
    if (bit(4)) offer.client_max_window_bits = 11;
    const deflate_policy policy{.server_no_context_takeover = bit(5),
                                .client_no_context_takeover = bit(6),
                                .server_max_window_bits = static_cast<std::uint8_t>(bit(7) ? 9 : 15),
                                .client_max_window_bits = static_cast<std::uint8_t>(bit(7) ? 12 : 15)};
    const auto text = write_deflate_offer(offer);
    const auto accepted = negotiate_deflate(fields_of({text.view()}), policy);
    BOOST_TEST_REQUIRE(accepted.has_value());
    const auto agreed = check_deflate_response(fields_of({accepted->response_value()}), &offer);
    BOOST_TEST_REQUIRE(agreed.has_value(), text.view() << " -> " << accepted->response_value());
    BOOST_TEST((agreed.value() == accepted->params));
  }
}

BOOST_AUTO_TEST_SUITE_END()

// What the server answers to offers of permessage-deflate (RFC 7692 7.1), in each of its modes.
#include "tests/compression/deflating_client.hpp"
#include "tests/library/running.hpp"

using namespace ringcast;

namespace {

void echoes(server& s) {
  s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
  s.events("/off", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); },
                    .compression = compression_options{.mode = compression_mode::off}});
  s.get("/coroutine", [](request& req) -> task<void> {
    websocket ws = co_await req.upgrade({.compression = compression_options{.mode = compression_mode::dedicated, .window_bits = 10}});
    while (auto message = co_await ws.receive()) co_await ws.send(*message);
  });
}

std::string answer_to(const running& server, std::string_view offer, std::string_view target = "/echo") {
  return deflating_client{server.address(), target, offer}.agreed().text;
}

} // namespace

BOOST_AUTO_TEST_SUITE(negotiation)

BOOST_AUTO_TEST_CASE(shared_keeps_no_context_in_either_direction) {
  running server{echoes};
  BOOST_TEST(answer_to(server, "permessage-deflate; client_max_window_bits") ==
             "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  BOOST_TEST(answer_to(server, "permessage-deflate; server_max_window_bits=9") ==
             "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9");
  BOOST_TEST(answer_to(server, "") == "");
  BOOST_TEST(answer_to(server, "x-other") == "");
  BOOST_TEST(answer_to(server, "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=7, permessage-deflate") ==
             "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
}

BOOST_AUTO_TEST_CASE(dedicated_keeps_what_the_client_allows) {
  running server{echoes, {.compression = {.mode = compression_mode::dedicated}}};
  BOOST_TEST(answer_to(server, "permessage-deflate") == "permessage-deflate");
  BOOST_TEST(answer_to(server, "permessage-deflate; server_no_context_takeover") == "permessage-deflate; server_no_context_takeover");
  BOOST_TEST(answer_to(server, "permessage-deflate; client_no_context_takeover") == "permessage-deflate; client_no_context_takeover");
}

BOOST_AUTO_TEST_CASE(off_negotiates_nothing_and_an_endpoint_may_differ_from_its_server) {
  running server{echoes, {.compression = {.mode = compression_mode::off}}};
  BOOST_TEST(answer_to(server, "permessage-deflate") == "");
  BOOST_TEST(answer_to(server, "permessage-deflate; client_max_window_bits", "/coroutine") ==
             "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10");
  running other{echoes};
  BOOST_TEST(answer_to(other, "permessage-deflate", "/off") == "");
}

BOOST_AUTO_TEST_CASE(a_smaller_window_is_asked_of_the_client_only_if_it_can_be) {
  running server{echoes, {.compression = {.window_bits = 12}}};
  BOOST_TEST(answer_to(server, "permessage-deflate") ==
             "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12");
  BOOST_TEST(answer_to(server, "permessage-deflate; client_max_window_bits=10; server_max_window_bits=14") ==
             "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=10");
}

BOOST_AUTO_TEST_CASE(an_offer_against_the_grammar_fails_the_handshake) {
  running server{echoes};
  wire_client c{server.address()};
  BOOST_TEST(c.upgrade("/echo", "Sec-WebSocket-Extensions: permessage-deflate;;\r\n").starts_with("HTTP/1.1 400"));
}

BOOST_AUTO_TEST_SUITE_END()

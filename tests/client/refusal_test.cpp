// Answers that open no WebSocket, and what the request says: header fields, authorization, subprotocols, the proxy.
#include "raw_server.hpp"
#include "recorder.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

constexpr reconnect_policy at_once{.initial_delay = 1ms, .max_delay = 5ms, .jitter = reconnect_policy::jitter_kind::none};
constexpr reconnect_policy never{.enabled = false};

// The whole story of a client whose server answers like this; policies that would try again must not.
std::string error_of(std::function<void(raw_connection&, int)> serve, client_options options = {}) {
  recorder seen;
  raw_server server{std::move(serve)};
  options.reconnect = at_once;
  client c{server.url(), std::move(options)};
  seen.listen_to(c);
  c.start();
  if (!seen.wait_for("close")) return "it never closed";
  BOOST_TEST(seen.count("error") == 1u);
  BOOST_TEST(seen.count("reconnecting") == 0u);
  return seen.lines().front();
}

auto answering(std::string answer) {
  return [answer](raw_connection& peer, int) {
    (void)peer.read_head();
    peer.write(answer);
    peer.wait_for_end();
  };
}

auto accepting_with(std::string more) {
  return [more](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head(), more);
    peer.wait_for_end();
  };
}

// The head of the request that a client with these options sends to a URL behind "ws://", which may hold userinfo.
std::string request_of(std::string_view userinfo, std::string_view path, client_options options = {}) {
  recorder seen;
  std::string head;
  raw_server server{[&](raw_connection& peer, int) {
    head = peer.read_head();
    peer.accept_upgrade(head);
    peer.wait_for_end();
  }};
  client c{fmt::format("ws://{}127.0.0.1:{}{}", userinfo, server.port(), path), std::move(options)};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("open"));
  return head;
}

} // namespace

BOOST_AUTO_TEST_SUITE(refusal)

BOOST_AUTO_TEST_CASE(garbage_is_not_http) {
  BOOST_TEST(error_of(answering("SSH-2.0-OpenSSH_9.2\r\n\r\n")).starts_with("error bad_handshake"));
  BOOST_TEST(error_of(answering(std::string(100, '\0') + "\r\n\r\n")).starts_with("error bad_handshake"));
}

BOOST_AUTO_TEST_CASE(endless_headers_are_cut_off) {
  const std::string error = error_of([](raw_connection& peer, int) {
    (void)peer.read_head();
    peer.write("HTTP/1.1 101 Switching Protocols\r\n");
    // 2 GB if the client lets it.
    const std::string line = "X-More: " + std::string(1000, 'x') + "\r\n";
    for (int i = 0; i < 2'000; ++i) peer.write(line);
    peer.wait_for_end();
  });
  BOOST_TEST(error.starts_with("error bad_handshake"));
}

BOOST_AUTO_TEST_CASE(one_endless_line_is_cut_off) {
  const std::string error = error_of([](raw_connection& peer, int) {
    (void)peer.read_head();
    peer.write("HTTP/1.1 101 ");
    const std::string text(10'000, 'x');
    for (int i = 0; i < 200; ++i) peer.write(text);
    peer.wait_for_end();
  });
  BOOST_TEST(error.starts_with("error bad_handshake"));
}

BOOST_AUTO_TEST_CASE(a_wrong_accept_key_is_named) {
  BOOST_TEST(error_of(answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"))
                 .find("Sec-WebSocket-Accept does not belong") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_missing_upgrade_header_is_named) {
  BOOST_TEST(error_of(answering("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n")).find("no Upgrade header") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_extension_that_nobody_asked_for_is_refused) {
  BOOST_TEST(error_of(accepting_with("Sec-WebSocket-Extensions: x-unheard-of\r\n")).starts_with("error bad_handshake"));
}

BOOST_AUTO_TEST_CASE(a_subprotocol_that_nobody_asked_for_is_refused) {
  BOOST_TEST(error_of(accepting_with("Sec-WebSocket-Protocol: chat\r\n")).find("subprotocol that was not offered") != std::string::npos);
  BOOST_TEST(error_of(accepting_with("Sec-WebSocket-Protocol: chat\r\n"), {.subprotocols = {"other"}}).find("subprotocol") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(interim_answers_are_skipped) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int) {
    const std::string head = peer.read_head();
    peer.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    peer.accept_upgrade(head);
    peer.wait_for_end();
  }};
  client c{server.url(), {.reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("open"));
}

BOOST_AUTO_TEST_CASE(frames_right_behind_the_answer_are_read) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head(), {}, frame_of(0x81, "first") + frame_of(0x81, "second"));
    peer.wait_for_end();
  }};
  client c{server.url(), {.reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("message second"));
  BOOST_TEST(seen.story() == "open | message first | message second");
}

BOOST_AUTO_TEST_CASE(a_masked_frame_of_a_server_closes_with_1002) {
  recorder seen, got;
  raw_server server{[&](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head());
    peer.write(std::string("\x81\x81\x00\x00\x00\x00x", 7));
    unsigned op = 0;
    const std::string payload = peer.read_frame(op);
    got.add(fmt::format("{} {}", op, payload.size() < 2 ? 0 : static_cast<unsigned char>(payload[0]) * 256 + static_cast<unsigned char>(payload[1])));
    peer.wait_for_end();
  }};
  client c{server.url(), {.reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close 1002 unclean"));
  BOOST_TEST(got.wait_for("8 1002"));
}

BOOST_AUTO_TEST_CASE(a_message_above_the_limit_closes_with_1009) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head());
    peer.write(frame_of(0x81, std::string(101, 'x')));
    peer.wait_for_end();
  }};
  client c{server.url(), {.reconnect = never, .message_bytes_max = 100}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("close 1009"));
}

BOOST_AUTO_TEST_CASE(pings_are_answered_with_their_payload_masked) {
  recorder got;
  raw_server server{[&](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head());
    peer.write(frame_of(0x89, "are you there"));
    unsigned op = 0;
    const std::string payload = peer.read_frame(op);
    got.add(fmt::format("{} {}", op, payload));
    peer.wait_for_end();
  }};
  client c{server.url(), {.reconnect = never}};
  c.start();
  BOOST_TEST(got.wait_for("10 are you there"));
}

BOOST_AUTO_TEST_CASE(every_frame_has_a_masking_key_of_its_own) {
  recorder got;
  raw_server server{[&](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head());
    for (int i = 0; i < 20; ++i) {
      const std::string frame = peer.read(2 + 4 + 1);
      got.add((static_cast<unsigned char>(frame[1]) & 0x80) != 0 ? "masked " + frame.substr(2, 4) : "bare");
    }
    peer.wait_for_end();
  }};
  client c{server.url(), {.reconnect = never}};
  c.start();
  for (int i = 0; i < 20; ++i) c.send_text("x");
  BOOST_REQUIRE(got.wait_for("masked", 20));
  std::vector<std::string> keys = got.lines();
  std::ranges::sort(keys);
  BOOST_TEST((std::ranges::adjacent_find(keys) == keys.end()));
}

BOOST_AUTO_TEST_CASE(the_request_says_what_the_options_say) {
  const std::string head =
      request_of("", "/feed?since=5", {.subprotocols = {"one", "two"}, .headers = {{"X-Token", "abc"}, {"Origin", "https://a.example"}}});
  BOOST_TEST(head.starts_with("GET /feed?since=5 HTTP/1.1\r\n"));
  BOOST_TEST(header_of(head, "Sec-WebSocket-Protocol") == "one, two");
  BOOST_TEST(header_of(head, "X-Token") == "abc");
  BOOST_TEST(header_of(head, "Origin") == "https://a.example");
  BOOST_TEST(header_of(head, "Sec-WebSocket-Version") == "13");
}

BOOST_AUTO_TEST_CASE(basic_auth_comes_from_the_url) {
  BOOST_TEST(header_of(request_of("Aladdin:open%20sesame@", "/"), "Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  BOOST_TEST(header_of(request_of("a:b@", "/", {.headers = {{"authorization", "Bearer x"}}}), "authorization") == "Bearer x");
}

BOOST_AUTO_TEST_CASE(a_proxy_is_asked_with_connect) {
  recorder seen, got;
  raw_server proxy{[&](raw_connection& peer, int) {
    const std::string request = peer.read_head();
    got.add(request.substr(0, request.find("\r\n")));
    got.add(header_of(request, "Proxy-Authorization"));
    peer.write("HTTP/1.1 200 Connection established\r\n\r\n");
    peer.accept_upgrade(peer.read_head());
    peer.write(frame_of(0x81, "through"));
    peer.wait_for_end();
  }};
  client c{"ws://chat.example:8443/room", {.proxy = fmt::format("http://u:p@127.0.0.1:{}", proxy.port()), .reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("message through"));
  BOOST_TEST(got.lines().at(0) == "CONNECT chat.example:8443 HTTP/1.1");
  BOOST_TEST(got.lines().at(1) == "Basic dTpw");
}

BOOST_AUTO_TEST_CASE(a_proxy_that_refuses_is_named) {
  recorder seen;
  raw_server proxy{answering("HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")};
  client c{"ws://chat.example/", {.proxy = fmt::format("http://127.0.0.1:{}", proxy.port()), .reconnect = at_once}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.lines().front() == "error proxy 407 the proxy answered 407 Who are you");
  BOOST_TEST(seen.count("reconnecting") == 0u);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_sent_is_refused_when_the_client_is_made) {
  BOOST_CHECK_THROW((client{"http://example.org/", {}}), std::invalid_argument);
  BOOST_CHECK_THROW((client{"ws://", {}}), std::invalid_argument);
  BOOST_CHECK_THROW((client{"ws://example.org/", {.subprotocols = {"a b"}}}), std::invalid_argument);
  BOOST_CHECK_THROW((client{"ws://example.org/", {.headers = {{"Host", "other"}}}}), std::invalid_argument);
  BOOST_CHECK_THROW((client{"ws://example.org/", {.headers = {{"X", "a\r\nB: c"}}}}), std::invalid_argument);
  BOOST_CHECK_THROW((client{"ws://example.org/", {.proxy = "ftp://example.org"}}), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(another_address_is_tried_when_one_does_not_answer) {
  // "localhost" is ::1 and 127.0.0.1 where there is IPv6; this server listens on the second only.
  recorder seen;
  raw_server server{accepting_with("")};
  client c{fmt::format("ws://localhost:{}/", server.port()), {.reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_TEST(seen.wait_for("open"));
  BOOST_TEST(seen.count("error") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

// The opening handshake in the words of RFC 6455 section 4, for both roles.
#include "proto/handshake.hpp"
#include "verdict.hpp"
#include <ringcast/base64.hpp>

#include <array>
#include <set>
#include <string>
#include <vector>

using namespace ringcast;

namespace {

constexpr std::string_view sample_key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view sample_accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

// The client's handshake of RFC 6455 section 1.3.
constexpr std::string_view sample = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
                                    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                    "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
                                    "Sec-WebSocket-Version: 13\r\n\r\n";

std::string with(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  BOOST_TEST_REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string without(std::string text, std::string_view name) {
  const auto at = text.find("\r\n" + std::string{name} + ":");
  BOOST_TEST_REQUIRE(at != std::string::npos);
  return text.erase(at, text.find("\r\n", at + 2) - at);
}

request_head request_of(const std::string& text) {
  request_head head;
  BOOST_TEST_REQUIRE((test::parse_head(test::keep(text), {}, head).status == head_status::done));
  return head;
}

response_head response_of(const std::string& text) {
  response_head head;
  BOOST_TEST_REQUIRE((test::parse_head(test::keep(text), {}, head).status == head_status::done));
  return head;
}

void expect_refused(std::string_view name, const std::string& text, http_status error) {
  BOOST_TEST_CONTEXT(name) {
    const auto check = check_upgrade(request_of(text));
    BOOST_TEST(!check.ok);
    BOOST_TEST(to_number(check.error) == to_number(error));
    BOOST_TEST(check.why.ends_with('.'));
    BOOST_TEST(check.key.empty());
  }
}

} // namespace

BOOST_AUTO_TEST_SUITE(a_server)

BOOST_AUTO_TEST_CASE(answers_the_sample_of_RFC_6455_section_1_3) {
  const auto accept = accept_key(sample_key);
  BOOST_TEST((std::string_view{accept.data(), accept.size()}) == sample_accept);
  const auto head = request_of(std::string{sample});
  BOOST_TEST(is_websocket_upgrade(head));
  const auto check = check_upgrade(head);
  BOOST_TEST(check.ok);
  BOOST_TEST(check.key == sample_key);
  constexpr std::array<std::string_view, 2> ours{"other", "chat"};
  std::array<char, 512> out;
  const auto size = write_accept_response(out, check.key, choose_subprotocol(head, ours), {});
  BOOST_TEST((std::string_view{out.data(), size}) == "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                                     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
}

BOOST_AUTO_TEST_CASE(accepts_the_tokens_in_any_case_and_company) {
  const std::string text{sample};
  for (const auto& [from, to] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"Upgrade: websocket", "uPGRADE: WebSocket"},
           {"Upgrade: websocket", "Upgrade: h2c, websocket"},
           {"Connection: Upgrade", "Connection: keep-alive, upgrade"},
           {"Connection: Upgrade", "Connection: keep-alive\r\nConnection: UPGRADE"},
           {"Host: server.example.com", "Host: server.example.com\r\nContent-Length: 0"},
       })
    BOOST_TEST(check_upgrade(request_of(with(text, from, to))).ok, to);
}

BOOST_AUTO_TEST_CASE(refuses_what_section_4_2_1_does_not_allow) {
  const std::string text{sample};
  using enum http_status;
  expect_refused("no Upgrade", without(text, "Upgrade"), bad_request);
  expect_refused("another Upgrade", with(text, "Upgrade: websocket", "Upgrade: h2c"), bad_request);
  expect_refused("Upgrade of a later word", with(text, "Upgrade: websocket", "Upgrade: websockets"), bad_request);
  expect_refused("no Connection", without(text, "Connection"), bad_request);
  expect_refused("Connection without Upgrade", with(text, "Connection: Upgrade", "Connection: keep-alive"), bad_request);
  expect_refused("POST", with(text, "GET", "POST"), method_not_allowed);
  expect_refused("a method in lower case", with(text, "GET", "get"), method_not_allowed);
  expect_refused("HTTP/1.0", with(text, "HTTP/1.1", "HTTP/1.0"), bad_request);
  expect_refused("a body", with(text, "Origin:", "Content-Length: 3\r\nOrigin:"), bad_request);
  expect_refused("a chunked body", with(text, "Origin:", "Transfer-Encoding: chunked\r\nOrigin:"), bad_request);
  expect_refused("no version", without(text, "Sec-WebSocket-Version"), upgrade_required);
  for (const std::string_view version : {"8", "0", "14", "013", "13, 8", "", "13x"})
    expect_refused(version, with(text, "Version: 13", "Version: " + std::string{version}), upgrade_required);
  expect_refused("two versions", with(text, "Version: 13", "Version: 13\r\nSec-WebSocket-Version: 8"), bad_request);
  expect_refused("no key", without(text, "Sec-WebSocket-Key"), bad_request);
  expect_refused("two keys", with(text, "Origin:", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin:"), bad_request);
  // 15 and 17 bytes, no padding, one '=' too few, bytes outside the alphabet, an empty one.
  for (const std::string_view key :
       {"dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZWU=", "dGhlIHNhbXBsZSBub25jZQ", "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZQ=A",
        "dGhlIHNhbXBsZSBub25jZ-==", "dGhlIHNhbXBsZSBub25 ZQ==", "", "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ=="})
    expect_refused(key, with(text, sample_key, key), bad_request);
  for (const std::string_view list : {"", ",", "chat chat2", "chat, ch/at", "chat, chat", "\"chat\"", "chat;q=1"})
    expect_refused(list, with(text, "chat, superchat", list), bad_request);
  expect_refused("a subprotocol repeated in a second line", with(text, "superchat\r\n", "superchat\r\nSec-WebSocket-Protocol: chat\r\n"),
                 bad_request);
  expect_refused("malformed extensions", with(text, "Origin:", "Sec-WebSocket-Extensions: a=b\r\nOrigin:"), bad_request);
}

BOOST_AUTO_TEST_CASE(knows_a_request_that_is_none) {
  BOOST_TEST(!is_websocket_upgrade(request_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n")));
  BOOST_TEST(is_websocket_upgrade(request_of("POST / HTTP/1.0\r\nUpgrade: WEBSOCKET\r\n\r\n")));
}

BOOST_AUTO_TEST_CASE(chooses_the_subprotocol_by_its_own_preference) {
  const auto head = request_of(std::string{sample});
  constexpr std::array<std::string_view, 3> ours{"none", "superchat", "chat"};
  BOOST_TEST(choose_subprotocol(head, ours) == "superchat");
  BOOST_TEST(choose_subprotocol(head, ours).data() == ours[1].data());
  BOOST_TEST(choose_subprotocol(head, std::span{ours}.first(1)).empty());
  BOOST_TEST(choose_subprotocol(head, {}).empty());
  constexpr std::array<std::string_view, 1> other_case{"CHAT"};
  BOOST_TEST(choose_subprotocol(head, other_case).empty());
  const auto two_lines = request_of(with(std::string{sample}, ", superchat", "\r\nSec-WebSocket-Protocol:,superchat,"));
  BOOST_TEST(choose_subprotocol(two_lines, ours) == "superchat");
  const auto malformed = request_of(with(std::string{sample}, "chat, superchat", "chat, a b"));
  BOOST_TEST(choose_subprotocol(malformed, ours).empty());
  BOOST_TEST(choose_subprotocol(request_of(without(std::string{sample}, "Sec-WebSocket-Protocol")), ours).empty());
}

BOOST_AUTO_TEST_CASE(bounds_the_number_of_subprotocols) {
  std::string list = "p0";
  for (int i = 1; i < 64; ++i) list += ",p" + std::to_string(i);
  BOOST_TEST(check_upgrade(request_of(with(std::string{sample}, "chat, superchat", list))).ok);
  expect_refused("65", with(std::string{sample}, "chat, superchat", list + ",p64"), http_status::bad_request);
}

BOOST_AUTO_TEST_CASE(writes_a_response_that_fits_or_nothing) {
  std::array<char, 1024> out;
  const std::string extra = "Server: x\r\nSet-Cookie: a=b\r\n";
  const auto size = write_accept_response(out, sample_key, "chat", "permessage-deflate", extra);
  BOOST_TEST(size <= accept_response_bytes_base + 4 + 18 + extra.size());
  test::guarded_memory memory{size};
  const auto place = memory.last(size);
  const std::span<char> exact{reinterpret_cast<char*>(place.data()), size};
  BOOST_TEST(write_accept_response(exact, sample_key, "chat", "permessage-deflate", extra) == size);
  BOOST_TEST((std::string_view{exact.data(), size}.ends_with("\r\n\r\n")));
  for (std::size_t smaller = 0; smaller < size; ++smaller)
    BOOST_TEST(write_accept_response(exact.first(smaller), sample_key, "chat", "permessage-deflate", extra) == 0U);
}

BOOST_AUTO_TEST_CASE(writes_no_response_that_would_break_its_head) {
  std::array<char, 1024> out;
  BOOST_TEST(write_accept_response(out, sample_key, "a b", "") == 0U);
  BOOST_TEST(write_accept_response(out, sample_key, "a\r\nb", "") == 0U);
  BOOST_TEST(write_accept_response(out, sample_key, "", "a\r\nX: y") == 0U);
  for (const std::string_view extra : {"X: y", "X: y\n", "X\r\n", "X: y\r\n\r\n", "X: \x01\r\n", "\r\n", " X: y\r\n", "X: y\r\n z\r\n", "X : y\r\n"})
    BOOST_TEST(write_accept_response(out, sample_key, "", "", extra) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_client)

namespace {

constexpr std::array<std::string_view, 2> offered{"chat", "superchat"};

std::expected<std::string, std::string> written(const upgrade_request& request) {
  std::string out(upgrade_request_bytes_max(request), '\0');
  const auto size = write_upgrade_request(out, request);
  if (!size) return std::unexpected{std::string{size.error()}};
  out.resize(*size);
  return out;
}

upgrade_request plain_request() {
  return {.host = "a.example:81", .target = "/x?y=1", .key = sample_key, .subprotocols = {}, .extensions = {}, .headers = {}};
}

const std::string good_response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

void expect_failure(const std::string& text, handshake_error error) {
  BOOST_TEST_CONTEXT(text) {
    const deflate_offer offer;
    const auto head = response_of(text);
    const auto result = check_upgrade_response(head, sample_key, offered, &offer);
    BOOST_TEST_REQUIRE(!result.has_value());
    BOOST_TEST(int(result.error().error) == int(error));
    BOOST_TEST(result.error().why.ends_with('.'));
  }
}

} // namespace

BOOST_AUTO_TEST_CASE(writes_a_request_that_our_server_accepts) {
  auto request = plain_request();
  const std::array<http_header, 2> extra{http_header{"Authorization", "Basic YTpi"}, http_header{"Origin", "http://a"}};
  const auto offer = write_deflate_offer({});
  request.subprotocols = offered;
  request.extensions = offer.view();
  request.headers = extra;
  const auto text = written(request);
  BOOST_TEST_REQUIRE(text.has_value());
  const auto head = request_of(*text);
  BOOST_TEST(head.head_bytes == text->size());
  BOOST_TEST(check_upgrade(head).ok);
  BOOST_TEST(head.target == "/x?y=1");
  BOOST_TEST(head.host == "a.example:81");
  BOOST_TEST(head.header("Sec-WebSocket-Protocol") == "chat, superchat");
  BOOST_TEST(head.header("Authorization") == "Basic YTpi");
  BOOST_TEST(negotiate_deflate(head, {}).has_value());
  BOOST_TEST(check_upgrade(request_of(written(plain_request()).value())).ok);
}

BOOST_AUTO_TEST_CASE(refuses_to_write_parts_that_would_break_the_head) {
  const auto expect_refusal = [](auto change) {
    auto request = plain_request();
    change(request);
    const auto text = written(request);
    BOOST_TEST(!text.has_value());
    if (!text) BOOST_TEST(text.error().ends_with('.'));
  };
  for (const std::string_view host : {"", "a b", "a\r\nX: y", "a/b", "a@b"}) expect_refusal([&](upgrade_request& r) { r.host = host; });
  for (const std::string_view target : {"", "x", "/a b", "/a\r\n", "/a#b", "/\xc3\xa9"})
    expect_refusal([&](upgrade_request& r) { r.target = target; });
  for (const std::string_view key : {"", "short", "dGhlIHNhbXBsZSBub25j"}) expect_refusal([&](upgrade_request& r) { r.key = key; });
  const std::array<std::string_view, 2> twice{"a", "a"};
  const std::array<std::string_view, 1> no_token{"a,b"};
  const std::array<std::string_view, 1> empty{""};
  expect_refusal([&](upgrade_request& r) { r.subprotocols = twice; });
  expect_refusal([&](upgrade_request& r) { r.subprotocols = no_token; });
  expect_refusal([&](upgrade_request& r) { r.subprotocols = empty; });
  expect_refusal([&](upgrade_request& r) { r.extensions = "a\r\nX: y"; });
  for (const http_header& header :
       {http_header{"X", "a\r\nY: b"}, http_header{"X", "a\nb"}, http_header{"X", std::string_view{"\0", 1}}, http_header{"X Y", "a"},
        http_header{"", "a"}, http_header{"X:", "a"}, http_header{"host", "a"}, http_header{"Connection", "close"}, http_header{"Upgrade", "x"},
        http_header{"sec-websocket-key", "x"}, http_header{"Sec-WebSocket-Version", "8"}, http_header{"Sec-WebSocket-Protocol", "x"},
        http_header{"Sec-WebSocket-Extensions", "x"}, http_header{"Content-Length", "1"}, http_header{"Transfer-Encoding", "chunked"}})
    expect_refusal([&](upgrade_request& r) { r.headers = {&header, 1}; });
  std::array<char, 10> small;
  BOOST_TEST(!write_upgrade_request(small, plain_request()).has_value());
}

BOOST_AUTO_TEST_CASE(makes_its_key_of_16_bytes) {
  std::array<std::byte, 16> random;
  for (std::size_t i = 0; i < 16; ++i) random[i] = static_cast<std::byte>("the sample nonce"[i]);
  const auto key = make_websocket_key(random);
  BOOST_TEST((std::string_view{key.data(), key.size()}) == sample_key);
}

BOOST_AUTO_TEST_CASE(accepts_the_answer_of_section_1_3) {
  const auto text = with(good_response, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
  const auto head = response_of(text);
  const auto result = check_upgrade_response(head, sample_key, offered, nullptr);
  BOOST_TEST_REQUIRE(result.has_value());
  BOOST_TEST(result->subprotocol == "chat");
  BOOST_TEST(result->subprotocol.data() == offered[0].data());
  BOOST_TEST(!result->deflate.has_value());
  const deflate_offer offer;
  const auto other = with(good_response, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
  BOOST_TEST(check_upgrade_response(response_of(other), sample_key, {}, &offer)->deflate.has_value());
  const auto lower = with(with(good_response, "Upgrade: websocket", "upgrade: WebSocket"), "Connection: Upgrade", "connection: x, upgrade");
  BOOST_TEST(check_upgrade_response(response_of(lower), sample_key, {}, nullptr).has_value());
}

BOOST_AUTO_TEST_CASE(fails_for_every_answer_that_section_4_1_does_not_allow) {
  using enum handshake_error;
  expect_failure(with(good_response, "101 Switching Protocols", "200 OK"), wrong_status);
  expect_failure(with(good_response, "101 Switching Protocols", "401 Unauthorized"), wrong_status);
  expect_failure(with(good_response, "101 Switching Protocols", "302 Found"), wrong_status);
  expect_failure(with(good_response, "HTTP/1.1", "HTTP/1.0"), wrong_http_version);
  expect_failure(without(good_response, "Upgrade"), missing_upgrade);
  expect_failure(with(good_response, "Upgrade: websocket", "Upgrade: h2c"), wrong_upgrade);
  expect_failure(with(good_response, "Upgrade: websocket", "Upgrade: websocket, h2c"), wrong_upgrade);
  expect_failure(with(good_response, "Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket"), wrong_upgrade);
  expect_failure(without(good_response, "Connection"), missing_connection);
  expect_failure(with(good_response, "Connection: Upgrade", "Connection: close"), missing_connection);
  expect_failure(without(good_response, "Sec-WebSocket-Accept"), missing_accept);
  expect_failure(with(good_response, "s3pP", "S3pP"), wrong_accept);
  expect_failure(with(good_response, sample_accept, ""), wrong_accept);
  expect_failure(with(good_response, sample_accept, sample_key), wrong_accept);
  expect_failure(with(good_response, "Upgrade: websocket", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nUpgrade: websocket"), wrong_accept);
  const auto plus = [](std::string_view line) { return with(good_response, "\r\n\r\n", "\r\n" + std::string{line} + "\r\n\r\n"); };
  for (const std::string_view name : {"other", "Chat", "chat, superchat", ""})
    expect_failure(plus("Sec-WebSocket-Protocol: " + std::string{name}), wrong_subprotocol);
  expect_failure(plus("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat"), wrong_subprotocol);
  expect_failure(plus("Sec-WebSocket-Extensions: permessage-bar"), wrong_extension);
  expect_failure(plus("Sec-WebSocket-Extensions: permessage-deflate; x"), wrong_extension);
  const auto unrequested = response_of(plus("Sec-WebSocket-Protocol: chat"));
  BOOST_TEST((check_upgrade_response(unrequested, sample_key, {}, nullptr).error().error == wrong_subprotocol));
}

BOOST_AUTO_TEST_SUITE_END()

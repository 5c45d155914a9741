// Request heads in the words of RFC 9112: what is accepted, what is refused, and with which status.
#include "verdict.hpp"

#include <array>

using namespace ringcast;
using ringcast::test::judge;

namespace {

constexpr std::string_view browser_upgrade =
    "GET /chat/lobby?name=ann&self=0 HTTP/1.1\r\nHost: server.example.com:8080\r\nConnection: keep-alive, Upgrade\r\n"
    "Pragma: no-cache\r\nCache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    "Safari/537.36\r\n"
    "Upgrade: websocket\r\nOrigin: http://server.example.com\r\nSec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

std::string get(std::string_view lines, std::string_view target = "/") {
  return "GET " + std::string{target} + " HTTP/1.1\r\nHost: a\r\n" + std::string{lines} + "\r\n";
}

void expect_refused(std::string_view name, std::string_view text, unsigned status) {
  BOOST_TEST_CONTEXT(name) {
    const auto v = judge<request_head>(text);
    BOOST_TEST((v.status == head_status::bad));
    BOOST_TEST(v.error == status);
    BOOST_TEST(v.why.ends_with('.'));
  }
}

request_head parsed(std::string_view text) {
  BOOST_TEST((judge<request_head>(text).status == head_status::done));
  request_head head;
  BOOST_TEST_REQUIRE((test::parse_head(test::keep(text), {}, head).status == head_status::done));
  return head;
}

} // namespace

BOOST_AUTO_TEST_SUITE(a_request_head)

BOOST_AUTO_TEST_CASE(of_a_browser_is_read_completely) {
  const auto head = parsed(browser_upgrade);
  BOOST_TEST(head.method == "GET");
  BOOST_TEST(head.target == "/chat/lobby?name=ann&self=0");
  BOOST_TEST(head.path == "/chat/lobby");
  BOOST_TEST(head.query == "name=ann&self=0");
  BOOST_TEST(head.host == "server.example.com:8080");
  BOOST_TEST(head.minor_version == 1);
  BOOST_TEST(head.header_count == 12U);
  BOOST_TEST(head.head_bytes == browser_upgrade.size());
  BOOST_TEST(!head.content_length.has_value());
  BOOST_TEST(!head.chunked);
  BOOST_TEST(head.keep_alive);
  BOOST_TEST(head.header("sec-websocket-KEY") == "dGhlIHNhbXBsZSBub25jZQ==");
  BOOST_TEST(head.has_token("connection", "upgrade"));
  BOOST_TEST(head.has_token("Connection", "Keep-Alive"));
  BOOST_TEST(!head.has_token("Connection", "Upgrad"));
  BOOST_TEST(!head.find("Cookie").has_value());
}

BOOST_AUTO_TEST_CASE(ends_at_its_empty_line_and_leaves_what_follows) {
  const std::string first = get("");
  const auto v = judge<request_head>(first + "GET /next HTTP/1.1\r\n");
  BOOST_TEST((v.status == head_status::done));
  request_head head;
  const std::string both = first + "\x82\x05 frames";
  BOOST_TEST_REQUIRE((test::parse_head(both, {}, head).status == head_status::done));
  BOOST_TEST(head.head_bytes == first.size());
}

BOOST_AUTO_TEST_CASE(that_is_not_complete_needs_more) {
  for (std::size_t size = 0; size < browser_upgrade.size(); ++size) {
    request_head head;
    BOOST_TEST((test::parse_head(browser_upgrade.substr(0, size), {}, head).status == head_status::need_more));
  }
}

BOOST_AUTO_TEST_CASE(may_follow_one_empty_line_which_is_no_part_of_it) {
  const std::string text = "\r\n" + get("");
  BOOST_TEST(parsed(text).head_bytes == text.size());
  BOOST_TEST(parsed(text).text == get(""));
  BOOST_TEST(parsed(get("")).text == get(""));
  expect_refused("two of them", "\r\n\r\n" + get(""), 400);
  expect_refused("a CR without LF", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

BOOST_AUTO_TEST_CASE(object_may_be_used_again_for_the_next_request) {
  request_head head;
  const std::string post = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n";
  const std::string sized = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
  const std::string plain = get("");
  for (const auto* text : {&post, &sized, &plain}) {
    BOOST_TEST_REQUIRE((test::parse_head(*text, {}, head).status == head_status::done));
    BOOST_TEST(head.chunked == (text == &post));
    BOOST_TEST(head.content_length.has_value() == (text == &sized));
  }
  BOOST_TEST(head.header_count == 1U);
  BOOST_TEST(head.query.empty());
}

BOOST_AUTO_TEST_CASE(field_value_is_without_the_white_space_around_it) {
  const auto head = parsed(get("A:1\r\nB: \t 2 \t\r\nC:\r\nD:  \r\nE: a b\tc\r\nF: \xc3\xa9\r\nG: :\r\n"));
  BOOST_TEST(head.header("a") == "1");
  BOOST_TEST(head.header("b") == "2");
  BOOST_TEST(head.find("c").has_value());
  BOOST_TEST(head.header("c").empty());
  BOOST_TEST(head.header("d").empty());
  BOOST_TEST(head.header("e") == "a b\tc");
  BOOST_TEST(head.header("f") == "\xc3\xa9");
  BOOST_TEST(head.header("g") == ":");
}

BOOST_AUTO_TEST_CASE(field_may_occur_several_times) {
  const auto head = parsed(get("X: 1\r\nx: 2\r\nY: 3\r\nX: 4\r\nConnection: a\r\nConnection: b, ,upgrade\r\n"));
  std::string all;
  head.for_each("x", [&](std::string_view value) { return all += value, true; });
  BOOST_TEST(all == "124");
  BOOST_TEST(head.count("X") == 3U);
  BOOST_TEST(head.header("X") == "1");
  BOOST_TEST(head.has_token("Connection", "Upgrade"));
}

BOOST_AUTO_TEST_CASE(field_name_is_found_whatever_the_case_of_its_letters) {
  // Against the plain loop, over all lengths that the eight-byte steps treat differently, each place and each byte.
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  std::string mismatches;
  for (std::size_t size = 1; size <= 33; ++size) {
    for (std::size_t place = 0; place < size; ++place) {
      for (unsigned pair = 0; pair < 65536; pair += size > 17 ? 33 : 1) {
        std::string a(size, 'Q');
        std::string b(size, 'q');
        a[place] = static_cast<char>(pair >> 8);
        b[place] = static_cast<char>(pair);
        if (equal_ignoring_case(a, b) != (lower(a[place]) == lower(b[place])) && mismatches.size() < 200)
          mismatches += std::to_string(pair) + " at " + std::to_string(place) + " of " + std::to_string(size) + "; ";
      }
    }
  }
  BOOST_TEST(mismatches == "");
  BOOST_TEST(!equal_ignoring_case("ab", "abc"));
  BOOST_TEST(equal_ignoring_case("", ""));
}

BOOST_AUTO_TEST_CASE(names_every_token_byte_and_no_other) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool tchar =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c != 0 && std::string_view{"!#$%&'*+-.^_`|~"}.contains(c));
    // Once among the sixteen bytes that are looked at together, once among the last few.
    for (const std::size_t before : {0U, 1U, 15U, 16U, 20U}) {
      const std::string name = std::string(before, 'a') + c + 'z';
      BOOST_TEST_CONTEXT("byte " << byte << " after " << before) {
        request_head head;
        const std::string text = get(name + ": v\r\n");
        const auto result = test::parse_head(text, {}, head);
        if (c == ':') continue;
        BOOST_TEST((result.status == head_status::done) == tchar);
        if (tchar) BOOST_TEST(head.header(name) == "v");
        BOOST_TEST(is_token(name) == tchar);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(value_has_no_control_character_but_the_tab) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    for (const std::size_t before : {1U, 14U, 15U, 16U, 17U, 33U}) {
      const std::string value = std::string(before, 'v') + static_cast<char>(byte) + "z";
      BOOST_TEST_CONTEXT("byte " << byte << " after " << before) {
        request_head head;
        const auto result = test::parse_head(get("A: " + value + "\r\n"), {}, head);
        BOOST_TEST((result.status == head_status::done) == allowed);
        BOOST_TEST(is_field_value(value) == allowed);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(target_has_visible_ascii_only) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool allowed = byte > 0x20 && byte < 0x7f && byte != '#';
    for (const std::size_t before : {0U, 14U, 15U, 16U, 31U}) {
      const std::string target = "/" + std::string(before, 't') + static_cast<char>(byte) + "z";
      BOOST_TEST_CONTEXT("byte " << byte << " after " << before) {
        request_head head;
        const auto result = test::parse_head(get("", target), {}, head);
        BOOST_TEST((result.status == head_status::done) == allowed);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(target_has_one_of_four_forms) {
  struct row {
    std::string_view method, target, path, query, host;
  };
  constexpr std::array rows{
      row{"GET", "/", "/", "", "a"},
      row{"GET", "/x/y", "/x/y", "", "a"},
      row{"GET", "/?", "/", "", "a"},
      row{"GET", "/x?q=1?2", "/x", "q=1?2", "a"},
      row{"GET", "//x", "//x", "", "a"},
      row{"GET", "http://other:81/x?q", "/x", "q", "other:81"},
      row{"GET", "HTTP://other", "/", "", "other"},
      row{"GET", "ws://other?q=/", "/", "q=/", "other"},
      row{"GET", "https://[::1]:9/", "/", "", "[::1]:9"},
      row{"OPTIONS", "*", "*", "", "a"},
      row{"CONNECT", "other:443", "", "", "other:443"},
  };
  for (const auto& row : rows) {
    BOOST_TEST_CONTEXT(row.method << ' ' << row.target) {
      const std::string text = std::string{row.method} + ' ' + std::string{row.target} + " HTTP/1.1\r\nHost: a\r\n\r\n";
      const auto head = parsed(text);
      BOOST_TEST(head.path == row.path);
      BOOST_TEST(head.query == row.query);
      BOOST_TEST(head.host == row.host);
    }
  }
  for (const std::string_view target : {"*", "x", "x/y", "ftp://a/", "http:///x", "http://", "http://a@b/", "http:/x", "://a/", "http://a b/", "?x"})
    expect_refused(target, get("", target), 400);
  expect_refused("CONNECT to a path", "CONNECT other:443/x HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

BOOST_AUTO_TEST_CASE(request_line_is_method_target_version_with_one_space_each) {
  expect_refused("two words", "GET /\r\n\r\n", 400);
  expect_refused("one word", "GARBAGE\r\n\r\n", 400);
  expect_refused("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
  expect_refused("two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400);
  expect_refused("a tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
  expect_refused("a space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400);
  expect_refused("a space at the start", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
  expect_refused("no method", "/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
  expect_refused("a method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
  expect_refused("a TLS hello", std::string_view{"\x16\x03\x01\x02\x00\x01", 6}, 400);
  BOOST_TEST(parsed("B-R_E!W / HTTP/1.1\r\nHost: a\r\n\r\n").method == "B-R_E!W");
}

// RFC 9112 section 2.3: a message of a higher minor version is processed as if it were of the highest that we know.
BOOST_AUTO_TEST_CASE(of_a_higher_minor_version_is_read_as_HTTP_1_1) {
  BOOST_TEST(parsed("GET / HTTP/1.0\r\n\r\n").minor_version == 0);
  for (const char minor : std::string_view{"123456789"}) {
    const std::string line = std::string{"GET / HTTP/1."} + minor + "\r\n";
    const auto head = parsed(line + "Host: a\r\n\r\n");
    BOOST_TEST(head.minor_version == 1);
    BOOST_TEST(head.keep_alive);
    expect_refused("without Host", line + "\r\n", 400);
    BOOST_TEST(parsed(line + "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n").chunked);
  }
}

BOOST_AUTO_TEST_CASE(of_another_major_version_is_refused_with_505) {
  expect_refused("HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
  expect_refused("HTTP/3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505);
  expect_refused("HTTP/9.1", "GET / HTTP/9.1\r\nHost: a\r\n\r\n", 505);
  expect_refused("HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505);
  for (const std::string_view malformed : {"HTTP/1", "HTTP/1.", "http/1.1", "HTTP/1.11", "HTTP/11.1", "HTTP/+1.1", "HTTP1.1", "XTTP/1.1"})
    expect_refused(malformed, "GET / " + std::string{malformed} + "\r\nHost: a\r\n\r\n", 400);
}

BOOST_AUTO_TEST_CASE(line_ends_with_CRLF_and_nothing_else) {
  expect_refused("LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400);
  expect_refused("LF after a header", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400);
  expect_refused("LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400);
  expect_refused("two LF after a header", "GET / HTTP/1.1\r\nHost: a\n\nB: c\r\n\r\n", 400);
  expect_refused("a control character before LF", get("A: b\x01\n\r\n"), 400);
  expect_refused("bare CR in a value", get("A: b\rc\r\n"), 400);
  expect_refused("CR CR LF", get("A: b\r\r\n"), 400);
  expect_refused("bare CR in a name", get("A\rB: c\r\n"), 400);
  expect_refused("bare CR after the version", "GET / HTTP/1.1\rHost: a\r\n\r\n", 400);
  expect_refused("bare CR for the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\rX\n", 400);
  expect_refused("NUL in a value", get(std::string_view{"A: b\0c\r\n", 8}), 400);
  expect_refused("NUL in a name", get(std::string_view{"A\0: b\r\n", 7}), 400);
}

BOOST_AUTO_TEST_CASE(header_line_is_name_colon_value) {
  expect_refused("no colon", get("NoColon\r\n"), 400);
  expect_refused("no name", get(": value\r\n"), 400);
  expect_refused("a space before the colon", get("Accept : a\r\n"), 400);
  expect_refused("a tab before the colon", get("Accept\t: a\r\n"), 400);
  expect_refused("a space in the name", get("Acc ept: a\r\n"), 400);
  expect_refused("obsolete folding by a space", get("A: b\r\n c\r\n"), 400);
  expect_refused("obsolete folding by a tab", get("A: b\r\n\tc: d\r\n"), 400);
  expect_refused("white space before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400);
  expect_refused("a name outside ASCII", get("\xc3\xa9: a\r\n"), 400);
}

BOOST_AUTO_TEST_CASE(of_HTTP_1_1_has_exactly_one_valid_Host) {
  expect_refused("none", "GET / HTTP/1.1\r\n\r\n", 400);
  expect_refused("none, though the target is absolute", "GET http://a/ HTTP/1.1\r\n\r\n", 400);
  expect_refused("two", get("Host: b\r\n"), 400);
  expect_refused("the same twice", get("hOsT: a\r\n"), 400);
  expect_refused("two in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400);
  for (const std::string_view host : {"a b", "a/b", "a@b", "a?b", "a\\b", "<a>", "\"a\"", "\xc3\xa9"})
    expect_refused(host, "GET / HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n", 400);
  for (const std::string_view host : {"", "a", "a.b:80", "[::1]:80", "127.0.0.1", "a_b"})
    BOOST_TEST(parsed("GET / HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n").host == host);
}

// RFC 9110 section 7.2: Host = uri-host [ ":" port ], in the words of RFC 3986 section 3.2.2 and 3.2.3.
BOOST_AUTO_TEST_CASE(names_a_host_and_a_port_in_their_grammar) {
  const auto with_host = [](std::string_view host) { return "GET / HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n"; };
  for (const std::string_view host : {"a:", "a:0", "a:65535", "a:00080", ":80", "[::]", "[::1]:", "[2001:DB8::8.8.8.8]:1", "[v1.x:y]", "a%20b",
                                      "%7Ea", "a-b.c~d!$&'()*+,;=", "1.2.3.4.5"})
    BOOST_TEST(parsed(with_host(host)).host == host);
  for (const std::string_view host : {"a:b:c",
                                      "a:80:80",
                                      "a::",
                                      "::1",
                                      "1:2:3:4:5:6:7:8",
                                      "a:b",
                                      "a:-1",
                                      "a:+1",
                                      "a:8 0",
                                      "a:65536",
                                      "a:99999999999999999999",
                                      "[::1",
                                      "::1]",
                                      "[]",
                                      "[]:80",
                                      "[::1]x",
                                      "[::1]80",
                                      "[::1]:x",
                                      "[::1]:80:80",
                                      "[[::1]]",
                                      "a[::1]",
                                      "[a]",
                                      "[1.2.3.4]",
                                      "[fe80::1%25eth0]",
                                      "[v.x]",
                                      "[v1.]",
                                      "[v1x]",
                                      "a]",
                                      "a[",
                                      "a%",
                                      "a%2",
                                      "a%2g",
                                      "%zz:80"}) {
    expect_refused(host, with_host(host), 400);
    expect_refused("as an absolute target", get("", "http://" + std::string{host} + "/"), 400);
  }
  // RFC 9110 section 4.2.1: a URI without a host is invalid. RFC 9112 section 3.2.3: so is a tunnel to no port.
  expect_refused("no host in the target", get("", "http://:80/"), 400);
  for (const std::string_view target : {"a", "a:", "a:0", "a:65536", ":443", "a:443:443", "[::1]", "http://a:443/"})
    expect_refused(target, "CONNECT " + std::string{target} + " HTTP/1.1\r\nHost: a\r\n\r\n", 400);
  BOOST_TEST(parsed("CONNECT [::1]:443 HTTP/1.1\r\nHost: a\r\n\r\n").host == "[::1]:443");
}

BOOST_AUTO_TEST_CASE(says_whether_the_connection_stays) {
  struct row {
    std::string_view version, connection;
    bool keep_alive;
  };
  constexpr std::array rows{
      row{"1.1", "", true},  row{"1.1", "close", false},     row{"1.1", "Upgrade, CLOSE", false},    row{"1.1", "closed", true},
      row{"1.0", "", false}, row{"1.0", "Keep-Alive", true}, row{"1.0", "close, keep-alive", false}, row{"1.1", "keep-alive,close", false},
  };
  for (const auto& row : rows) {
    const auto head = parsed("GET / HTTP/" + std::string{row.version} + "\r\nHost: a\r\nConnection: " + std::string{row.connection} + "\r\n\r\n");
    BOOST_TEST(head.keep_alive == row.keep_alive, row.version << ' ' << row.connection);
  }
}

BOOST_AUTO_TEST_SUITE_END()

// Two parties on the way must not be able to disagree about where a request ends (RFC 9112 sections 6.1, 6.3 and 11.2).
BOOST_AUTO_TEST_SUITE(request_smuggling)

BOOST_AUTO_TEST_CASE(is_refused) {
  struct row {
    std::string_view name, lines;
    unsigned status;
  };
  constexpr std::array rows{
      row{"both, length first", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
      row{"both, coding first", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400},
      row{"both, length 0", "Transfer-Encoding: chunked\r\ncontent-length: 0\r\n", 400},
      row{"differing lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", 400},
      row{"the same length twice", "Content-Length: 5\r\nContent-Length: 5\r\n", 400},
      row{"a list of lengths", "Content-Length: 5, 5\r\n", 400},
      row{"a signed length", "Content-Length: +5\r\n", 400},
      row{"a negative length", "Content-Length: -5\r\n", 400},
      row{"a hexadecimal length", "Content-Length: 0x5\r\n", 400},
      row{"a length with white space inside", "Content-Length: 1 2\r\n", 400},
      row{"a length with a fraction", "Content-Length: 5.0\r\n", 400},
      row{"an empty length", "Content-Length: \r\n", 400},
      row{"a length of words", "Content-Length: five\r\n", 400},
      row{"a length of 2^64", "Content-Length: 18446744073709551616\r\n", 400},
      row{"a length that wraps to a small one", "Content-Length: 36893488147419103237\r\n", 400},
      row{"a length that wraps in its last digit", "Content-Length: 18446744073709551617\r\n", 400},
      row{"a length under a name with a space", "Content-Length : 5\r\n", 400},
      row{"a coding under a name with a tab", "Transfer-Encoding\t: chunked\r\n", 400},
      row{"a coding that hides behind a vertical tab",
          "Transfer-Encoding: \x0b"
          "chunked\r\n",
          400},
      row{"a coding folded away", "Transfer-Encoding:\r\n chunked\r\n", 400},
      // RFC 9112 section 6.3: without chunked as the last one nobody knows where the body ends.
      row{"another coding", "Transfer-Encoding: gzip\r\n", 400},
      row{"another coding after chunked", "Transfer-Encoding: chunked, identity\r\n", 400},
      row{"chunked, then identity in another field", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400},
      row{"an almost chunked coding", "Transfer-Encoding: xchunked\r\n", 400},
      row{"a coding with a parameter", "Transfer-Encoding: chunked;a=b\r\n", 400},
      row{"a quoted coding", "Transfer-Encoding: \"chunked\"\r\n", 400},
      row{"chunked in the parameter of another", "Transfer-Encoding: gzip;a=\", chunked\"\r\n", 400},
      row{"an empty coding", "Transfer-Encoding:\r\n", 400},
      row{"an empty coding after chunked", "Transfer-Encoding: chunked,\r\n", 400},
      row{"an empty coding before chunked", "Transfer-Encoding: ,chunked\r\n", 400},
      row{"chunked, then an empty field", "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", 400},
      // Section 6.1: chunked is applied once.
      row{"chunked twice in a list", "Transfer-Encoding: chunked, chunked\r\n", 400},
      row{"chunked twice in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
      row{"chunked twice around another", "Transfer-Encoding: chunked, gzip, chunked\r\n", 400},
      // Section 6.1: the body has an end, but its coding is not understood.
      row{"another coding before chunked", "Transfer-Encoding: gzip, chunked\r\n", 501},
      row{"another coding in the field before", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501},
      row{"two codings before chunked", "Transfer-Encoding: gzip, br,Chunked\r\n", 501},
      row{"an unknown coding and a length", "Content-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n", 400},
      row{"a header after a bare LF", "X: y\nTransfer-Encoding: chunked\r\n", 400},
      row{"a header after a bare CR", "X: y\rTransfer-Encoding: chunked\r\n", 400},
      row{"a header after NUL", std::string_view{"X: y\0\r\nContent-Length: 5\r\n", 26}, 400},
  };
  for (const auto& row : rows) expect_refused(row.name, "POST / HTTP/1.1\r\nHost: a\r\n" + std::string{row.lines} + "\r\nhello", row.status);
  expect_refused("a coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

BOOST_AUTO_TEST_CASE(is_not_seen_where_the_length_has_one_meaning) {
  const auto sized = parsed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0018446744073709551615\r\n\r\n");
  BOOST_TEST(sized.content_length.value() == 18446744073709551615U);
  const auto chunked = parsed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:   Chunked \r\n\r\n");
  BOOST_TEST(chunked.chunked);
  BOOST_TEST(!chunked.content_length.has_value());
}

BOOST_AUTO_TEST_SUITE_END()

// URLs (RFC 6455 section 3, RFC 3986) and percent-encoding.
#include "proto/percent.hpp"
#include "proto/url.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>

using namespace ringcast;

BOOST_AUTO_TEST_SUITE(a_url)

BOOST_AUTO_TEST_CASE(is_taken_apart) {
  struct row {
    std::string_view text, host, target, host_field, authority;
    url_scheme scheme;
    host_kind kind;
    unsigned port;
  };
  using enum url_scheme;
  using enum host_kind;
  constexpr std::array rows{
      row{"ws://example.org", "example.org", "/", "example.org", "example.org:80", ws, name, 80},
      row{"wss://example.org/feed", "example.org", "/feed", "example.org", "example.org:443", wss, name, 443},
      row{"WSS://Example.ORG:443/", "example.org", "/", "example.org", "example.org:443", wss, name, 443},
      row{"ws://example.org:8080/a?b=c&d", "example.org", "/a?b=c&d", "example.org:8080", "example.org:8080", ws, name, 8080},
      row{"ws://example.org?x=/y", "example.org", "/?x=/y", "example.org", "example.org:80", ws, name, 80},
      row{"ws://127.0.0.1:9/", "127.0.0.1", "/", "127.0.0.1:9", "127.0.0.1:9", ws, ipv4, 9},
      row{"ws://[::1]", "::1", "/", "[::1]", "[::1]:80", ws, ipv6, 80},
      row{"wss://[2001:DB8::1]:8443/x", "2001:db8::1", "/x", "[2001:db8::1]:8443", "[2001:db8::1]:8443", wss, ipv6, 8443},
      row{"http://proxy:3128", "proxy", "/", "proxy:3128", "proxy:3128", http, name, 3128},
      row{"https://a/#x", "a", "/", "a", "a:443", https, name, 443},
      row{"ws://a:/", "a", "/", "a", "a:80", ws, name, 80},
      row{"ws://a:65535", "a", "/", "a:65535", "a:65535", ws, name, 65535},
      row{"ws://xn--bcher-kva.example./%20", "xn--bcher-kva.example.", "/%20", "xn--bcher-kva.example.", "xn--bcher-kva.example.:80", ws, name, 80},
  };
  for (const auto& row : rows) {
    BOOST_TEST_CONTEXT(row.text) {
      const auto u = parse_url(row.text);
      BOOST_TEST_REQUIRE(u.has_value());
      BOOST_TEST(u->host == row.host);
      BOOST_TEST(u->target == row.target);
      BOOST_TEST(u->host_field() == row.host_field);
      BOOST_TEST(u->authority() == row.authority);
      BOOST_TEST((u->scheme == row.scheme));
      BOOST_TEST((u->kind == row.kind));
      BOOST_TEST(u->port == row.port);
      BOOST_TEST(!u->has_userinfo);
      BOOST_TEST(u->basic_authorization().empty());
    }
  }
  BOOST_TEST(parse_url("wss://a")->is_tls());
  BOOST_TEST(!parse_url("ws://a")->is_tls());
}

BOOST_AUTO_TEST_CASE(may_carry_user_and_password) {
  // The user and password of RFC 7617 section 2.
  const auto u = parse_url("wss://Aladdin:open%20sesame@example.org:1/x").value();
  BOOST_TEST(u.has_userinfo);
  BOOST_TEST(u.user == "Aladdin");
  BOOST_TEST(u.password == "open sesame");
  BOOST_TEST(u.host_field() == "example.org:1");
  BOOST_TEST(u.basic_authorization() == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  BOOST_TEST(parse_url("ws://user@a")->basic_authorization() == "Basic dXNlcjo=");
  BOOST_TEST(parse_url("ws://a%40b:c%3Ad@[::1]")->user == "a@b");
  BOOST_TEST(parse_url("ws://u:p@ss@a")->password == "p@ss");
  BOOST_TEST(parse_url("ws://@a")->has_userinfo);
  BOOST_TEST(!parse_url("ws://u%3Av:p@a").has_value());
  BOOST_TEST(!parse_url("ws://u%0a:p@a").has_value());
  BOOST_TEST(!parse_url("ws://u:%zz@a").has_value());
}

BOOST_AUTO_TEST_CASE(that_is_wrong_is_refused_with_one_sentence) {
  for (const std::string_view text : {"",
                                      "example.org",
                                      "ftp://a",
                                      "ws:a",
                                      "ws:/a",
                                      "://a",
                                      "ws://",
                                      "ws:///x",
                                      "ws://:80",
                                      "ws://u:p@",
                                      "ws://a:0",
                                      "ws://a:65536",
                                      "ws://a:x",
                                      "ws://a:-1",
                                      "ws://a:123456",
                                      "ws://a#",
                                      "wss://a/b#c",
                                      "ws://a b",
                                      "ws://a/b c",
                                      "ws://a/\r\nX: y",
                                      "ws://a/\xc3\xa9",
                                      "ws://b\xc3\xbc",
                                      "ws://::1",
                                      "ws://[::1",
                                      "ws://[::1]x",
                                      "ws://[1.2.3.4]",
                                      "ws://[fe80::1%25eth0]",
                                      "ws://[]",
                                      "ws://a..b",
                                      "ws://.a",
                                      "ws://1.2.3",
                                      "ws://1.2.3.256",
                                      "ws://256.1.1.1",
                                      "ws://1.2.3.4.5",
                                      "ws://a%41",
                                      "ws://a\\b",
                                      "ws://a,b",
                                      "ws://-%00",
                                      " ws://a"}) {
    BOOST_TEST_CONTEXT(text) {
      const auto u = parse_url(text);
      BOOST_TEST_REQUIRE(!u.has_value());
      BOOST_TEST(u.error().ends_with('.'));
    }
  }
  BOOST_TEST(!parse_url(std::string_view{"ws://a\0b", 8}).has_value());
  BOOST_TEST(!parse_url("ws://" + std::string(254, 'a')).has_value());
  BOOST_TEST(parse_url("ws://" + std::string(253, 'a')).has_value());
}

BOOST_AUTO_TEST_CASE(knows_addresses) {
  for (const std::string_view good : {"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1::8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "::ffff:1.2.3.4",
                                      "1:2:3:4:5:6:1.2.3.4", "FFFF:abcd::0", "64:ff9b::1.2.3.4"})
    BOOST_TEST(is_ipv6_address(good), good);
  for (const std::string_view bad : {"",
                                     ":",
                                     ":::",
                                     "1",
                                     "1:2:3:4:5:6:7",
                                     "1:2:3:4:5:6:7:8:9",
                                     "1::2::3",
                                     "12345::",
                                     "g::",
                                     "1:",
                                     ":1",
                                     "1:2:3:4:5:6:7:8::",
                                     "::1:2:3:4:5:6:7:8",
                                     "1:2:3:4:5:6:7:1.2.3.4",
                                     "::1.2.3",
                                     "1.2.3.4",
                                     "1.2.3.4::",
                                     "::1.2.3.4:5",
                                     "1::2:",
                                     ":::1"})
    BOOST_TEST(!is_ipv6_address(bad), bad);
  for (const std::string_view good : {"0.0.0.0", "255.255.255.255", "1.20.3.100"}) BOOST_TEST(is_ipv4_address(good), good);
  for (const std::string_view bad :
       {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1..3.4", "1.2.3.", ".1.2.3", "1.2.3.4 ", "a.b.c.d", "1.2.3.1000"})
    BOOST_TEST(!is_ipv4_address(bad), bad);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(percent_encoding)

BOOST_AUTO_TEST_CASE(is_undone) {
  BOOST_TEST(percent_decode("").value() == "");
  BOOST_TEST(percent_decode("a%20b%2Fc%2f").value() == "a b/c/");
  BOOST_TEST(percent_decode("%C3%A9+").value() == "\xc3\xa9+");
  BOOST_TEST(percent_decode("a+b%2B", plus_sign::is_space).value() == "a b+");
  BOOST_TEST(percent_decode("%00").value() == std::string_view("\0", 1));
  for (const std::string_view broken : {"%", "a%", "%2", "%2g", "%g2", "% 2", "%%20", "%-1"}) BOOST_TEST(!percent_decode(broken).has_value(), broken);
}

BOOST_AUTO_TEST_CASE(is_done_so_that_it_can_be_undone) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  const std::string encoded = percent_encode(all);
  BOOST_TEST(percent_decode(encoded).value() == all);
  BOOST_TEST(percent_decode(encoded, plus_sign::is_space).value() == all);
  BOOST_TEST(percent_encode("aZ09-._~ /%") == "aZ09-._~%20%2F%25");
}

BOOST_AUTO_TEST_CASE(of_a_query_gives_its_values) {
  const std::string_view query = "name=ann+b%26&self=0&empty=&flag&name=second&%6Be%79=v&bad=%zz&=x";
  BOOST_TEST(query_value(query, "name").value() == "ann b&");
  BOOST_TEST(query_value(query, "self").value() == "0");
  BOOST_TEST(query_value(query, "empty").value() == "");
  BOOST_TEST(query_value(query, "flag").value() == "");
  BOOST_TEST(query_value(query, "key").value() == "v");
  BOOST_TEST(!query_value(query, "Name").has_value());
  BOOST_TEST(!query_value(query, "nam").has_value());
  BOOST_TEST(!query_value(query, "bad").has_value());
  BOOST_TEST(has_query_parameter(query, "bad"));
  BOOST_TEST(!has_query_parameter(query, "worse"));
  BOOST_TEST(query_value(query, "").value() == "x");
  BOOST_TEST(!query_value("", "a").has_value());
  BOOST_TEST(!query_value("", "").has_value());
  BOOST_TEST(!query_value("&&", "").has_value());
  BOOST_TEST(query_value("a=b=c", "a").value() == "b=c");
}

BOOST_AUTO_TEST_SUITE_END()

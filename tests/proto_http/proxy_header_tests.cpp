// The header of the PROXY protocol: both versions, cut everywhere, and everything that is none. Section numbers are those of HAProxy's specification.
#include "proto/proxy_header.hpp"
#include "tests/proto/guard_page.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstring>
#include <ostream>
#include <string>
#include <string_view>

using namespace ringcast;
using namespace ringcast::test;
using namespace std::string_literals;

namespace {

using family = proxy_header::family;

struct verdict {
  proxy_header_status status = proxy_header_status::need_more;
  std::size_t bytes = 0;
  std::string why, address, path;
  family source = family::none;
  std::uint16_t port = 0;

  friend bool operator==(const verdict&, const verdict&) = default;
  friend std::ostream& operator<<(std::ostream& out, const verdict& v) {
    return out << static_cast<int>(v.status) << ' ' << v.bytes << ' ' << v.why << " family " << static_cast<int>(v.source) << ' ' << v.address
               << " port " << v.port << ' ' << v.path;
  }
};

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[c & 15];
  }
  return text;
}

verdict parse(std::string_view text, guarded_memory& memory) {
  proxy_header header;
  const proxy_header_result read = parse_proxy_header(std::as_bytes(std::span{memory.place_last(text)}), header);
  verdict v{.status = read.status, .bytes = read.bytes, .why = std::string{read.why}};
  if (read.status != proxy_header_status::done) return v;
  v.source = header.source;
  v.port = header.port;
  v.path = header.path;
  const std::size_t bytes = header.source == family::ipv4 ? 4 : header.source == family::ipv6 ? 16 : 0;
  v.address = hex({reinterpret_cast<const char*>(header.address.data()), bytes});
  return v;
}

// The verdict on the whole, after having checked that no beginning of it has another one than to wait for more, or the same.
verdict judge(std::string_view text) {
  guarded_memory memory{text.size()};
  const verdict whole = parse(text, memory);
  for (std::size_t size = 0; size < text.size(); ++size) {
    const verdict cut = parse(text.substr(0, size), memory);
    if (whole.status == proxy_header_status::done && size < whole.bytes)
      BOOST_TEST((cut == verdict{}), "cut at " << size << ": " << cut);
    else if (cut.status != proxy_header_status::need_more)
      BOOST_TEST(cut == whole, "cut at " << size << ": " << cut << " instead of " << whole);
  }
  return whole;
}

bool is_bad(std::string_view text) { return judge(text).status == proxy_header_status::bad; }

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string binary(unsigned command, unsigned pair, std::string_view block, std::size_t told) {
  std::string head = signature;
  for (const unsigned each : {0x20 | command, pair, static_cast<unsigned>(told >> 8), static_cast<unsigned>(told & 255)})
    head += static_cast<char>(each);
  return head.append(block);
}
std::string binary(unsigned command, unsigned pair, std::string_view block) { return binary(command, pair, block, block.size()); }

std::string tlv(unsigned type, std::string_view value) {
  std::string made;
  for (const std::size_t each : {std::size_t{type}, value.size() >> 8, value.size() & 255}) made += static_cast<char>(each);
  return made.append(value);
}

const std::string v4 = "\xc0\x00\x02\x01\x7f\x00\x00\x01\xdd\xd5\x01\xbb"s; // 192.0.2.1:56789 to 127.0.0.1:443
const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01"s + std::string(15, '\0') + "\x01\xdd\xd5\x01\xbb"s;
const std::string request = "GET / HTTP/1.1\r\n";

} // namespace

BOOST_AUTO_TEST_SUITE(proxy_headers)

BOOST_AUTO_TEST_CASE(a_line_names_whose_connection_it_is) {
  const std::string line = "PROXY TCP4 192.0.2.1 127.0.0.1 56789 443\r\n";
  const verdict read = judge(line + request);
  BOOST_TEST(
      (read == verdict{.status = proxy_header_status::done, .bytes = line.size(), .address = "c0000201", .source = family::ipv4, .port = 56789}),
      read);
  const auto of_v6 = [](const std::string& address) { return judge("PROXY TCP6 " + address + " ::1 1 65535\r\n").address; };
  BOOST_TEST(of_v6("2001:db8::1") == "20010db8000000000000000000000001");
  BOOST_TEST(of_v6("::") == "00000000000000000000000000000000");
  BOOST_TEST(of_v6("1:2:3:4:5:6:7:8") == "00010002000300040005000600070008");
  BOOST_TEST(of_v6("1::8") == "00010000000000000000000000000008");
  BOOST_TEST(of_v6("fe80::") == "fe800000000000000000000000000000");
  BOOST_TEST(of_v6("::ffff:192.0.2.1") == "00000000000000000000ffffc0000201");
  BOOST_TEST(of_v6("FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff") == std::string(32, 'f'));
}

BOOST_AUTO_TEST_CASE(a_proxy_that_does_not_know_says_nobody) {
  for (const std::string line : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN whatever it likes\r\n", "PROXY UNKNOWN ffff:f ffff 1 2\r\n"}) {
    const verdict read = judge(line + request);
    BOOST_TEST((read == verdict{.status = proxy_header_status::done, .bytes = line.size()}), read);
  }
}

BOOST_AUTO_TEST_CASE(a_line_has_at_most_107_bytes) {
  const auto padded = [](std::size_t bytes) { return "PROXY UNKNOWN " + std::string(bytes - 16, 'x') + "\r\n"; };
  BOOST_TEST(judge(padded(106)).bytes == 106u);
  BOOST_TEST(judge(padded(107)).bytes == 107u);
  BOOST_TEST(is_bad(padded(108)));
  BOOST_TEST((judge(padded(107).substr(0, 106)).status == proxy_header_status::need_more));
  BOOST_TEST(is_bad("PROXY UNKNOWN " + std::string(93, 'x')));
}

BOOST_AUTO_TEST_CASE(what_is_no_line_is_bad) {
  for (const std::string_view fields : {"TCP4 192.0.2.1 127.0.0.1 56789",
                                        "TCP4 192.0.2.1 127.0.0.1 56789 443 ",
                                        "TCP4 192.0.2.1 127.0.0.1 56789 443 1",
                                        "TCP4  192.0.2.1 127.0.0.1 1 2",
                                        "TCP4 192.0.2.1 127.0.0.1 056789 443",
                                        "TCP4 192.0.2.1 127.0.0.1 65536 443",
                                        "TCP4 192.0.2.1 127.0.0.1 1 65536",
                                        "TCP4 192.0.2.1 127.0.0.1 -1 443",
                                        "TCP4 192.0.2.1 127.0.0.1 +1 443",
                                        "TCP4 192.0.2 127.0.0.1 1 2",
                                        "TCP4 192.0.2.256 127.0.0.1 1 2",
                                        "TCP4 192.0.02.1 127.0.0.1 1 2",
                                        "TCP4 192.0.2.1.1 127.0.0.1 1 2",
                                        "TCP4 192.0.2.1 127.0.0 1 2",
                                        "TCP4 ::1 ::1 1 2",
                                        "TCP6 192.0.2.1 ::1 1 2",
                                        "TCP6 ::1 192.0.2.1 1 2",
                                        "TCP6 1:2:3:4:5:6:7 ::1 1 2",
                                        "TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2",
                                        "TCP6 1::2::3 ::1 1 2",
                                        "TCP6 :1 ::1 1 2",
                                        "TCP6 1: ::1 1 2",
                                        "TCP6 ::: ::1 1 2",
                                        "TCP6 12345::1 ::1 1 2",
                                        "TCP6 ::g ::1 1 2",
                                        "TCP6 1:2:3:4:5:6:7::8 ::1 1 2",
                                        "TCP6 ::1.2.3 ::1 1 2",
                                        "TCP6 1:2:3:4:5:6:7:1.2.3.4 ::1 1 2",
                                        "TCP6 [::1] ::1 1 2",
                                        "TCP6 ::1%lo ::1 1 2",
                                        "UDP4 192.0.2.1 127.0.0.1 1 2",
                                        "tcp4 192.0.2.1 127.0.0.1 1 2",
                                        "UNKNOWNS",
                                        ""})
    BOOST_TEST(is_bad("PROXY " + std::string{fields} + "\r\n"), fields);
  for (const std::string_view text : {"proxy TCP4 ", "PROXY\tTCP4", "GET / HTTP/1.1", "\x16\x03\x01", "P\r", "\r\nGET"}) BOOST_TEST(is_bad(text));
  // A line end is both of its bytes.
  BOOST_TEST(is_bad("PROXY TCP4 192.0.2.1 127.0.0.1 1 2\n" + std::string(80, 'x')));
}

BOOST_AUTO_TEST_CASE(a_binary_header_names_whose_connection_it_is) {
  const verdict read = judge(binary(1, 0x11, v4) + request);
  BOOST_TEST((read == verdict{.status = proxy_header_status::done, .bytes = 28, .address = "c0000201", .source = family::ipv4, .port = 56789}), read);
  const verdict wide = judge(binary(1, 0x21, v6) + request);
  BOOST_TEST(
      (wide ==
       verdict{
           .status = proxy_header_status::done, .bytes = 52, .address = "20010db8000000000000000000000001", .source = family::ipv6, .port = 56789}),
      wide);
  const auto of_unix = [](const std::string& path) { return judge(binary(1, 0x31, path + std::string(216 - path.size(), '\0'))).path; };
  BOOST_TEST(of_unix("/run/a") == "/run/a");
  BOOST_TEST(of_unix("\0name"s) == "\0name"s);
  BOOST_TEST(of_unix("") == "");
  BOOST_TEST(of_unix(std::string(108, 'x')) == std::string(108, 'x'));
}

BOOST_AUTO_TEST_CASE(a_proxy_that_asks_for_itself_names_nobody_and_its_block_is_skipped) {
  for (const std::string& header : {binary(0, 0x00, ""), binary(0, 0x11, v4), binary(0, 0xff, "anything"), binary(1, 0x00, ""),
                                    binary(1, 0x00, tlv(4, "x")), binary(1, 0x12, v4), binary(1, 0x22, v6)}) {
    const verdict read = judge(header + request);
    BOOST_TEST((read == verdict{.status = proxy_header_status::done, .bytes = header.size()}), read);
  }
}

BOOST_AUTO_TEST_CASE(type_length_values_are_skipped_and_have_to_fit) {
  BOOST_TEST(judge(binary(1, 0x11, v4 + tlv(1, "h2") + tlv(2, "example.org") + tlv(0xee, std::string(300, 'x')) + tlv(4, ""))).address == "c0000201");
  for (const std::string& values : {"\x04"s, "\x04\x00"s, "\x04\x00\x01"s, tlv(1, "h2") + "\x04\x00\x02x"s, "\x04\xff\xff"s})
    BOOST_TEST(is_bad(binary(1, 0x11, v4 + values)));
}

BOOST_AUTO_TEST_CASE(a_checksum_has_to_be_right) {
  // RFC 9260, appendix A, of the header with four zeros in its place.
  const std::string right = "\x03\x00\x04\xf4\xf3\x39\x1f"s;
  BOOST_TEST(judge(binary(1, 0x11, v4 + right)).address == "c0000201", judge(binary(1, 0x11, v4 + right)));
  for (std::size_t at = 3; at < right.size(); ++at) {
    std::string wrong = right;
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    BOOST_TEST(is_bad(binary(1, 0x11, v4 + wrong)));
  }
  BOOST_TEST(is_bad(binary(1, 0x11, v4 + tlv(3, "abc"))));
  BOOST_TEST(is_bad(binary(1, 0x11, v4 + tlv(3, "abcde"))));
}

BOOST_AUTO_TEST_CASE(a_binary_header_has_at_most_4_KiB) {
  const auto sized = [](std::size_t bytes) { return binary(1, 0x11, v4 + tlv(4, std::string(bytes - 31, 'x'))); };
  for (const std::size_t bytes : {proxy_header_bytes_max - 1, proxy_header_bytes_max}) {
    guarded_memory memory{bytes};
    BOOST_TEST(parse(sized(bytes), memory).bytes == bytes);
  }
  BOOST_TEST(is_bad(sized(proxy_header_bytes_max + 1).substr(0, 40)));
  BOOST_TEST(is_bad(binary(0, 0x00, "", 65'535)));
}

BOOST_AUTO_TEST_CASE(what_is_no_binary_header_is_bad) {
  for (const unsigned command : {2u, 3u, 15u}) BOOST_TEST(is_bad(binary(command, 0x11, v4)));
  std::string version_1 = binary(1, 0x11, v4);
  version_1[12] = '\x11';
  BOOST_TEST(is_bad(version_1));
  for (const unsigned pair : {0x01u, 0x02u, 0x10u, 0x13u, 0x20u, 0x30u, 0x41u, 0xffu}) BOOST_TEST(is_bad(binary(1, pair, std::string(216, 'x'))));
  for (const unsigned pair : {0x11u, 0x12u, 0x21u, 0x22u, 0x31u, 0x32u}) {
    const std::size_t needed = pair < 0x20 ? 12 : pair < 0x30 ? 36 : 216;
    BOOST_TEST(is_bad(binary(1, pair, std::string(needed - 1, 'x'))));
  }
  for (std::size_t at = 0; at < signature.size(); ++at) {
    std::string wrong = binary(1, 0x11, v4);
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    BOOST_TEST(is_bad(wrong), at);
  }
}

BOOST_AUTO_TEST_SUITE_END()

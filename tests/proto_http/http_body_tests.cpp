// The chunked coding (RFC 9112 section 7.1), whole, byte by byte, split at each place, each piece before a guard page.
#include "proto/http_body.hpp"
#include "tests/proto/guard_page.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>

using namespace ringcast;

namespace {

struct outcome {
  chunked_status status = chunked_status::need_more;
  unsigned error = 0;
  std::string why;
  std::string content;
  std::size_t consumed = 0;

  friend bool operator==(const outcome&, const outcome&) = default;
  friend std::ostream& operator<<(std::ostream& out, const outcome& o) {
    return out << int(o.status) << ' ' << o.error << ' ' << o.why << " content '" << o.content << "' consumed " << o.consumed;
  }
};

outcome decode_in_pieces(std::string_view text, const chunked_limits& limits, std::size_t first, std::size_t step, test::guarded_memory& memory) {
  chunked_decoder decoder{limits};
  outcome o;
  std::size_t size = first;
  while (o.status == chunked_status::need_more) {
    const auto piece = memory.place_last(std::as_bytes(std::span{text.substr(0, size)}));
    text.remove_prefix(piece.size());
    const auto result = decoder.decode(piece);
    BOOST_TEST_REQUIRE(result.consumed <= piece.size());
    BOOST_TEST_REQUIRE(result.produced <= result.consumed);
    if (result.status == chunked_status::need_more) BOOST_TEST(result.consumed == piece.size());
    o.content.append(reinterpret_cast<const char*>(piece.data()), result.produced);
    o.consumed += result.consumed;
    o.status = result.status;
    o.error = to_number(result.error);
    o.why = result.why;
    if (text.empty()) break;
    size = step;
  }
  BOOST_TEST(decoder.body_bytes() == o.content.size());
  return o;
}

outcome decode(std::string_view text, const chunked_limits& limits = {}) {
  test::guarded_memory memory{text.size()};
  const outcome whole = decode_in_pieces(text, limits, text.size(), 1, memory);
  BOOST_TEST(decode_in_pieces(text, limits, 1, 1, memory) == whole);
  for (std::size_t split = 0; split < text.size() && text.size() < 2000; ++split) BOOST_TEST_CONTEXT("split at " << split)
  BOOST_TEST(decode_in_pieces(text, limits, split, text.size(), memory) == whole);
  return whole;
}

void expect_content(std::string_view text, std::string_view content) {
  BOOST_TEST_CONTEXT(text) {
    const auto o = decode(text);
    BOOST_TEST((o.status == chunked_status::done));
    BOOST_TEST(o.content == content);
    BOOST_TEST(o.consumed == text.size());
    // What follows is the next request and is left alone.
    const auto with_next = decode(std::string{text} + "GET / HTTP/1.1\r\n");
    BOOST_TEST(with_next.content == content);
    BOOST_TEST(with_next.consumed == text.size());
    for (std::size_t size = 0; size < text.size(); ++size) BOOST_TEST((decode(text.substr(0, size)).status == chunked_status::need_more));
  }
}

void expect_refused(std::string_view text, unsigned error, const chunked_limits& limits = {}) {
  BOOST_TEST_CONTEXT(text.substr(0, 60)) {
    const auto o = decode(text, limits);
    BOOST_TEST((o.status == chunked_status::bad));
    BOOST_TEST(o.error == error);
    BOOST_TEST(o.why.ends_with('.'));
  }
}

} // namespace

BOOST_AUTO_TEST_SUITE(a_chunked_body)

BOOST_AUTO_TEST_CASE(is_its_chunks_without_what_stands_between_them) {
  expect_content("0\r\n\r\n", "");
  expect_content("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world");
  expect_content("00005\r\nhello\r\n000\r\n\r\n", "hello");
  expect_content("a\r\n0123456789\r\nD\r\n0\r\n\r\n4\r\n56789\r\n0\r\n\r\n", std::string_view{"01234567890\r\n\r\n4\r\n56789"});
  expect_content("1\r\nx\r\n0\r\nX-Trailer: y\r\nZ: \t\r\nEmpty:\r\n\r\n", "x");
}

// RFC 9112 section 7.1.1: *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
BOOST_AUTO_TEST_CASE(may_have_chunk_extensions_which_are_skipped) {
  for (const std::string_view extensions : {";note=x", ";last", ";a;b;c", ";a=b;c=d", " ; a=\"b;c\"", "\t;\ta\t=\tb", ";a=\"\"", ";a=\"\\\"\\\\\"",
                                            ";a=\" \t!#[]~\xc3\xa9\"", ";a=\"b\" ;c", ";a ;b", ";!#$%&'*+-.^_`|~=z"}) {
    const std::string line{extensions};
    expect_content("1" + line + "\r\n,\r\n0" + line + "\r\n\r\n", ",");
  }
}

BOOST_AUTO_TEST_CASE(whose_chunk_extensions_are_malformed_is_refused) {
  for (const std::string_view extensions :
       {" ",      "\t",     "  ",        ";",         "; ",       ";;a",           ";a;",         ";a; ",      ";a ",
        ";a=",    ";a= ",   ";=b",       ";a=b ",     ";a=b c",   ";a b",          ";a==b",       ";a=b=c",    ";a,b",
        ";a=\"",  ";a=\"b", ";a=\"b\"c", ";a=\"b\" ", ";a=\"b\\", ";a=\"\\\x01\"", ";a=\"\x7f\"", ";\xc3\xa9", ";a=\xc3\xa9",
        ";\"a\"", ";a=(b)", " a",        "=b",        ",",        ";a=\"b\x01\""})
    expect_refused("1" + std::string{extensions} + "\r\nx\r\n", 400);
}

// RFC 9112 section 7.1.2: *( field-line CRLF )
BOOST_AUTO_TEST_CASE(whose_trailer_is_no_field_line_is_refused) {
  for (const std::string_view trailer : {"A", "A b", "A : b", "A\t: b", "A b: c", ": b", " A: b", "\tA: b", "A;b", "(A): b", "A: b\r\n c",
                                         "A: b\r\nC", "\xc3\xa9: b", "A\x01: b", "A: \x01", "A: b\x7f"})
    expect_refused("1\r\nx\r\n0\r\n" + std::string{trailer} + "\r\n\r\n", 400);
}

BOOST_AUTO_TEST_CASE(that_is_malformed_is_refused) {
  for (const std::string_view text :
       {"zz\r\n",   "\r\n",     ";a\r\n",          " 1\r\nx\r\n",      "-1\r\n",         "+1\r\nx\r\n",  "0x1\r\nx\r\n",    "1 1\r\nx\r\n",
        "1\nx\r\n", "1\rx\r\n", "1\r\r\n",         "1;a\nb\r\n",       "1;a\x01\r\n",    "1\r\nxx\r\n",  "1\r\nx\n",        "1\r\nx\rx",
        "0\r\n\rx", "0\r\n\n",  "0\r\nA: b\n\r\n", "0\r\nA: b\rc\r\n", "0\r\n A: b\r\n", "0\r\n: b\r\n", "0\r\nA: \x02\r\n"})
    expect_refused(text, 400);
  expect_refused(std::string_view{"0\r\nA: \0\r\n", 10}, 400);
  expect_refused("10000000000000000\r\n", 413);
  expect_refused("fffffffffffffffff\r\n", 413);
  expect_refused("ffffffffffffffff\r\n", 413);
}

BOOST_AUTO_TEST_CASE(is_bounded) {
  // The body: limit - 1, limit, limit + 1, in one chunk and in many.
  const chunked_limits small{.body_bytes_max = 10};
  BOOST_TEST((decode("9\r\n123456789\r\n0\r\n\r\n", small).status == chunked_status::done));
  BOOST_TEST((decode("a\r\n0123456789\r\n0\r\n\r\n", small).status == chunked_status::done));
  expect_refused("b\r\n", 413, small);
  std::string ones;
  for (int i = 0; i < 10; ++i) ones += "1\r\nx\r\n";
  BOOST_TEST((decode(ones + "0\r\n\r\n", small).status == chunked_status::done));
  expect_refused(ones + "1\r\n", 413, small);
  expect_refused(ones + "ffffffffffffffff\r\n", 413, small);
  BOOST_TEST((decode("0\r\n\r\n", {.body_bytes_max = 0}).status == chunked_status::done));

  // The chunk-size line with its CRLF.
  const chunked_limits line{.line_bytes_max = 40};
  BOOST_TEST((decode("1;" + std::string(36, 'e') + "\r\nx\r\n0\r\n\r\n", line).status == chunked_status::done));
  expect_refused("1;" + std::string(37, 'e') + "\r\nx\r\n0\r\n\r\n", 400, line);
  expect_refused(std::string(41, '0'), 400, line);

  // The trailers with the last empty line.
  const chunked_limits trailer{.trailer_bytes_max = 40};
  BOOST_TEST((decode("0\r\nA: " + std::string(33, 't') + "\r\n\r\n", trailer).status == chunked_status::done) == true);
  expect_refused("0\r\nA: " + std::string(34, 't') + "\r\n\r\n", 431, trailer);

  // Long extensions on tiny chunks, all together.
  const chunked_limits overhead{.overhead_bytes_max = 100};
  std::string chunks;
  for (int i = 0; i < 10; ++i) chunks += "1;" + std::string(22, 'e') + "\r\nx\r\n";
  BOOST_TEST((decode(chunks + "0\r\n\r\n", overhead).status == chunked_status::done));
  expect_refused(chunks + "1;" + std::string(13, 'e') + "\r\n", 400, overhead);
}

BOOST_AUTO_TEST_CASE(is_over_once) {
  chunked_decoder decoder;
  std::array<std::byte, 5> last{std::byte{'0'}, std::byte{'\r'}, std::byte{'\n'}, std::byte{'\r'}, std::byte{'\n'}};
  BOOST_TEST((decoder.decode(last).status == chunked_status::done));
  BOOST_TEST((decoder.decode(last).status == chunked_status::bad));
}

BOOST_AUTO_TEST_SUITE_END()

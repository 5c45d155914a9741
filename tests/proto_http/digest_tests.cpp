// SHA-1 against the vectors of RFC 3174 and FIPS 180, its two kernels against each other, and base64 against RFC 4648.
#include "proto/sha1.hpp"
#include "tests/proto/guard_page.hpp"
#include <ringcast/base64.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>
#include <utility>

using namespace ringcast;

namespace {

std::string hex(const sha1_digest& digest) {
  std::string out;
  for (const std::byte b : digest) {
    out += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    out += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

std::string encoded(std::string_view text) {
  std::string out(base64_encoded_bytes(text.size()), '?');
  BOOST_TEST(base64_encode(std::as_bytes(std::span{text}), out.data()) == out.size());
  return out;
}

std::optional<std::string> decoded(std::string_view text, std::size_t room = 100) {
  std::string out(room, '?');
  const auto size = base64_decode(text, std::as_writable_bytes(std::span{out}));
  if (!size) return std::nullopt;
  out.resize(*size);
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(sha_1)

BOOST_AUTO_TEST_CASE(has_the_digests_of_its_standards) {
  std::string repeated; // the fourth test of RFC 3174 section 7.3
  for (int i = 0; i < 80; ++i) repeated += "01234567";
  const std::array<std::pair<std::string, std::string_view>, 5> vectors{{
      {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
      {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
      {std::string(1'000'000, 'a'), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
      {repeated, "dea356a2cddd90c7a7ecedc5ebb563934f460452"},
  }};
  for (const auto& [text, digest] : vectors) {
    BOOST_TEST(hex(sha1(std::as_bytes(std::span{text}))) == digest);
    BOOST_TEST(hex(sha1_scalar(std::as_bytes(std::span{text}))) == digest);
  }
}

BOOST_AUTO_TEST_CASE(is_the_same_from_both_kernels_at_every_length_and_alignment) {
  test::guarded_memory memory{512};
  std::string text;
  for (int i = 0; i < 320; ++i) text.push_back(static_cast<char>(i * 37 + 11));
  for (std::size_t size = 0; size <= 256; ++size) {
    for (std::size_t start = 0; start < 64; ++start) {
      const auto input = memory.place_last(std::string_view{text}.substr(start, size));
      BOOST_TEST((sha1(std::as_bytes(std::span{input})) == sha1_scalar(std::as_bytes(std::span{input}))));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(base64)

BOOST_AUTO_TEST_CASE(has_the_vectors_of_RFC_4648_section_10) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> vectors{{
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  }};
  for (const auto& [plain, text] : vectors) {
    BOOST_TEST(encoded(plain) == text);
    BOOST_TEST(decoded(text).value() == plain);
  }
}

BOOST_AUTO_TEST_CASE(goes_there_and_back_for_every_byte) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  BOOST_TEST(decoded(encoded(all), 256).value() == all);
}

BOOST_AUTO_TEST_CASE(refuses_what_is_not_base64) {
  for (const std::string_view text :
       {"Zg", "Zg=", "Z", "=", "====", "Z===", "Zg==Zg==", "Zm9v=", "Zm=v", "Zm9-", "Zm9_", "Zm 9", "Zm9v\n", "Z\xff=="})
    BOOST_TEST(!decoded(text).has_value(), text);
  BOOST_TEST(!decoded("Zm9v", 2).has_value());
  BOOST_TEST(decoded("Zm9v", 3).value() == "foo");
  BOOST_TEST(decoded("Zm8=", 2).value() == "fo");
}

BOOST_AUTO_TEST_SUITE_END()

// RFC 3629 and RFC 6455 8.1: each kernel and the validator of pieces against a decoder that counts code points.
#include "proto/utf8.hpp"
#include "proto/utf8_kernels.hpp"
#include "tests/proto/guard_page.hpp"
#include "tests/proto/wire.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>

using namespace ringcast;
using namespace ringcast::test;

BOOST_AUTO_TEST_SUITE(utf8)

namespace {

/// The oracle: decodes to code points and judges the numbers, where the code under test judges bytes.
bool decodes(std::span<const std::byte> text) {
  const auto at = [text](std::size_t i) { return std::to_integer<std::uint32_t>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const std::uint32_t lead = at(i++);
    if (lead < 0x80) continue;
    std::size_t missing = 0;
    while (missing < 6 && ((lead << (missing + 1)) & 0x80) != 0) ++missing;
    if (missing < 1 || missing > 3) return false;
    std::uint32_t code_point = lead & (0x3FU >> missing);
    for (std::size_t n = 0; n < missing; ++n) {
      if (i == text.size() || (at(i) & 0xC0) != 0x80) return false;
      code_point = code_point << 6 | (at(i++) & 0x3F);
    }
    const std::uint32_t smallest = missing == 1 ? 0x80 : missing == 2 ? 0x800 : 0x10000;
    if (code_point < smallest || code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) return false;
  }
  return true;
}

/// Whether some continuation makes the text valid: tried out.
bool can_still_become_valid(const bytes& text) {
  if (decodes(text)) return true;
  for (const unsigned first : {0x80U, 0x90U, 0xA0U}) {
    bytes longer = text;
    for (const unsigned next : {first, 0x80U, 0x80U}) {
      longer.push_back(static_cast<std::byte>(next));
      if (decodes(longer)) return true;
    }
  }
  return false;
}

void append(bytes& text, std::uint32_t code_point) {
  const auto put = [&text](std::uint32_t value) { text.push_back(static_cast<std::byte>(value)); };
  const auto put_rest = [&put, code_point](int shift) {
    for (; shift >= 0; shift -= 6) put(0x80 | ((code_point >> shift) & 0x3F));
  };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put_rest(0);
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put_rest(6);
  } else {
    put(0xF0 | code_point >> 18);
    put_rest(12);
  }
}

/// All bytes at which a rule of RFC 3629 begins or ends.
constexpr unsigned telling_bytes[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
                                      0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF};

std::string hex(std::span<const std::byte> text) {
  std::string out;
  for (const std::byte octet : text) {
    out += "0123456789ABCDEF"[std::to_integer<unsigned>(octet) >> 4];
    out += "0123456789ABCDEF"[std::to_integer<unsigned>(octet) & 0xF];
    out += ' ';
  }
  return out;
}

void expect_kernels(std::span<const std::byte> text, bool expected) {
  for (const utf8_kernel& kernel : utf8_kernels()) {
    if (kernel.supported && kernel.run(text.data(), text.size()) != expected) {
      BOOST_ERROR(kernel.name << " finds " << (expected ? "invalid: " : "valid: ") << hex(text));
    }
  }
  if (is_valid_utf8(text) != expected) BOOST_ERROR("is_valid_utf8 is wrong about " << hex(text));
}

/// Valid text with characters of all lengths.
bytes mixed_text(std::size_t size, std::uint32_t seed) {
  bytes text;
  for (const std::byte octet : noise(size, seed)) {
    const auto value = std::to_integer<std::uint32_t>(octet);
    const std::uint32_t by_length[] = {value & 0x7F, 0x80 + value, 0x800 + value * 200, 0x10000 + value * 4000};
    append(text, by_length[value % 5 < 4 ? value % 5 : 0]);
  }
  while (text.size() > size) {
    do text.pop_back();
    while (!decodes(text));
  }
  while (text.size() < size) text.push_back(std::byte{'.'});
  return text;
}

} // namespace

BOOST_AUTO_TEST_CASE(every_text_of_up_to_three_bytes) {
  std::byte text[3];
  expect_kernels({text, std::size_t{0}}, true);
  for (unsigned a = 0; a < 256; ++a) {
    text[0] = static_cast<std::byte>(a);
    expect_kernels({text, 1}, decodes({text, 1}));
    for (unsigned b = 0; b < 256; ++b) {
      text[1] = static_cast<std::byte>(b);
      expect_kernels({text, 2}, decodes({text, 2}));
      for (unsigned c = 0; c < 256; c += a < 0xC0 || a >= 0xF0 ? 16 : 1) {
        text[2] = static_cast<std::byte>(c);
        expect_kernels({text, 3}, decodes({text, 3}));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(overlong_surrogate_and_too_large_sequences_of_four_bytes_anywhere_in_long_ascii) {
  bytes text(150, std::byte{'a'});
  for (const std::size_t place : {0U, 13U, 14U, 29U, 30U, 31U, 60U, 61U, 62U, 63U, 126U, 146U}) {
    for (const unsigned a : telling_bytes) {
      for (const unsigned b : telling_bytes) {
        for (const unsigned c : telling_bytes) {
          for (const unsigned d : telling_bytes) {
            const unsigned sequence[] = {a, b, c, d};
            for (std::size_t i = 0; i < 4; ++i) text[place + i] = static_cast<std::byte>(sequence[i]);
            // The letters around it are neutral, so the oracle needs to see the four bytes only.
            expect_kernels(text, decodes(std::span(text).subspan(place, 4)));
          }
        }
      }
    }
    std::ranges::fill(text, std::byte{'a'});
  }
}

BOOST_AUTO_TEST_CASE(every_code_point_is_valid_and_every_surrogate_is_not) {
  bytes all;
  for (std::uint32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    if (code_point < 0xD800 || code_point > 0xDFFF) append(all, code_point);
  }
  expect_kernels(all, true);
  for (std::uint32_t surrogate = 0xD800; surrogate <= 0xDFFF; ++surrogate) {
    bytes text;
    append(text, surrogate);
    expect_kernels(text, false);
  }
  for (const std::size_t piece : {1U, 2U, 3U, 5U, 7U, 63U, 64U, 65U, 4096U, 65'537U}) {
    utf8_validator validator;
    bool valid = true;
    for (std::size_t at = 0; at < all.size(); at += piece) {
      valid = valid && validator.feed(std::span(all).subspan(at, std::min(piece, all.size() - at)));
    }
    BOOST_TEST((valid && validator.is_complete()));
  }
}

BOOST_AUTO_TEST_CASE(every_kernel_agrees_with_the_oracle_at_every_length_and_alignment) {
  guarded_memory memory(4096);
  for (std::size_t length = 0; length <= 256; ++length) {
    for (std::size_t alignment = 0; alignment < 64; ++alignment) {
      const auto seed = static_cast<std::uint32_t>(length * 64 + alignment);
      bytes text = mixed_text(length, seed);
      // Good, with one byte changed to a telling one, and cut off: at the end of memory, and at this alignment.
      const auto compare = [&] {
        const bool expected = decodes(text);
        const std::span<std::byte> inside = memory.first(alignment + text.size()).subspan(alignment);
        std::ranges::copy(text, inside.begin());
        expect_kernels(inside, expected);
        expect_kernels(memory.place_last(text), expected);
      };
      compare();
      if (length == 0) continue;
      const std::size_t place = seed * 7919U % length;
      const std::byte kept = text[place];
      text[place] = static_cast<std::byte>(telling_bytes[seed % std::size(telling_bytes)]);
      compare();
      text[place] = kept;
      text.pop_back();
      compare();
    }
  }
}

BOOST_AUTO_TEST_CASE(a_character_cut_off_at_the_end_is_invalid_whatever_the_length) {
  guarded_memory memory(4096);
  for (std::size_t ahead = 0; ahead <= 260; ++ahead) {
    for (const std::string_view cut : {"\xC3", "\xE2", "\xE2\x82", "\xF0", "\xF0\x9F", "\xF0\x9F\x98"}) {
      const bytes text = bytes(ahead, std::byte{'a'}) + to_bytes(cut);
      expect_kernels(memory.place_last(text), false);
      utf8_validator validator;
      BOOST_TEST_REQUIRE(validator.feed(text)); // It could go on.
      BOOST_TEST_REQUIRE(!validator.is_complete());
    }
  }
}

BOOST_AUTO_TEST_CASE(text_in_pieces_is_refused_at_the_first_byte_that_cannot_be_mended) {
  const auto check = [](const bytes& text) {
    for (std::size_t first = 0; first <= text.size(); ++first) {
      for (std::size_t second = first; second <= text.size(); ++second) {
        utf8_validator validator;
        std::size_t fed = 0;
        for (const std::size_t end : {first, second, text.size()}) {
          const bool accepted = validator.feed(std::span(text).subspan(fed, end - fed));
          fed = end;
          const bytes so_far(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(fed));
          if (accepted != can_still_become_valid(so_far)) BOOST_ERROR("fed up to " << fed << ": " << hex(text));
          if (validator.is_complete() != decodes(so_far)) BOOST_ERROR("complete at " << fed << ": " << hex(text));
        }
      }
    }
  };
  for (const unsigned a : telling_bytes) {
    for (const unsigned b : telling_bytes) {
      for (const unsigned c : telling_bytes) {
        check(to_bytes({a, b, c}));
        check(to_bytes({'x', a, b, c, 0xBF, 'y'}));
      }
    }
  }
  for (const std::uint32_t seed : {1U, 2U, 3U, 4U, 5U, 6U}) check(mixed_text(40, seed));
}

BOOST_AUTO_TEST_CASE(a_validator_that_failed_stays_failed_until_it_is_reset) {
  utf8_validator validator;
  BOOST_TEST(!validator.feed(to_bytes({0xFF})));
  BOOST_TEST(!validator.feed(to_bytes("fine")));
  BOOST_TEST(!validator.is_complete());
  validator.reset();
  BOOST_TEST(validator.feed(to_bytes("fine")));
  BOOST_TEST(validator.is_complete());
  BOOST_TEST(sizeof validator <= 8U);
}

BOOST_AUTO_TEST_SUITE_END()

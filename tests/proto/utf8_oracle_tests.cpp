// RFC 6455 8.1: all of a text is checked. Each kernel against ICU, which nobody here wrote: short texts, long texts, and one damaged byte at
// every offset of them, since what a vector kernel forgets it forgets at one place of a block.
#include "proto/utf8.hpp"
#include "proto/utf8_kernels.hpp"

#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unicode/ustring.h>
#include <vector>

using namespace ringcast;

namespace {

bool icu_accepts(std::string_view text) {
  // Asked for the length alone it decodes everything and writes nothing.
  UErrorCode status = U_ZERO_ERROR;
  std::int32_t length = 0;
  u_strFromUTF8(nullptr, 0, &length, text.data(), static_cast<std::int32_t>(text.size()), &status);
  return status == U_BUFFER_OVERFLOW_ERROR || U_SUCCESS(status);
}

/// Text of exactly `bytes` bytes: whole repetitions of the pattern, and x where no whole one fits.
std::string text_of(std::string_view pattern, std::size_t bytes) {
  std::string text;
  text.reserve(bytes);
  while (text.size() + pattern.size() <= bytes) text += pattern;
  text.append(bytes - text.size(), 'x');
  return text;
}

constexpr std::string_view patterns[] = {"plain ASCII, ", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"};
// A byte that is never valid, a continuation, and first bytes of two, three and four: what each breaks depends on where it stands.
constexpr unsigned char damages[] = {0xFF, 0x80, 0xC0, 0xC3, 0xED, 0xF4};

std::size_t disagreements;

void compare(const utf8_kernel& kernel, const std::string& text) {
  const bool ours = kernel.run(reinterpret_cast<const std::byte*>(text.data()), text.size());
  if (ours == icu_accepts(text)) return;
  // One message for each failure would be a million of them.
  if (++disagreements <= 5) BOOST_ERROR("the " << kernel.name << " kernel says " << ours << " to a text of " << text.size() << " bytes");
}

} // namespace

BOOST_AUTO_TEST_SUITE(utf8_beside_icu)

BOOST_AUTO_TEST_CASE(a_damaged_byte_at_every_offset_of_texts_up_to_600_bytes) {
  disagreements = 0;
  for (const utf8_kernel& kernel : utf8_kernels()) {
    if (!kernel.supported) continue;
    for (const std::string_view pattern : patterns)
      for (std::size_t bytes = 1; bytes <= 600; bytes += bytes < 140 ? 1 : 23) {
        std::string text = text_of(pattern, bytes);
        compare(kernel, text);
        for (std::size_t at = 0; at < bytes; ++at) {
          const char was = text[at];
          for (const unsigned char damage : damages) {
            text[at] = static_cast<char>(damage);
            compare(kernel, text);
          }
          text[at] = was;
        }
      }
  }
  BOOST_TEST(disagreements == 0u);
}

BOOST_AUTO_TEST_CASE(a_damaged_byte_at_every_offset_of_long_texts) {
  disagreements = 0;
  for (const utf8_kernel& kernel : utf8_kernels()) {
    if (!kernel.supported) continue;
    for (const std::string_view pattern : patterns)
      for (const std::size_t bytes : {1'000u, 4'096u, 4'097u, 20'000u}) {
        std::string text = text_of(pattern, bytes);
        compare(kernel, text);
        // 0xFF stands in no UTF-8 (RFC 3629 3), so ICU need not be asked 20,000 times.
        for (std::size_t at = 0; at < bytes; ++at) {
          const char was = text[at];
          text[at] = '\xFF';
          if (kernel.run(reinterpret_cast<const std::byte*>(text.data()), text.size())) ++disagreements;
          text[at] = was;
        }
        // The first byte of a character that the end cuts off.
        for (const unsigned char damage : damages) {
          text.back() = static_cast<char>(damage);
          compare(kernel, text);
        }
      }
  }
  BOOST_TEST(disagreements == 0u);
}

BOOST_AUTO_TEST_CASE(every_pair_and_triple_of_bytes_at_the_edge_of_a_block) {
  disagreements = 0;
  std::string text = text_of("x", 300);
  for (const utf8_kernel& kernel : utf8_kernels()) {
    if (!kernel.supported) continue;
    for (const std::size_t at : {0u, 30u, 31u, 62u, 63u, 254u, 255u, 297u}) {
      for (unsigned pair = 0; pair < 0x10000; ++pair) {
        text[at] = static_cast<char>(pair >> 8);
        text[at + 1] = static_cast<char>(pair);
        compare(kernel, text);
      }
      // Behind each first byte of three or four, every second byte, and third bytes at the ends of the ranges.
      for (unsigned first = 0xE0; first <= 0xF8; ++first)
        for (unsigned second = 0x70; second <= 0xD0; ++second)
          for (const unsigned third : {0x41u, 0x7Fu, 0x80u, 0xBFu, 0xC0u, 0xFFu}) {
            text[at] = static_cast<char>(first);
            text[at + 1] = static_cast<char>(second);
            text[at + 2] = static_cast<char>(third);
            compare(kernel, text);
          }
      text[at] = text[at + 1] = text[at + 2] = 'x';
    }
  }
  BOOST_TEST(disagreements == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

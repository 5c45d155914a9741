// What a peer over zlib compresses, we decompress, within bounds; what is broken or cut short is told apart from it.
#include "proto/deflate.hpp"
#include "tests/deflate/contents.hpp"
#include "tests/deflate/zlib_peer.hpp"
#include "tests/proto/guard_page.hpp"
#include "tests/queues/allocation_count.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace ringcast {
namespace {

using namespace test;

constexpr std::size_t plenty = 32 << 20;

bool holds(const byte_buffer& buffer, const bytes& expected) { return std::ranges::equal(buffer.bytes(), std::span(expected)); }

BOOST_AUTO_TEST_SUITE(inflate)

BOOST_AUTO_TEST_CASE(every_content_level_and_window_of_zlib) {
  inflater ours;
  byte_buffer message;
  for (const kind_of_content& kind : kinds_of_content()) {
    for (const std::size_t size : {0UZ, 1UZ, 2UZ, 100UZ, 1024UZ, 32768UZ, 65536UZ, 200'000UZ}) {
      const bytes expected = kind.make(size);
      for (int window_bits = 8; window_bits <= 15; ++window_bits) {
        for (const int level : {0, 1, 6, 9}) {
          BOOST_TEST_CONTEXT(kind.name << ", " << size << " bytes, window " << window_bits << ", level " << level) {
            zlib_deflater peer(window_bits, level);
            const bytes payload = peer.message(expected);
            guarded_memory memory(payload.size());
            BOOST_TEST((ours.inflate_message(memory.place_last(payload), message, plenty) == violation::none));
            BOOST_TEST(holds(message, expected));
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(sixteen_mebibytes_and_our_own_deflate) {
  inflater ours;
  deflater writer;
  const bytes expected = json(16 << 20);
  byte_buffer payload;
  byte_buffer message;
  BOOST_REQUIRE(writer.deflate_message(expected, payload, 1));
  BOOST_TEST((ours.inflate_message(payload.bytes(), message, expected.size()) == violation::none));
  BOOST_TEST(holds(message, expected));
  zlib_deflater peer;
  const bytes by_zlib = peer.message(expected);
  BOOST_TEST((ours.inflate_message(by_zlib, message, expected.size()) == violation::none));
  BOOST_TEST(holds(message, expected));
}

BOOST_AUTO_TEST_CASE(fed_in_pieces_of_every_size) {
  inflate_context ours;
  zlib_deflater peer;
  byte_buffer message;
  for (const std::size_t size : {1UZ, 500UZ, 3000UZ, 70'000UZ}) {
    for (const std::size_t step : {1UZ, 2UZ, 3UZ, 7UZ, 64UZ, 1000UZ}) {
      const bytes expected = size % 2 == 0 ? json(size, static_cast<unsigned>(step)) : noise(size);
      const bytes payload = peer.message(expected); // With context takeover, on both sides.
      message.clear();
      for (std::size_t at = 0; at < payload.size(); at += step) {
        const auto piece = std::span(payload).subspan(at, std::min(step, payload.size() - at));
        BOOST_REQUIRE((ours.feed(piece, message, plenty) == violation::none));
      }
      BOOST_REQUIRE((ours.finish(message, plenty) == violation::none));
      BOOST_TEST(holds(message, expected));
    }
  }
}

BOOST_AUTO_TEST_CASE(split_at_each_place) {
  const bytes expected = json(900);
  zlib_deflater peer;
  const bytes payload = peer.message(expected);
  byte_buffer message;
  inflate_context ours;
  for (std::size_t at = 0; at <= payload.size(); ++at) {
    ours.reset();
    message.clear();
    BOOST_REQUIRE((ours.feed(std::span(payload).first(at), message, plenty) == violation::none));
    BOOST_REQUIRE((ours.feed(std::span(payload).subspan(at), message, plenty) == violation::none));
    BOOST_REQUIRE((ours.finish(message, plenty) == violation::none));
    BOOST_TEST(holds(message, expected));
  }
}

BOOST_AUTO_TEST_CASE(a_conversation_with_context_takeover_from_zlib) {
  for (int window_bits = 9; window_bits <= 15; ++window_bits) {
    zlib_deflater peer(window_bits);
    inflate_context ours;
    byte_buffer message;
    for (unsigned i = 0; i < 300; ++i) {
      const bytes expected = i % 10 == 0 ? json(40'000, i) : json(i * 13 % 2000, i % 5);
      BOOST_REQUIRE((ours.inflate_message(peer.message(expected), message, plenty) == violation::none));
      BOOST_REQUIRE(holds(message, expected));
    }
  }
}

BOOST_AUTO_TEST_CASE(our_own_context_to_our_own_context) {
  deflate_context writer(1);
  inflate_context reader;
  byte_buffer payload;
  byte_buffer message;
  std::size_t before = 0;
  for (unsigned i = 0; i < 2000; ++i) {
    if (i == 1000) before = allocation_count();
    static const bytes talk = json(1 << 16);
    const auto said = std::span(talk).subspan(i * 17 % 60'000, 40 + i % 900);
    payload.clear();
    if (!writer.deflate_message(said, payload)) continue;
    if (reader.inflate_message(payload.bytes(), message, 4096) != violation::none) BOOST_FAIL("broken");
    if (!std::ranges::equal(message.bytes(), said)) BOOST_FAIL("not what was said");
  }
  BOOST_TEST(allocation_count() == before);
}

BOOST_AUTO_TEST_CASE(the_limit_less_one_the_limit_and_one_more) {
  inflater ours;
  for (const std::size_t limit : {1UZ, 2UZ, 255UZ, 256UZ, 257UZ, 1000UZ, 65'535UZ, 65'536UZ, 65'537UZ, 1UZ << 20}) {
    for (const kind_of_content& kind : kinds_of_content()) {
      for (const std::size_t size : {limit - 1, limit, limit + 1, limit + 300}) {
        BOOST_TEST_CONTEXT(kind.name << ", " << size << " bytes, limit " << limit) {
          const bytes expected = kind.make(size);
          zlib_deflater peer;
          byte_buffer message;
          const violation broken = ours.inflate_message(peer.message(expected), message, limit);
          BOOST_TEST((broken == (size > limit ? violation::message_too_big : violation::none)));
          if (size <= limit) BOOST_TEST(holds(message, expected));
          BOOST_TEST(message.capacity() <= std::max(limit, 1UZ));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_bomb_ends_at_the_limit_with_constant_memory) {
  zlib_deflater peer(15, 9);
  const bytes bomb = peer.message(bytes(256 << 20)); // 256 MiB of zeros in a quarter of a megabyte.
  BOOST_REQUIRE(bomb.size() < 300'000U);
  inflater ours;
  for (const std::size_t limit : {0UZ, 1UZ, 1000UZ, 1UZ << 20}) {
    byte_buffer message;
    const std::size_t before = allocation_count();
    BOOST_TEST((ours.inflate_message(bomb, message, limit) == violation::message_too_big));
    BOOST_TEST(message.capacity() <= limit);
    BOOST_TEST(allocation_count() - before <= 16U);
  }
}

BOOST_AUTO_TEST_CASE(cut_short_at_every_place_is_what_zlib_says_it_is) {
  inflater ours;
  byte_buffer message;
  for (const kind_of_content& kind : kinds_of_content()) {
    for (const int level : {0, 1, 9}) {
      zlib_deflater writer(15, level);
      const bytes payload = writer.message(kind.make(1500));
      for (std::size_t length = 0; length < payload.size(); ++length) {
        BOOST_TEST_CONTEXT(kind.name << ", level " << level << ", cut at " << length) {
          const auto cut = std::span(payload).first(length);
          zlib_inflater peer;
          const auto by_zlib = peer.message(cut);
          const violation broken = ours.inflate_message(cut, message, plenty);
          BOOST_TEST((broken == (by_zlib ? violation::none : violation::compressed_data_invalid)));
          if (by_zlib) BOOST_TEST(holds(message, *by_zlib));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(rfc7692_7_2_3_examples) {
  const auto expect = [](std::initializer_list<unsigned> octets, std::string_view text) {
    bytes payload;
    for (const unsigned octet : octets) payload.push_back(static_cast<std::byte>(octet));
    inflate_context ours;
    byte_buffer message;
    BOOST_TEST((ours.inflate_message(payload, message, plenty) == violation::none));
    BOOST_TEST(holds(message, to_bytes(text)));
    inflate_context in_pieces;
    message.clear();
    for (const std::byte& octet : payload) BOOST_TEST((in_pieces.feed({&octet, 1}, message, plenty) == violation::none));
    BOOST_TEST((in_pieces.finish(message, plenty) == violation::none));
    BOOST_TEST(holds(message, to_bytes(text)));
  };
  expect({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, "Hello");                                     // 7.2.3.1
  expect({0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}, "Hello");             // 7.2.3.3
  expect({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, "Hello");                               // 7.2.3.4
  expect({0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}, "Hello"); // 7.2.3.5
  expect({0x00}, "");                                                                              // 7.2.3.6
  expect({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, "Hello"); // As 7.2.3.4 but without the last byte.
}

BOOST_AUTO_TEST_CASE(rfc7692_7_2_3_2_the_second_hello_refers_to_the_first) {
  inflate_context ours;
  byte_buffer message;
  const bytes first{std::byte{0xf2}, std::byte{0x48}, std::byte{0xcd}, std::byte{0xc9}, std::byte{0xc9}, std::byte{0x07}, std::byte{0x00}};
  const bytes second{std::byte{0xf2}, std::byte{0x00}, std::byte{0x11}, std::byte{0x00}, std::byte{0x00}};
  BOOST_TEST((ours.inflate_message(first, message, plenty) == violation::none));
  BOOST_TEST((ours.inflate_message(second, message, plenty) == violation::none));
  BOOST_TEST(holds(message, to_bytes("Hello")));
  inflater without_takeover;
  BOOST_TEST((without_takeover.inflate_message(first, message, plenty) == violation::none));
  BOOST_TEST((without_takeover.inflate_message(second, message, plenty) == violation::compressed_data_invalid));
}

BOOST_AUTO_TEST_CASE(streams_that_end_with_bfinal_and_go_on) {
  zlib_deflater peer;
  inflate_context ours;
  byte_buffer message;
  for (unsigned i = 0; i < 50; ++i) {
    const bytes expected = i % 7 == 3 ? noise(100'000, i) : json(i * 997 % 9000, i);
    bytes payload = peer.final_message(expected);
    if (i % 2 == 0) { // More blocks in the same message, from the byte behind the final one.
      payload.pop_back();
      const bytes more = peer.message(expected);
      payload.insert(payload.end(), more.begin(), more.end());
      peer.reset();
    }
    message.clear();
    const std::size_t step = i % 3 == 0 ? 1 : i % 3 == 1 ? 100 : payload.size();
    for (std::size_t at = 0; at < payload.size(); at += step)
      BOOST_REQUIRE((ours.feed(std::span(payload).subspan(at, std::min(step, payload.size() - at)), message, plenty) == violation::none));
    BOOST_REQUIRE((ours.finish(message, plenty) == violation::none));
    bytes whole = expected;
    if (i % 2 == 0) whole.insert(whole.end(), expected.begin(), expected.end());
    BOOST_REQUIRE(holds(message, whole));
    if (i % 2 == 0) ours.reset();
  }
}

BOOST_AUTO_TEST_CASE(data_that_is_no_deflate_is_refused) {
  inflater ours;
  byte_buffer message;
  const auto refused = [&](std::initializer_list<unsigned> octets) {
    bytes payload;
    for (const unsigned octet : octets) payload.push_back(static_cast<std::byte>(octet));
    return ours.inflate_message(payload, message, plenty) == violation::compressed_data_invalid;
  };
  BOOST_TEST(refused({}));                                   // Not even the byte 00 of an empty message.
  BOOST_TEST(refused({0x07}));                               // Block type 3.
  BOOST_TEST(refused({0x00, 0x05, 0x00, 0x00, 0x00, 0x48})); // LEN and NLEN do not match.
  BOOST_TEST(refused({0xf2, 0x00, 0x11, 0x00, 0x00}));       // A match before the first byte.
  BOOST_TEST(refused({0x02}));                               // The end-of-block code is missing.
  BOOST_TEST(refused({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff, 0xff})); // Rubbish behind a final block.
  BOOST_TEST((ours.inflate_message(noise(5000), message, plenty) != violation::none));
}

BOOST_AUTO_TEST_CASE(flipped_bits_never_crash_and_agree_with_zlib) {
  inflater ours;
  byte_buffer message;
  std::size_t differ = 0;
  for (const int level : {1, 9}) {
    zlib_deflater writer(15, level);
    const bytes payload = writer.message(json(600));
    guarded_memory memory(payload.size());
    for (std::size_t bit = 0; bit < payload.size() * 8; ++bit) {
      bytes flipped = payload;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      zlib_inflater peer;
      const auto by_zlib = peer.message(flipped);
      const violation broken = ours.inflate_message(memory.place_last(flipped), message, 1 << 20);
      if (by_zlib) {
        BOOST_TEST((broken == violation::none && holds(message, *by_zlib)));
      } else if (broken == violation::none) {
        ++differ;
      }
    }
  }
  BOOST_TEST(differ == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace ringcast

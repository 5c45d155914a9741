// What we compress, a peer over zlib decompresses: every level, every window, with and without context takeover.
#include "proto/deflate.hpp"
#include "tests/deflate/contents.hpp"
#include "tests/deflate/zlib_peer.hpp"
#include "tests/proto/guard_page.hpp"
#include "tests/queues/allocation_count.hpp"

#include <boost/test/unit_test.hpp>

namespace ringcast {
namespace {

using namespace test;

constexpr std::size_t sizes[] = {0,   1,   2,   3,    7,    8,    9,    15,   16,    64,    125,   126,   200,
                                 256, 300, 511, 1023, 1024, 4095, 8191, 8192, 32767, 32768, 65535, 65536, 1024 * 1024};

BOOST_AUTO_TEST_SUITE(shared_deflater)

BOOST_AUTO_TEST_CASE(every_level_and_content_is_read_by_zlib) {
  deflater ours(deflate_level_max);
  for (const kind_of_content& kind : kinds_of_content()) {
    for (const std::size_t size : sizes) {
      const bytes message = kind.make(size);
      for (unsigned level = 0; level <= deflate_level_max; ++level) {
        BOOST_TEST_CONTEXT(kind.name << ", " << size << " bytes, level " << level) {
          bytes out(deflate_message_bound(size));
          const auto length = ours.deflate_message(message, out, level);
          if (!length) continue;
          BOOST_TEST((size == 0 || *length < size));
          out.resize(*length);
          zlib_inflater peer;
          BOOST_TEST((peer.message(out) == message));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_can_be_compressed_is) {
  deflater ours(deflate_level_max);
  for (unsigned level = 0; level <= deflate_level_max; ++level) {
    for (const std::size_t size : {512UZ, 1024UZ, 65536UZ}) {
      bytes out(deflate_message_bound(size));
      BOOST_TEST_CONTEXT(size << " bytes, level " << level) {
        const auto length = ours.deflate_message(json(size), out, level);
        BOOST_REQUIRE(length);
        BOOST_TEST(*length < size * 3 / 4);
        BOOST_TEST(ours.deflate_message(run_of(std::byte{0}, size), out, level).value_or(size) < size / 8);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(noise_is_left_alone) {
  deflater ours(deflate_level_max);
  for (unsigned level = 0; level <= deflate_level_max; ++level) {
    for (const std::size_t size : {1UZ, 64UZ, 1024UZ, 65536UZ, 1UZ << 20}) {
      bytes out(deflate_message_bound(size));
      BOOST_TEST(!ours.deflate_message(noise(size), out, level));
    }
  }
}

BOOST_AUTO_TEST_CASE(sixteen_mebibytes) {
  deflater ours(deflate_level_max);
  const bytes message = json(16 << 20);
  for (unsigned level = 0; level <= deflate_level_max; ++level) {
    bytes out(deflate_message_bound(message.size()));
    const auto length = ours.deflate_message(message, out, level);
    BOOST_REQUIRE(length);
    out.resize(*length);
    zlib_inflater peer;
    BOOST_TEST((peer.message(out) == message));
  }
}

BOOST_AUTO_TEST_CASE(rfc7692_7_2_3_6_an_empty_message_is_the_byte_00) {
  deflater ours;
  bytes out(1, std::byte{0xaa});
  BOOST_TEST(ours.deflate_message({}, out, 1).value_or(0) == 1U);
  BOOST_TEST((out[0] == std::byte{0x00}));
  deflate_context context(1);
  byte_buffer grown;
  BOOST_TEST(context.deflate_message({}, grown).value_or(0) == 1U);
  BOOST_TEST((grown.bytes()[0] == std::byte{0x00}));
}

BOOST_AUTO_TEST_CASE(no_match_reaches_out_of_the_window) {
  deflater ours(deflate_level_max);
  // The same kilobytes again and again, so that a longer window would be used if it were allowed.
  for (unsigned window_bits = 8; window_bits <= 15; ++window_bits) {
    bytes message;
    const bytes part = noise((std::size_t{1} << window_bits) * 3 / 4, window_bits);
    for (int i = 0; i < 3; ++i) message.insert(message.end(), part.begin(), part.end());
    const bytes far = noise((std::size_t{1} << window_bits) * 5 / 4, window_bits + 100);
    for (int i = 0; i < 2; ++i) message.insert(message.end(), far.begin(), far.end());
    const bytes text = json(70'000);
    message.insert(message.end(), text.begin(), text.end());
    for (unsigned level = 0; level <= deflate_level_max; ++level) {
      BOOST_TEST_CONTEXT(window_bits << " bits, level " << level) {
        bytes out(deflate_message_bound(message.size()));
        const auto length = ours.deflate_message(message, out, level, window_bits);
        BOOST_REQUIRE(length);
        out.resize(*length);
        zlib_inflater peer(static_cast<int>(window_bits));
        BOOST_TEST((peer.message(out, true) == message));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(room_of_every_size_is_kept) {
  deflater ours(deflate_level_max);
  const bytes message = json(700);
  guarded_memory in_memory(message.size());
  guarded_memory out_memory(1024);
  for (unsigned level = 0; level <= deflate_level_max; ++level) {
    bytes large(deflate_message_bound(message.size()));
    const std::size_t needed = ours.deflate_message(message, large, level).value();
    for (std::size_t room = 0; room <= message.size() + 16; ++room) {
      const auto length = ours.deflate_message(in_memory.place_last(message), out_memory.last(room), level);
      if (room < needed) BOOST_TEST(!length);
      if (room >= needed + 16) BOOST_TEST(length.value_or(0) == needed);
    }
  }
}

BOOST_AUTO_TEST_CASE(allocates_nothing_once_warm) {
  deflater ours;
  inflater theirs;
  const bytes message = json(1024);
  byte_buffer compressed;
  byte_buffer back;
  std::size_t before = 0;
  for (int i = 0; i < 100; ++i) {
    if (i == 2) before = allocation_count();
    compressed.clear();
    const auto length = ours.deflate_message(message, compressed, static_cast<unsigned>(i) % 2);
    if (!length || theirs.inflate_message(compressed.bytes(), back, 4096) != violation::none) BOOST_FAIL("broken");
  }
  BOOST_TEST(allocation_count() == before);
  BOOST_TEST(back.size() == message.size());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(with_context_takeover)

BOOST_AUTO_TEST_CASE(a_conversation_is_read_by_zlib_at_every_level_and_window) {
  for (unsigned window_bits = 8; window_bits <= 15; ++window_bits) {
    for (unsigned level = 0; level <= deflate_level_max; ++level) {
      deflate_context ours(level, window_bits);
      zlib_inflater peer(static_cast<int>(window_bits));
      std::size_t compressed = 0;
      for (unsigned i = 0; i < 200; ++i) {
        const kind_of_content& kind = kinds_of_content()[i % kinds_of_content().size()];
        const bytes message = i % 3 == 0 ? kind.make(1 + i * i % 5000) : json(i * 7 % 3000, i);
        byte_buffer out;
        out.append(to_bytes("kept"));
        const auto length = ours.deflate_message(message, out);
        BOOST_TEST(out.size() == 4 + length.value_or(0));
        if (!length) continue; // Sent as it is: not in the peer's window.
        ++compressed;
        BOOST_TEST_CONTEXT(window_bits << " bits, level " << level << ", message " << i) {
          BOOST_REQUIRE((peer.message(out.bytes().subspan(4), true) == message));
        }
      }
      BOOST_TEST(compressed > 100U);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_was_said_before_makes_it_shorter) {
  for (unsigned level = 0; level <= deflate_level_max; ++level) {
    deflate_context ours(level);
    byte_buffer out;
    const bytes message = json(1024);
    const std::size_t first = ours.deflate_message(message, out).value();
    const std::size_t second = ours.deflate_message(message, out).value();
    BOOST_TEST(second < first / 4);
    ours.reset();
    BOOST_TEST(ours.deflate_message(message, out).value() == first);
  }
}

BOOST_AUTO_TEST_CASE(short_messages_are_learnt_from) {
  for (unsigned level = 0; level <= deflate_level_max; ++level) {
    deflate_context ours(level);
    zlib_inflater peer;
    std::size_t plain = 0;
    std::size_t sent = 0;
    for (unsigned i = 0; i < 100; ++i) {
      const bytes message =
          to_bytes(R"({"from":"member-)" + std::to_string(i * 7919 % 50) + R"(","id":)" + std::to_string(i * 104'729) + R"(,"text":"on my way"})");
      byte_buffer out;
      const auto length = ours.deflate_message(message, out);
      plain += message.size();
      sent += length.value_or(message.size());
      if (length) BOOST_REQUIRE((peer.message(out.bytes()) == message));
    }
    BOOST_TEST_CONTEXT("level " << level) { BOOST_TEST(sent < plain / 2); }
  }
}

BOOST_AUTO_TEST_CASE(noise_costs_a_few_bytes_at_most) {
  for (unsigned level = 0; level <= deflate_level_max; ++level) {
    deflate_context ours(level);
    for (const std::size_t size : {1UZ, 64UZ, 1024UZ, 65536UZ, 1UZ << 20}) {
      byte_buffer out;
      const auto length = ours.deflate_message(noise(size), out);
      BOOST_TEST(length.value_or(size) <= size + 16);
    }
  }
}

BOOST_AUTO_TEST_CASE(large_messages_between_small_ones) {
  for (unsigned level = 0; level <= deflate_level_max; ++level) {
    deflate_context ours(level);
    zlib_inflater peer;
    for (const std::size_t size : {100UZ, 1UZ << 20, 1000UZ, 65536UZ, 300UZ, 32768UZ, 16UZ << 20, 200UZ}) {
      const bytes message = json(size, static_cast<unsigned>(size));
      byte_buffer out;
      BOOST_REQUIRE(ours.deflate_message(message, out));
      BOOST_REQUIRE((peer.message(out.bytes()) == message));
    }
  }
}

BOOST_AUTO_TEST_CASE(moved_contexts_go_on) {
  deflate_context ours(1);
  zlib_inflater peer;
  byte_buffer out;
  const bytes message = json(1000);
  (void)ours.deflate_message(message, out);
  BOOST_TEST((peer.message(out.bytes()) == message));
  deflate_context moved = std::move(ours);
  out.clear();
  (void)moved.deflate_message(message, out);
  BOOST_TEST((peer.message(out.bytes()) == message));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace ringcast

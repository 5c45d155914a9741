// RFC 6455 5.2: the header's size, its fields, and writing whole frames.
#include "proto/frame_header.hpp"
#include "proto/frame_writer.hpp"
#include "tests/proto/guard_page.hpp"
#include "tests/proto/wire.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::test;

BOOST_AUTO_TEST_SUITE(frame_headers)

namespace {
constexpr std::uint64_t lengths_around_the_limits[] = {
    0, 1, 20, 124, 125, 126, 127, 128, 65'534, 65'535, 65'536, 65'537, 1 << 20, 1ULL << 32, (1ULL << 63) - 1};
constexpr std::uint32_t some_key = 0x3D21'FA37; // 37 FA 21 3D on the wire, as in the RFC's examples.
} // namespace

BOOST_AUTO_TEST_CASE(the_minimal_number_of_bytes_must_be_used_to_encode_the_length) {
  BOOST_TEST(frame_header_bytes(125, false) == 2U);
  BOOST_TEST(frame_header_bytes(126, false) == 4U);
  BOOST_TEST(frame_header_bytes(65'535, false) == 4U);
  BOOST_TEST(frame_header_bytes(65'536, false) == 10U);
  BOOST_TEST(frame_header_bytes(0, true) == 6U);
  BOOST_TEST(frame_header_bytes(65'536, true) == frame_header_bytes_max);
}

BOOST_AUTO_TEST_CASE(a_written_header_reads_back_and_fills_exactly_its_bytes) {
  guarded_memory memory(frame_header_bytes_max);
  for (const std::uint64_t length : lengths_around_the_limits) {
    for (const bool masked : {false, true}) {
      for (const opcode op : {opcode::continuation, opcode::text, opcode::binary, opcode::close, opcode::ping, opcode::pong}) {
        for (const bool fin : {false, true}) {
          for (const bool rsv1 : {false, true}) {
            const std::span<std::byte> place = memory.last(frame_header_bytes(length, masked));
            const std::size_t written = masked ? write_masked_frame_header(place.data(), op, length, some_key, fin, rsv1)
                                               : write_frame_header(place.data(), op, length, fin, rsv1);
            BOOST_REQUIRE(written == place.size());
            const auto header = decode_frame_header(place);
            BOOST_REQUIRE(header.has_value());
            BOOST_TEST((header->op == op && header->fin == fin && header->rsv1 == rsv1 && header->masked == masked));
            BOOST_TEST((!header->rsv2 && !header->rsv3));
            BOOST_TEST(header->payload_bytes == length);
            BOOST_TEST(header->header_bytes == place.size());
            BOOST_TEST(header->masking_key == (masked ? some_key : 0));
            for (std::size_t part = 0; part < place.size(); ++part) {
              BOOST_REQUIRE(!decode_frame_header(memory.place_first(place.first(part))).has_value());
            }
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(each_header_bit_reads_as_its_own_field) {
  const auto rsv2 = decode_frame_header(to_bytes({0xA1, 0x00}));
  const auto rsv3 = decode_frame_header(to_bytes({0x91, 0x00}));
  BOOST_REQUIRE((rsv2 && rsv3));
  BOOST_TEST((rsv2->rsv2 && !rsv2->rsv1 && !rsv2->rsv3));
  BOOST_TEST((rsv3->rsv3 && !rsv3->rsv1 && !rsv3->rsv2));
  for (const unsigned reserved : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}) {
    BOOST_TEST(!decode_frame_header(to_bytes({0x80 | reserved, 0x00})).has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_header_can_be_placed_before_a_payload_that_is_already_there) {
  for (const std::size_t length : {0U, 125U, 126U, 65'535U, 65'536U}) {
    bytes room = noise(frame_header_bytes_max + length, 3);
    const bytes before = room;
    std::byte* const payload = room.data() + frame_header_bytes_max;
    std::byte* const start = write_frame_header_before(payload, opcode::binary, length);
    const auto header_bytes = static_cast<std::size_t>(payload - start);
    BOOST_TEST(header_bytes == frame_header_bytes(length, false));
    const auto header = decode_frame_header({start, header_bytes});
    BOOST_REQUIRE(header.has_value());
    BOOST_TEST(header->payload_bytes == length);
    BOOST_TEST(std::equal(room.begin() + frame_header_bytes_max, room.end(), before.begin() + frame_header_bytes_max));
    BOOST_TEST(std::equal(room.data(), start, before.data()));
  }
}

BOOST_AUTO_TEST_CASE(a_server_writes_the_examples_of_the_rfc) {
  // RFC 6455 5.7: a single-frame unmasked text message, and an unmasked ping.
  bytes out(frame_bytes(5, false));
  BOOST_TEST(write_frame(out.data(), opcode::text, to_bytes("Hello")) == out.size());
  BOOST_TEST((out == to_bytes({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f})));
  BOOST_TEST(write_frame(out.data(), opcode::ping, to_bytes("Hello")) == out.size());
  BOOST_TEST((out == to_bytes({0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f})));
}

BOOST_AUTO_TEST_CASE(a_client_writes_the_examples_of_the_rfc) {
  bytes out(frame_bytes(5, true));
  BOOST_TEST(write_masked_frame(out.data(), opcode::text, to_bytes("Hello"), some_key) == out.size());
  BOOST_TEST((out == to_bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58})));
}

BOOST_AUTO_TEST_CASE(whole_frames_of_every_size_fill_exactly_their_bytes) {
  guarded_memory memory(frame_bytes(70'000, true));
  for (const std::size_t length : {0U, 1U, 125U, 126U, 127U, 65'535U, 65'536U, 70'000U}) {
    const bytes payload = noise(length, 5);
    const std::span<std::byte> plain = memory.last(frame_bytes(length, false));
    BOOST_TEST(write_frame(plain.data(), opcode::binary, payload, false, true) == plain.size());
    BOOST_TEST((std::ranges::equal(plain, wire_frame{.opcode = 2, .payload = payload, .fin = false, .rsv = 4, .masked = false}.write())));
    const std::span<std::byte> masked = memory.last(frame_bytes(length, true));
    BOOST_TEST(write_masked_frame(masked.data(), opcode::text, payload, some_key) == masked.size());
    BOOST_TEST((std::ranges::equal(masked, wire_frame{.opcode = 1, .payload = payload}.write())));
  }
}

BOOST_AUTO_TEST_SUITE_END()

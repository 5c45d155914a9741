// Frames of one size: what is sent is what is cut out again, wherever the stream is split, and nothing else passes.
#include "apps/load/frame_deflater.hpp"
#include "apps/load/output.hpp"
#include "apps/load/slices/frames.hpp"
#include "proto/frame_reader.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstring>
#include <span>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace ringcast::load::slices {

namespace {

// A few frames as the bare loop returns them.
std::vector<std::uint8_t> frames_of(std::size_t payload_bytes, std::uint32_t sender, std::uint32_t count) {
  frame_sender sender_of{payload_bytes, count};
  outbox out{.next = count};
  std::uint32_t frames = 0;
  const auto bytes = sender_of.prepare(sender, out, frames);
  BOOST_REQUIRE(frames == count);
  return {bytes.begin(), bytes.end()};
}

struct both_ends {
  both_ends() { BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0); }
  ~both_ends() {
    ::close(fds[0]);
    ::close(fds[1]);
  }
  int fds[2]{};
};

} // namespace

BOOST_AUTO_TEST_SUITE(load_frames)

BOOST_AUTO_TEST_CASE(every_tag_comes_out_wherever_the_stream_is_split) {
  for (const std::size_t size : {8, 9, 20, 125, 126, 300}) {
    const auto stream = frames_of(size, 7, 3);
    const frame_receiver receiver{size, true};
    BOOST_TEST(receiver.frame_bytes() * 3 == stream.size());
    for (std::size_t split = 0; split <= stream.size(); ++split) {
      inbox_position at;
      std::uint32_t next = 0;
      const auto take = [&](short_tag tag) {
        BOOST_TEST(tag.sender == 7U);
        BOOST_TEST(tag.number == next++);
      };
      const std::span<const std::uint8_t> whole{stream};
      BOOST_TEST(receiver.consume(whole.first(split), at, true, take));
      BOOST_TEST(receiver.consume(whole.subspan(split), at, true, take));
      BOOST_REQUIRE(next == 3U);
    }
  }
}

BOOST_AUTO_TEST_CASE(any_other_byte_in_header_or_payload_is_refused) {
  const std::size_t size = 40;
  const auto stream = frames_of(size, 1, 1);
  const frame_receiver receiver{size, true};
  const std::size_t header = receiver.frame_bytes() - size;
  for (std::size_t i = 0; i < stream.size(); ++i) {
    auto damaged = stream;
    damaged[i] ^= 1;
    inbox_position at;
    bool seen = false;
    const bool accepted = receiver.consume(damaged, at, true, [&](short_tag tag) {
      seen = true;
      BOOST_TEST((tag.sender != 1U || tag.number != 0U)); // The tag itself is judged by who gets it.
    });
    const bool in_tag = i >= header && i < header + sizeof(short_tag);
    BOOST_TEST(accepted == in_tag);
    BOOST_TEST(seen == in_tag);
  }
}

BOOST_AUTO_TEST_CASE(counted_bytes_are_as_many_frames_as_looked_at_ones) {
  const auto stream = frames_of(64, 0, 5);
  const frame_receiver receiver{64, true};
  inbox_position at;
  std::size_t frames = 0;
  for (std::size_t i = 0; i < stream.size(); i += 7) frames += receiver.skip(std::min<std::size_t>(7, stream.size() - i), at);
  BOOST_TEST(frames == 5U);
  BOOST_TEST(at.consumed == 0U);
}

BOOST_AUTO_TEST_CASE(a_message_that_does_not_shrink_goes_as_it_is_and_others_inflate_again) {
  frame_deflater compress;
  inflater inflate;
  const std::vector<std::byte> letters(3000, std::byte{'a'});
  std::vector<std::byte> noise(20);
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<std::byte>(i * 151 + 7);
  byte_buffer wire;
  for (const auto& message : {letters, noise}) {
    wire.clear();
    const std::size_t payload_bytes = compress.append(wire, opcode::text, message, 0x01020304);
    const frame_result read = read_frame(wire.bytes(), {.our_role = role::server, .payload_bytes_max = 1 << 20, .rsv1_allowed = true});
    BOOST_REQUIRE((read.status == read_status::frame));
    BOOST_TEST(read.value.payload.size() == payload_bytes);
    BOOST_TEST(read.value.rsv1 == (payload_bytes < message.size()));
    BOOST_TEST(read.value.rsv1 == (message.size() == letters.size()));
    if (!read.value.rsv1) {
      BOOST_TEST(std::memcmp(read.value.payload.data(), message.data(), message.size()) == 0);
      continue;
    }
    byte_buffer back;
    BOOST_TEST((inflate.inflate_message(read.value.payload, back, 1 << 20) == violation::none));
    BOOST_REQUIRE(back.size() == message.size());
    BOOST_TEST(std::memcmp(back.data(), message.data(), message.size()) == 0);
  }
}

BOOST_AUTO_TEST_CASE(output_that_finds_no_room_goes_on_where_it_stopped) {
  both_ends ends;
  output out;
  std::vector<std::byte> sent(4 << 20);
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i % 251);
  out.append(sent);
  std::vector<std::byte> received;
  bool was_blocked = false;
  for (send_status result = out.send(ends.fds[0]); received.size() < sent.size(); result = out.send(ends.fds[0])) {
    BOOST_REQUIRE((result != send_status::failed));
    was_blocked = was_blocked || result == send_status::blocked;
    std::vector<std::byte> piece(65536);
    ssize_t got = 0;
    while ((got = ::recv(ends.fds[1], piece.data(), piece.size(), 0)) > 0) received.insert(received.end(), piece.begin(), piece.begin() + got);
  }
  BOOST_TEST(was_blocked);
  BOOST_TEST((received == sent));
  BOOST_TEST(out.empty());
}

BOOST_AUTO_TEST_CASE(output_to_a_connection_that_is_gone_has_failed) {
  both_ends ends;
  output out;
  out.append(std::vector<std::byte>(10));
  ::shutdown(ends.fds[1], SHUT_RDWR);
  BOOST_TEST((out.send(ends.fds[0]) == send_status::failed));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::load::slices

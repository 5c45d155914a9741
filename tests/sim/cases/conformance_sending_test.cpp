// How Linux treats sending, shutting down and resetting, as cases that the real kernel and the simulated one both pass.
// The program is linked twice. A case that only one of them passes is a mistake in the simulation.
#include "tests/sim/rigs/conformance_rig.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::engine;
using namespace ringcast::sim;

namespace {

constexpr std::size_t too_much = 16u << 20; // far more than both socket buffers hold; and not so much that the kernel gives the send up on the way

struct big_send {
  explicit big_send(std::size_t bytes) : content(bytes, std::byte{'x'}), piece{content.data(), content.size()} {
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
  }
  std::vector<std::byte> content;
  iovec piece;
  msghdr header{};
};

} // namespace

BOOST_AUTO_TEST_SUITE(conformance_sending)

BOOST_AUTO_TEST_CASE(an_inline_send_that_succeeds_is_silent) {
  rig r;
  const auto pair = r.connect_pair();
  r.uring->send_inline(tag(operation::inline_send), pair.server, "hello", 5);
  r.uring->submit();
  BOOST_TEST(r.all().size() == 0u);
  settle();
  BOOST_TEST(drain(pair.client) == 5u);
}

BOOST_AUTO_TEST_CASE(a_short_inline_send_completes_during_submit_with_its_count) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4096, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  BOOST_TEST(r.all().size() == 0u);
  say(pair.client, "request"); // Its completion is only due when the ring is entered with GETEVENTS.
  settle();
  const big_send big(too_much);
  r.uring->send_inline(tag(operation::inline_send), pair.server, &big.header);
  r.uring->submit();
  auto done = r.ready();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST((done[0].tag.op == operation::inline_send));
  BOOST_TEST(done[0].result > 0);
  BOOST_TEST(static_cast<std::size_t>(done[0].result) < too_much);
  const auto taken = static_cast<std::size_t>(done[0].result);
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST((done[0].tag.op == operation::receive));
  std::size_t received = 0;
  while (received < taken) {
    settle();
    const std::size_t more = drain(pair.client);
    BOOST_TEST_REQUIRE(more > 0u);
    received += more;
  }
  BOOST_TEST(received == taken);
}

BOOST_AUTO_TEST_CASE(an_inline_send_into_a_full_socket_answers_eagain) {
  rig r;
  const auto pair = r.connect_pair();
  const big_send big(too_much);
  r.uring->send_inline(tag(operation::inline_send), pair.server, &big.header);
  r.uring->submit();
  BOOST_TEST(r.ready().size() == 1u);
  settle();
  // What was delivered meanwhile made room; fill that too.
  for (int i = 0; i < 50; ++i) {
    r.uring->send_inline(tag(operation::inline_send), pair.server, &big.header);
    r.uring->submit();
    const auto done = r.ready();
    BOOST_TEST_REQUIRE(done.size() == 1u);
    if (done[0].result == -EAGAIN) return;
    settle();
  }
  BOOST_FAIL("the socket never became full");
}

BOOST_AUTO_TEST_CASE(an_ordinary_send_completes_when_all_bytes_are_taken) {
  rig r;
  const auto pair = r.connect_pair();
  const big_send big(too_much);
  r.uring->arm_send(tag(operation::send), pair.server, &big.header);
  r.uring->submit();
  std::size_t received = 0;
  std::size_t completions = 0;
  for (int i = 0; i < 3000 && received < too_much; ++i) {
    settle();
    received += drain(pair.client);
    for (const completion& done : r.all()) {
      ++completions;
      BOOST_TEST(static_cast<std::size_t>(done.result) == too_much);
    }
  }
  BOOST_TEST(received == too_much);
  BOOST_TEST(completions == 1u);
}

// APOLL_MAX_RETRY of io_uring/poll.h: MSG_WAITALL waits no longer than that. A small buffer makes small what is taken at each wake-up.
BOOST_AUTO_TEST_CASE(an_ordinary_send_that_was_woken_too_often_completes_with_what_was_taken) {
  rig r;
  const auto pair = r.connect_pair();
  const int buffered_max = 16'384;
  BOOST_TEST_REQUIRE(setsockopt(pair.server, SOL_SOCKET, SO_SNDBUF, &buffered_max, sizeof buffered_max) == 0);
  constexpr std::size_t bytes = 16u << 20;
  const big_send big(bytes);
  r.uring->arm_send(tag(operation::send), pair.server, &big.header);
  r.uring->submit();
  std::size_t received = 0;
  std::vector<completion> done;
  for (int i = 0; i < 100'000 && done.empty(); ++i) {
    settle();
    received += drain(pair.client);
    done = r.all();
  }
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST_REQUIRE(done[0].result > 0);
  BOOST_TEST(static_cast<std::size_t>(done[0].result) < bytes);
  for (int idle = 0; idle < 3;) {
    settle();
    const std::size_t more = drain(pair.client);
    received += more;
    idle = more == 0 ? idle + 1 : 0;
  }
  BOOST_TEST(received == static_cast<std::size_t>(done[0].result));
  BOOST_TEST(r.all().size() == 0u);
}

BOOST_AUTO_TEST_CASE(a_message_of_more_than_1024_pieces_answers_emsgsize_and_sends_nothing) {
  rig r;
  const auto pair = r.connect_pair();
  std::vector<iovec> pieces(1025, iovec{const_cast<char*>("x"), 1});
  msghdr header{};
  header.msg_iov = pieces.data();
  header.msg_iovlen = 1025;
  r.uring->send_inline(tag(operation::inline_send), pair.server, &header);
  r.uring->submit();
  auto done = r.ready();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == -EMSGSIZE);
  r.uring->arm_send(tag(operation::send), pair.server, &header);
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == -EMSGSIZE);
  header.msg_iovlen = 1024;
  r.uring->send_inline(tag(operation::inline_send), pair.server, &header);
  r.uring->submit();
  BOOST_TEST(r.ready().size() == 0u);
  settle();
  BOOST_TEST(drain(pair.client) == 1024u);
}

BOOST_AUTO_TEST_CASE(a_waiting_send_makes_no_progress_without_getevents) {
  rig r;
  const auto pair = r.connect_pair();
  const big_send big(too_much);
  r.uring->arm_send(tag(operation::send), pair.server, &big.header);
  r.uring->submit();
  std::size_t received = 0;
  for (int idle = 0; idle < 3;) {
    settle();
    const std::size_t more = drain(pair.client);
    received += more;
    idle = more == 0 ? idle + 1 : 0;
  }
  BOOST_TEST(received < too_much);
  BOOST_TEST(r.all().size() == 0u);
  settle();
  BOOST_TEST(drain(pair.client) > 0u);
}

BOOST_AUTO_TEST_CASE(a_cancelled_send_tells_what_was_taken) {
  rig r;
  const auto pair = r.connect_pair();
  const big_send big(too_much);
  r.uring->arm_send(tag(operation::send), pair.server, &big.header);
  r.uring->submit();
  r.uring->arm_cancel(tag(operation::cancel), tag(operation::send));
  const auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 2u);
  BOOST_TEST((done[0].tag.op == operation::cancel));
  BOOST_TEST(done[0].result == 0);
  BOOST_TEST((done[1].tag.op == operation::send));
  BOOST_TEST(done[1].result > 0);
}

BOOST_AUTO_TEST_CASE(a_close_with_a_receive_pending_sends_no_fin) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4096, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  BOOST_TEST(r.all().size() == 0u);
  r.close_early(pair.server);
  settle();
  BOOST_TEST(drain(pair.client) == 0u);
  BOOST_TEST(errno == EAGAIN);
  r.uring->arm_cancel(tag(operation::cancel), tag(operation::receive));
  BOOST_TEST(r.all().size() == 2u);
  settle();
  BOOST_TEST(drain(pair.client) == 0u);
  BOOST_TEST(errno == 0);
}

BOOST_AUTO_TEST_CASE(shutting_down_the_write_side_sends_fin_and_receiving_goes_on) {
  rig r;
  const auto pair = r.connect_pair();
  shut_down_writing(pair.server);
  settle();
  BOOST_TEST(drain(pair.client) == 0u);
  BOOST_TEST(errno == 0);
  say(pair.client, "late");
  settle();
  BOOST_TEST(drain(pair.server) == 4u);
  BOOST_TEST(errno == EAGAIN);
  BOOST_TEST(send_now(pair.server, std::as_bytes(std::span{"x", 1})) == -EPIPE);
}

BOOST_AUTO_TEST_CASE(shutting_down_both_sides_ends_a_pending_receive) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4096, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  BOOST_TEST(r.all().size() == 0u);
  shut_down(pair.server);
  const auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == 0);
  BOOST_TEST(!done[0].more);
}

BOOST_AUTO_TEST_CASE(after_a_reset_the_pending_send_takes_the_error) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4096, false);
  r.provide(0);
  const big_send big(too_much);
  r.uring->arm_send(tag(operation::send), pair.server, &big.header);
  r.uring->submit();
  r.close_early(pair.client); // With unread bytes: RST.
  settle();
  auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result > 0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == 0);
  BOOST_TEST(send_now(pair.server, std::as_bytes(std::span{"x", 1})) == -EPIPE);
}

BOOST_AUTO_TEST_CASE(a_reset_is_told_to_the_receive_when_nothing_is_sent) {
  rig r;
  const auto pair = r.connect_pair();
  say(pair.server, "unread");
  settle();
  r.close_early(pair.client);
  settle();
  BOOST_TEST(receive_now(pair.server, std::as_writable_bytes(std::span{r.memory})) == 0 - ECONNRESET);
}

BOOST_AUTO_TEST_CASE(bytes_that_came_before_a_reset_can_still_be_read) {
  rig r;
  const auto pair = r.connect_pair();
  r.memory.resize(100);
  say(pair.server, "unread");
  say(pair.client, "early");
  settle();
  r.close_early(pair.client);
  settle();
  BOOST_TEST(receive_now(pair.server, std::span{r.memory}) == 5);
  BOOST_TEST(receive_now(pair.server, std::span{r.memory}) == -ECONNRESET);
  BOOST_TEST(receive_now(pair.server, std::span{r.memory}) == 0);
}

BOOST_AUTO_TEST_CASE(sending_to_a_peer_that_closed_works_once) {
  rig r;
  const auto pair = r.connect_pair();
  r.close_early(pair.client);
  settle();
  BOOST_TEST(send_now(pair.server, std::as_bytes(std::span{"x", 1})) == 1);
  settle();
  BOOST_TEST(send_now(pair.server, std::as_bytes(std::span{"x", 1})) == -EPIPE);
}

BOOST_AUTO_TEST_CASE(overflowed_completions_keep_their_order) {
  rig r(64);
  const auto pair = r.connect_pair();
  shut_down_writing(pair.server);
  // 128 failing sends in two submissions, and room for 64 completions.
  for (std::uint32_t i = 0; i < 128; ++i) r.uring->send_inline(tag(operation::inline_send, i), pair.server, "x", 1);
  r.uring->submit();
  std::uint32_t next = 0;
  for (const completion& done : r.all()) BOOST_TEST(done.tag.slot == next++);
  BOOST_TEST(next == 128u);
}

BOOST_AUTO_TEST_CASE(an_operation_on_a_closed_descriptor_answers_ebadf) {
  rig r;
  const auto pair = r.connect_pair();
  r.close_early(pair.server);
  r.uring->send_inline(tag(operation::inline_send), pair.server, "x", 1);
  const auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == -EBADF);
}

BOOST_AUTO_TEST_CASE(a_second_listener_needs_reuse_port) {
  rig r;
  const socket_address address = local_address_of(r.listening);
  BOOST_TEST(!check_port_is_free(address).has_value());
  const auto second = listen_on(address, 16);
  BOOST_TEST_REQUIRE(second.has_value());
  r.descriptors.push_back(*second);
}

BOOST_AUTO_TEST_SUITE_END()

// How Linux treats receiving, accepting, polling and doorbells, as cases that the real kernel and the simulated one both pass.
// The program is linked twice. A case that only one of them passes is a mistake in the simulation.
#include "tests/sim/rigs/conformance_rig.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::engine;
using namespace ringcast::sim;

BOOST_AUTO_TEST_SUITE(conformance_receiving)

BOOST_AUTO_TEST_CASE(the_end_of_a_stream_ends_the_receive_without_a_buffer) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4096, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  BOOST_TEST(r.all().size() == 0u);
  say(pair.client, "abc");
  shutdown(pair.client, SHUT_WR);
  settle();
  r.provide(1);
  const auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 2u);
  BOOST_TEST(done[0].result == 3);
  BOOST_TEST(done[0].more);
  BOOST_TEST(done[0].has_buffer);
  BOOST_TEST(r.text(done[0]) == "abc");
  BOOST_TEST(done[1].result == 0);
  BOOST_TEST(!done[1].more);
  BOOST_TEST(!done[1].has_buffer);
}

BOOST_AUTO_TEST_CASE(a_receive_armed_without_buffers_ends_with_enobufs_at_once) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4096, false);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  r.uring->submit();
  const auto done = r.ready();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == -ENOBUFS);
  BOOST_TEST(!done[0].more);
  BOOST_TEST(!done[0].has_buffer);
}

BOOST_AUTO_TEST_CASE(enobufs_leaves_the_bytes_in_the_socket) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4, false);
  r.provide(2);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  say(pair.client, "abcdef");
  settle();
  auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 2u);
  BOOST_TEST(done[0].result == 4);
  BOOST_TEST(done[0].buffer_id == 2);
  BOOST_TEST(r.text(done[0]) == "abcd");
  BOOST_TEST(done[1].result == -ENOBUFS);
  BOOST_TEST(!done[1].more);
  r.provide(1);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  r.uring->submit(); // It is there, so it is received within the submission, without GETEVENTS.
  done = r.ready();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(r.text(done[0]) == "ef");
  BOOST_TEST(done[0].more);
}

BOOST_AUTO_TEST_CASE(a_receive_that_is_armed_once_takes_one_buffer_and_is_over) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4, false);
  for (std::uint16_t id = 0; id < 4; ++id) r.provide(id);
  r.uring->arm_receive_once(tag(operation::receive), pair.server, 3);
  BOOST_TEST(r.all().size() == 0u);
  say(pair.client, "abcdef");
  settle();
  auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(r.text(done[0]) == "abcd");
  BOOST_TEST(!done[0].more);
  say(pair.client, "gh");
  settle();
  BOOST_TEST(r.all().size() == 0u);
  r.uring->arm_receive_once(tag(operation::receive), pair.server, 3);
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(r.text(done[0]) == "efgh");
  BOOST_TEST(!done[0].more);
}

BOOST_AUTO_TEST_CASE(an_incremental_buffer_is_filled_piece_by_piece) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(2, 16, true);
  if (!r.uring->features().incremental_buffers) return; // A kernel before 6.12.
  r.provide(0);
  r.provide(1);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  say(pair.client, "0123456789");
  settle();
  auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].buffer_continues);
  BOOST_TEST(done[0].buffer_id == 0);
  BOOST_TEST(r.buffers->bufs[0].len == 6u);
  say(pair.client, "abcdefghij");
  settle();
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 2u);
  BOOST_TEST(done[0].result == 6);
  BOOST_TEST(!done[0].buffer_continues);
  BOOST_TEST(r.text(done[0], 10) == "abcdef");
  BOOST_TEST(done[1].result == 4);
  BOOST_TEST(done[1].buffer_id == 1);
  BOOST_TEST(done[1].buffer_continues);
  BOOST_TEST(r.text(done[1]) == "ghij");
}

BOOST_AUTO_TEST_CASE(a_cancel_answers_before_what_it_cancels) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4096, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  BOOST_TEST(r.all().size() == 0u);
  say(pair.client, "stays"); // Bytes that arrived but were not yet received stay in the socket.
  settle();
  r.uring->arm_cancel(tag(operation::cancel), tag(operation::receive));
  r.uring->arm_cancel(tag(operation::cancel, 2), tag(operation::receive, 99));
  r.uring->submit();
  auto done = r.ready();
  BOOST_TEST_REQUIRE(done.size() == 2u);
  BOOST_TEST(done[0].result == 0);
  BOOST_TEST(done[1].result == -ENOENT);
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST((done[0].tag.op == operation::receive));
  BOOST_TEST(done[0].result == -ECANCELED);
  BOOST_TEST(!done[0].more);
  BOOST_TEST(drain(pair.server) == 5u);
}

BOOST_AUTO_TEST_CASE(an_accept_goes_on_until_it_is_cancelled) {
  rig r;
  r.uring->arm_accept(tag(operation::accept), r.listening);
  r.connect_client();
  r.connect_client();
  settle();
  auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 2u);
  for (const completion& accepted : done) {
    BOOST_TEST(accepted.result >= 0);
    BOOST_TEST(accepted.more);
    r.descriptors.push_back(accepted.result);
  }
  r.uring->arm_cancel(tag(operation::cancel), tag(operation::accept));
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 2u);
  BOOST_TEST(done[1].result == -ECANCELED);
}

BOOST_AUTO_TEST_CASE(an_accept_ends_with_emfile_and_the_connection_waits) {
  rig r;
  r.connect_client();
  settle();
  forbid_descriptors();
  r.uring->arm_accept(tag(operation::accept), r.listening);
  auto done = r.all();
  allow_descriptors();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == -EMFILE);
  BOOST_TEST(!done[0].more);
  r.uring->arm_accept(tag(operation::accept), r.listening);
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result >= 0);
  r.descriptors.push_back(done[0].result);
}

BOOST_AUTO_TEST_CASE(emfile_comes_even_before_there_is_a_connection) {
  rig r;
  forbid_descriptors();
  r.uring->arm_accept(tag(operation::accept), r.listening);
  const auto done = r.all();
  allow_descriptors();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == -EMFILE);
}

BOOST_AUTO_TEST_CASE(a_multishot_poll_tells_each_arrival_once) {
  rig r;
  const auto pair = r.connect_pair();
  say(pair.client, "a");
  settle();
  r.uring->arm_poll_receive(tag(operation::poll_receive), pair.server);
  auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u); // What is there when it is armed.
  BOOST_TEST((done[0].result & POLLIN) != 0);
  BOOST_TEST(done[0].more);
  BOOST_TEST(r.all().size() == 0u); // It is still there, and is not told again.
  say(pair.client, "b");
  settle();
  say(pair.client, "c");
  settle();
  done = r.all(); // Two arrivals before the ring is entered are one completion.
  BOOST_TEST(done.size() == 1u);
  say(pair.client, "d");
  settle();
  BOOST_TEST(drain(pair.server) == 4u);
  BOOST_TEST(r.all().size() == 1u); // It was read meanwhile, but a single arrival is told as it was noticed.
  say(pair.client, "e");
  settle();
  say(pair.client, "f");
  settle();
  BOOST_TEST(drain(pair.server) == 2u);
  BOOST_TEST(r.all().size() == 0u); // After several the socket is asked again, and nothing is there any more.
  shutdown(pair.client, SHUT_WR);
  settle();
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST((done[0].result & POLLRDHUP) != 0);
  BOOST_TEST(done[0].more);
}

BOOST_AUTO_TEST_CASE(a_multishot_poll_outlives_the_shutdown_of_its_socket) {
  rig r;
  const auto pair = r.connect_pair();
  r.uring->arm_poll_receive(tag(operation::poll_receive), pair.server);
  BOOST_TEST(r.all().size() == 0u);
  shut_down(pair.server);
  settle();
  auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST((done[0].result & POLLHUP) != 0);
  BOOST_TEST(done[0].more); // Only a cancel ends it.
  r.uring->arm_cancel(tag(operation::cancel), tag(operation::poll_receive));
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 2u);
  BOOST_TEST(done[1].result == -ECANCELED);
  BOOST_TEST(!done[1].more);
}

BOOST_AUTO_TEST_CASE(a_doorbell_gives_its_count_and_becomes_quiet) {
  rig r;
  const int bell = eventfd(0, EFD_CLOEXEC);
  r.descriptors.push_back(bell);
  std::uint64_t value = 0;
  r.uring->arm_doorbell(tag(operation::doorbell), bell, &value);
  BOOST_TEST(r.all().size() == 0u);
  const std::uint64_t one = 1;
  BOOST_TEST(write(bell, &one, sizeof one) == 8);
  BOOST_TEST(write(bell, &one, sizeof one) == 8);
  settle();
  const auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == 8);
  BOOST_TEST(value == 2u);
  BOOST_TEST(!done[0].more);
}

BOOST_AUTO_TEST_CASE(a_receive_that_emptied_the_socket_does_not_ask_for_another_buffer) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 4, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  say(pair.client, "abcd");
  settle();
  auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].more);
  say(pair.client, "e");
  settle();
  done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == -ENOBUFS);
}

BOOST_AUTO_TEST_CASE(a_receive_takes_at_most_33_buffers_at_a_time) {
  rig r(512);
  const auto pair = r.connect_pair();
  r.provide_ring(128, 1, false);
  for (std::uint16_t id = 0; id < 128; ++id) r.provide(id);
  say(pair.client, std::string(100, 'x'));
  settle();
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  r.uring->submit();
  BOOST_TEST(r.ready().size() == 33u);
  r.uring->submit_and_wait({.timeout_ns = 0});
  BOOST_TEST(r.ready().size() == 33u);
  BOOST_TEST(r.all().size() == 34u);
}

BOOST_AUTO_TEST_CASE(a_wait_runs_the_work_of_at_most_20_operations) {
  rig r(512);
  r.provide_ring(64, 16, false);
  for (std::uint16_t id = 0; id < 64; ++id) r.provide(id);
  std::vector<int> clients;
  for (std::uint32_t i = 0; i < 30; ++i) {
    const auto pair = r.connect_pair();
    clients.push_back(pair.client);
    r.uring->arm_receive(tag(operation::receive, i), pair.server, 3);
  }
  BOOST_TEST(r.all().size() == 0u);
  for (const int client : clients) say(client, "x");
  settle();
  r.uring->submit_and_wait({.timeout_ns = 0});
  const auto first = r.ready();
  BOOST_TEST_REQUIRE(!first.empty());
  BOOST_TEST(first.size() <= 20u);
  BOOST_TEST(r.all().size() == 30 - first.size());
}

BOOST_AUTO_TEST_CASE(a_full_completion_queue_ends_a_multishot_and_loses_nothing) {
  rig r(64);
  const auto pair = r.connect_pair();
  r.provide_ring(256, 1, false);
  for (std::uint16_t id = 0; id < 256; ++id) r.provide(id);
  std::string sent;
  for (int i = 0; i < 200; ++i) sent.push_back(static_cast<char>('a' + i % 26));
  say(pair.client, sent);
  settle();
  std::string received;
  bool armed = false;
  int endings = 0;
  for (int i = 0; i < 40 && received.size() < sent.size(); ++i) {
    if (!armed) r.uring->arm_receive(tag(operation::receive), pair.server, 3);
    armed = true;
    for (const completion& done : r.all()) {
      if (done.result > 0) received += r.text(done);
      if (!done.more) {
        armed = false;
        ++endings;
      }
    }
  }
  BOOST_TEST(received == sent);
  BOOST_TEST(endings > 0);
}

BOOST_AUTO_TEST_CASE(shutting_a_listener_down_ends_its_accept) {
  rig r;
  r.uring->arm_accept(tag(operation::accept), r.listening);
  BOOST_TEST(r.all().size() == 0u);
  shut_down(r.listening);
  settle();
  const auto done = r.all();
  BOOST_TEST_REQUIRE(done.size() == 1u);
  BOOST_TEST(done[0].result == -EINVAL);
  BOOST_TEST(!done[0].more);
  BOOST_TEST(r.connect_client() == -1);
}

BOOST_AUTO_TEST_SUITE_END()

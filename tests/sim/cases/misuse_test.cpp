// The simulated kernel stops a run in which the engine does what no correct user of io_uring does, with a sentence.
#include "tests/sim/kernel/kernel.hpp"
#include "tests/sim/kernel/ring_state.hpp"
#include "tests/sim/rigs/conformance_rig.hpp"

#include <boost/test/unit_test.hpp>
#include <thread>

using namespace ringcast;
using namespace ringcast::engine;
using namespace ringcast::sim;

namespace {

// Runs `act` and answers what the kernel said against it, or nothing.
template <class Act> std::string objection(Act&& act) {
  try {
    act();
  } catch (const misuse& said) {
    return said.what();
  }
  return {};
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

struct long_send {
  explicit long_send(std::size_t bytes) : content(bytes, 'x'), piece{content.data(), content.size()} {
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
  }
  std::string content;
  iovec piece;
  msghdr header{};
};

} // namespace

BOOST_AUTO_TEST_SUITE(misuse_of_the_kernel)

BOOST_AUTO_TEST_CASE(two_sends_in_flight_on_one_socket) {
  rig r;
  const auto pair = r.connect_pair();
  const long_send first(1'000'000);
  r.uring->arm_send(tag(operation::send), pair.server, &first.header);
  r.uring->send_inline(tag(operation::inline_send), pair.server, "x", 1);
  BOOST_TEST(contains(objection([&] { r.uring->submit(); }), "while another one is in flight"));
}

BOOST_AUTO_TEST_CASE(a_plain_send_beside_one_of_the_ring) {
  rig r;
  const auto pair = r.connect_pair();
  const long_send first(1'000'000);
  r.uring->arm_send(tag(operation::send), pair.server, &first.header);
  r.uring->submit();
  BOOST_TEST(contains(objection([&] { say(pair.server, "x"); }), "while another one is in flight"));
}

BOOST_AUTO_TEST_CASE(a_send_before_the_short_count_of_the_last_one_was_seen) {
  rig r;
  const auto pair = r.connect_pair();
  const long_send first(1'000'000);
  r.uring->send_inline(tag(operation::inline_send), pair.server, &first.header);
  r.uring->submit();
  r.uring->send_inline(tag(operation::inline_send), pair.server, "x", 1);
  BOOST_TEST(contains(objection([&] { r.uring->submit(); }), "before the short count"));
}

BOOST_AUTO_TEST_CASE(a_send_after_the_short_count_was_seen_is_fine) {
  rig r;
  const auto pair = r.connect_pair();
  const long_send first(1'000'000);
  r.uring->send_inline(tag(operation::inline_send), pair.server, &first.header);
  r.uring->submit();
  BOOST_TEST(r.ready().size() == 1u);
  r.uring->send_inline(tag(operation::inline_send), pair.server, "x", 1);
  BOOST_TEST(objection([&] { r.uring->submit(); }) == "");
}

BOOST_AUTO_TEST_CASE(the_bytes_of_a_waiting_send_are_changed) {
  rig r;
  const auto pair = r.connect_pair();
  long_send first(1'000'000);
  r.uring->arm_send(tag(operation::send), pair.server, &first.header);
  r.uring->submit();
  first.content[999'999] = 'y';
  settle();
  drain(pair.client);
  BOOST_TEST(contains(objection([&] { r.all(); }), "were changed before it completed"));
}

BOOST_AUTO_TEST_CASE(two_receives_on_one_socket) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 64, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  BOOST_TEST(contains(objection([&] { r.uring->submit(); }), "two receives"));
}

BOOST_AUTO_TEST_CASE(a_buffer_is_provided_twice) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 64, false);
  r.provide(0);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  BOOST_TEST(contains(objection([&] { r.uring->submit(); }), "provided twice"));
}

BOOST_AUTO_TEST_CASE(buffers_that_share_memory) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 64, false);
  r.provide(0);
  r.provide(1);
  r.buffers->bufs[1].addr = r.buffers->bufs[0].addr + 63;
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  BOOST_TEST(contains(objection([&] { r.uring->submit(); }), "share memory"));
}

BOOST_AUTO_TEST_CASE(the_entry_of_a_provided_buffer_is_changed) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 64, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  r.uring->submit();
  r.buffers->bufs[0].len = 65;
  say(pair.client, "x");
  settle();
  BOOST_TEST(contains(objection([&] { r.all(); }), "was changed while it was the kernel's"));
}

BOOST_AUTO_TEST_CASE(another_thread_enters_the_ring) {
  rig r;
  std::string said;
  std::thread([&] { said = objection([&] { r.uring->submit_and_wait({.timeout_ns = 0}); }); }).join();
  BOOST_TEST(contains(said, "by another thread"));
}

BOOST_AUTO_TEST_CASE(a_descriptor_is_closed_twice) {
  rig r;
  const auto pair = r.connect_pair();
  r.close_early(pair.server);
  BOOST_TEST(contains(objection([&] { close(pair.server); }), "not open"));
}

BOOST_AUTO_TEST_CASE(a_descriptor_is_closed_with_operations_in_flight) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 64, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  r.uring->submit();
  kernel::current()->close_in_flight_is_misuse = true;
  BOOST_TEST(contains(objection([&] { close(pair.server); }), "operations in flight"));
  kernel::current()->close_in_flight_is_misuse = false;
}

BOOST_AUTO_TEST_CASE(a_plain_send_that_may_raise_sigpipe) {
  rig r;
  const auto pair = r.connect_pair();
  BOOST_TEST(contains(objection([&] { (void)send(pair.server, "x", 1, 0); }), "MSG_NOSIGNAL"));
}

BOOST_AUTO_TEST_CASE(what_is_left_at_the_end_is_listed) {
  rig r;
  const auto pair = r.connect_pair();
  r.provide_ring(4, 64, false);
  r.provide(0);
  r.uring->arm_receive(tag(operation::receive), pair.server, 3);
  say(pair.client, std::string(64, 'x'));
  settle();
  BOOST_TEST(r.all().size() == 1u);
  std::string all;
  for (const std::string& line : kernel::current()->leaks()) all += line + "\n";
  BOOST_TEST(contains(all, "a socket with 1 operations in flight"));
  BOOST_TEST(contains(all, "1 buffers of group 3 were not given back"));
  BOOST_TEST(contains(all, "a listener"));
}

BOOST_AUTO_TEST_CASE(nothing_is_left_at_the_end_of_a_tidy_run) {
  const auto world = make_world();
  {
    rig r;
    const auto pair = r.connect_pair();
    say(pair.client, "x");
    settle();
    drain(pair.server);
  }
  BOOST_TEST(kernel::current()->leaks().empty());
}

BOOST_AUTO_TEST_SUITE_END()

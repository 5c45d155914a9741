// Each allocation of a size that peers decide fails once, one after the other, until a run meets none: a connection ends, the shard goes on, and
// at the end nothing is left over.
#include "tests/sim/rigs/memory_rig.hpp"
#include "tests/sim/rigs/scarce_memory.hpp"
#include <ringcast/ringcast.hpp>

namespace ringcast::sim {

using namespace engine;

namespace {

// Only the shard's own turns may fail: the peers and the network of the simulation have all the memory that they want.
void run_with_failures(memory_rig& rig, std::uint64_t number, std::size_t bytes_min, const std::function<void()>& script, bool& failed) {
  fail_allocation(number, bytes_min);
  script();
  failed = end_of_failing();
  rig.run_for(20);
}

} // namespace

BOOST_AUTO_TEST_SUITE(no_memory)

BOOST_AUTO_TEST_CASE(an_allocation_that_fails_ends_a_connection_and_never_the_process) {
  if (!allocations_can_fail()) return;
  // Above what the simulation itself allocates in a turn of the shard, below the least block of an unfinished message that grows.
  constexpr std::size_t bytes_min = partial_bytes_min;
  std::uint64_t number = 1, ended = 0;
  bool failed = true;
  for (; failed && number < 500; ++number) {
    BOOST_TEST_CONTEXT("allocation " << number) {
      memory_rig rig;
      std::size_t echoed = 0;
      peer& honest = rig.add("/echo");
      honest.on_message = [&](const peer_message&) { ++echoed; };
      peer& sender = rig.add("/echo");
      peer& member = rig.add("/broadcast/a");
      peer& deaf_member = rig.add("/broadcast/a");
      peer& poster = rig.add();
      for (peer* p : {&sender, &member, &poster}) p->on_message = [](const peer_message&) {};
      rig.run_for(50);
      rig.deaf.insert(&deaf_member);
      run_with_failures(
          rig, number, bytes_min,
          [&] {
            sender.send_message(opcode::binary, std::string(200'000, 'x'), 3);
            sender.send_message(opcode::binary, std::string(300'000, 'x'));
            member.send_message(opcode::binary, std::string(150'000, 'x'));
            poster.send_bytes("POST /rooms/a/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + std::string(90'000, 'x'));
            // The bytes stand in the peers already.
            for (int i = 0; i < 200; ++i) rig.step();
          },
          failed);
      rig.run_for(500);
      honest.send_message(opcode::text, "there?");
      rig.run_for(50);
      BOOST_TEST(echoed == (honest.is_over() ? 0u : 1u));
      ended += rig.own().counters().allocations_failed;
      BOOST_TEST(rig.own().connection_count() >= 1u);
      const auto left = rig.end();
      for (const std::string& what : left) BOOST_TEST_ERROR(what);
    }
  }
  BOOST_TEST(ended > 5u);
  BOOST_TEST(number > 10u); // it did fail, at many places
  BOOST_TEST(!failed);      // and has met them all
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

// A shard whose neighbour does not take what it is sent: the lane fills, the rest waits with the sender up to its bound, and then the sender
// takes no input until the neighbour has made room. Nothing is lost or reordered.
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/payload.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <boost/test/unit_test.hpp>
#include <list>

namespace ringcast::sim {

using namespace engine;

BOOST_AUTO_TEST_SUITE(mesh_overflow)

BOOST_AUTO_TEST_CASE(a_shard_waits_for_a_neighbour_that_does_not_take_its_records) {
  kernel world(1, {}, {.send_bytes_min = 1u << 22, .send_bytes_max = 1u << 22, .receive_bytes_min = 1u << 22, .receive_bytes_max = 1u << 22});
  engine_world engine(world, {.shards = 2, .lane_bytes = 64 * 1024});
  const auto settle = [&](peer& p) {
    for (int i = 0; i < 200; ++i) {
      p.act(true);
      engine.step();
      (void)world.sleep(1'000'000);
    }
  };
  // A member on shard 0 of a room whose home is shard 1.
  std::list<peer> members;
  peer* member = nullptr;
  for (int i = 0; member == nullptr && i < 50; ++i) {
    peer& p = members.emplace_back(world);
    const std::uint32_t on_first = engine.at(0).connection_count();
    const std::size_t homes = engine.at(1).home().size();
    BOOST_REQUIRE(p.connect(engine_world::port));
    p.ask_for_websocket(fmt::format("/broadcast/room-{}", i));
    settle(p);
    if (engine.at(0).connection_count() > on_first && engine.at(1).home().size() > homes) member = &p;
  }
  BOOST_REQUIRE(member != nullptr);

  std::uint32_t heard = 0;
  member->on_message = [&](const peer_message& m) {
    const auto what = check_payload(m.payload);
    BOOST_TEST((what && what->number == ++heard));
  };
  std::uint32_t yields = 0;
  world.on_yield = [&] {
    ++yields;
    engine.turn_of(1);
  };
  // Shard 1 sleeps meanwhile, but for the turns that it gets when shard 0 waits for it.
  constexpr std::uint32_t count = 1200;
  for (std::uint32_t i = 1; i <= count; ++i) member->send_message(opcode::text, make_payload({1, i}, 10'000));
  for (int i = 0; i < 3000 && (yields == 0 || i < 100); ++i) {
    member->act(true);
    world.advance_by(100'000);
    engine.turn_of(0);
  }
  BOOST_TEST(yields > 0);
  for (int i = 0; i < 20 && heard < count; ++i) settle(*member);
  BOOST_TEST(heard == count);
  BOOST_TEST(member->complaint() == "");
  for (peer& p : members) p.close();
  engine.begin_stop();
  for (int i = 0; i < 5000 && !engine.has_stopped(); ++i) {
    engine.step();
    (void)world.sleep();
  }
  BOOST_TEST(engine.has_stopped());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

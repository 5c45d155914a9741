// A connection on which nobody says anything, with the limits that nobody has changed: proxies end it after 60 s (nginx's
// proxy_read_timeout, most load balancers), so either side says a ping well before that.
#include "tests/sim/rigs/client_rig.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <boost/test/unit_test.hpp>

namespace ringcast::sim {

using namespace engine;

namespace {

constexpr std::uint64_t ping_within_ms = 25'000;
constexpr std::uint64_t slack_ms = 100; // the tick of the timers, and the way to the peer

} // namespace

BOOST_AUTO_TEST_SUITE(silence)

BOOST_AUTO_TEST_CASE(an_idle_peer_hears_a_ping_of_the_server_every_25_seconds) {
  for (const bool is_named_chat : {false, true}) {
    kernel world(1);
    engine_world engine(world, {});
    peer p(world);
    BOOST_REQUIRE(p.connect(engine_world::port));
    p.ask_for_websocket(is_named_chat ? "/chat/room?name=n" : "/echo");
    const auto run_until_ms = [&](std::uint64_t until_ms) {
      while (world.now_ns() < until_ms * 1'000'000) {
        p.act(true);
        engine.step();
        (void)world.sleep(10'000'000);
      }
    };
    const std::uint64_t begin_ms = world.now_ns() / 1'000'000;
    for (std::uint32_t pings = 1; pings <= 5; ++pings) {
      // Each ping's answer ends the silence that the next one is measured from.
      run_until_ms(begin_ms + pings * (ping_within_ms + slack_ms));
      BOOST_TEST(p.pings_heard() == pings);
    }
    BOOST_TEST((p.now() == peer::state::open));
    BOOST_TEST(p.complaint() == "");
    p.close();
    engine.begin_stop();
    for (int i = 0; i < 5'000 && !engine.has_stopped(); ++i) {
      engine.step();
      (void)world.sleep();
    }
    for (const std::string& left : engine.remains()) BOOST_TEST(left == "");
  }
}

BOOST_AUTO_TEST_CASE(an_idle_server_hears_a_ping_of_the_client_every_25_seconds) {
  client_rig rig(1);
  rig.c.reset();
  rig.c = rig.make({});
  rig.start();
  BOOST_TEST(rig.run_until([&] { return rig.journal->is_open(); }, "the client is open"));
  for (std::uint32_t pings = 1; pings <= 5; ++pings) {
    rig.run_for(ping_within_ms + slack_ms);
    BOOST_TEST(rig.servers.front().pings_heard == pings);
  }
  BOOST_TEST(rig.servers.size() == 1u);
  for (const std::string& failure : rig.end()) BOOST_TEST(failure == "");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

// Peers for a program that does whatever the library lets it do at "/wild" and "POST /ask": they talk, break rules, stop reading and vanish, on
// a machine, with faults and limits of the seed, until the server stops.
#pragma once

#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <list>
#include <utility>

namespace ringcast::sim {

using namespace engine;

// Judged here: no peer is told what it must not be, the shards end, and no connection and no task is left.
inline void run_wild_peers(std::uint64_t seed, std::function<void(server&)> routes) {
  random_source draw(seed * 77 + 5);
  kernel world(seed, {}, draw_machine(draw));
  world.close_in_flight_is_misuse = true;
  engine_options options;
  options.shards = static_cast<std::uint32_t>(draw.between(1, 3));
  options.each.policy = static_cast<slow_consumer>(draw.below(4));
  options.each.limits.send_queue_bytes_max = std::uint64_t{1} << draw.between(11, 17);
  options.each.compression.mode = static_cast<compression_mode>(draw.below(3));
  options.ring.submission_entries = 1u << draw.between(2, 8);
  options.ring.completion_entries = std::max(options.ring.submission_entries, 1u << draw.between(4, 9));
  options.routes = std::move(routes);
  engine_world engine(world, options);
  world.faults = draw_faults(draw);
  world.faults.reset = 0.01;
  std::list<peer> peers;
  for (int step = 0; step < 1500; ++step) {
    if (peers.size() < 20 && draw.below(3) == 0) {
      peer& p = peers.emplace_back(world);
      if (draw.below(2) == 0) p.offers = deflate_offer{};
      BOOST_REQUIRE(p.connect(engine_world::port));
      if (draw.below(5) == 0)
        p.ask("POST", "/ask", "x");
      else
        p.ask_for_websocket("/wild");
    }
    for (peer& p : peers) {
      if (p.now() == peer::state::open) switch (draw.below(40)) {
        case 0: p.send_close(1000); break;
        case 1: p.reset(); break;
        case 2: p.send_bytes("\x83\x80nonsense"); break; // an opcode that there is not
        case 3: p.half_close(); break;
        case 4: p.send_ping("x"); break;
        default:
          if (draw.below(4) == 0) p.send_message(opcode::text, std::string(draw.below(2000), 'p'));
        }
      if (!p.is_over()) p.act(draw.below(4) != 0);
      // It asked, and was told nothing or something that does not end it; it goes.
      if (!p.is_over() && draw.below(300) == 0) p.reset();
    }
    std::erase_if(peers, [](peer& p) {
      if (!p.is_over()) return false;
      BOOST_TEST(p.complaint() == "");
      return true;
    });
    engine.step();
    if (draw.below(3) == 0) (void)world.sleep(300'000'000);
  }
  engine.begin_stop();
  for (int i = 0; i < 20'000 && !engine.has_stopped(); ++i) {
    for (peer& p : peers)
      if (!p.is_over()) p.act(true);
    engine.step();
    // A shard that has ended never says that it sleeps.
    if (!world.sleep()) world.advance_by(1'000'000);
  }
  BOOST_TEST(engine.has_stopped());
  for (std::uint32_t i = 0; i < engine.shard_count(); ++i) {
    BOOST_TEST(engine.at(i).connection_count() == 0u);
    BOOST_TEST(engine.at(i).coroutines().task_count() == 0u);
  }
}

} // namespace ringcast::sim

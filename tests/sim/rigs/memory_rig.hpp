// Peers that make one shard of the real engine hold memory, and what it holds.
#pragma once

#include "apps/ringcast-server/endpoints.hpp"
#include "proto/frame_writer.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <boost/test/unit_test.hpp>
#include <list>
#include <set>
#include <string>

namespace ringcast::sim {

using namespace engine;

// The beginning of a masked frame that announces so many bytes and brings these.
inline std::string frame_beginning(std::size_t announced, std::size_t brought, opcode op = opcode::binary, bool fin = true) {
  std::string out(frame_header_bytes_max + brought, 'x');
  const std::size_t header = write_masked_frame_header(reinterpret_cast<std::byte*>(out.data()), op, announced, 0, fin);
  out.resize(header + brought, 'x');
  return out;
}

struct memory_rig {
  explicit memory_rig(const shard_options& each = {}, std::function<void(server&)> more_routes = {}, const fault_plan& faults = {})
      : world(1, faults, {.send_bytes_min = 1u << 16, .send_bytes_max = 1u << 16, .receive_bytes_min = 1u << 16, .receive_bytes_max = 1u << 16}),
        engine(std::make_unique<engine_world>(world, engine_options{.shards = 1, .each = each, .routes = [more = std::move(more_routes)](server& s) {
                                                                      add_endpoints(s);
                                                                      if (more) more(s);
                                                                    }})) {}

  shard& own() { return engine->at(0); }
  std::uint64_t held() { return own().ledger().held_bytes(); }

  peer& add(std::string_view target = {}) {
    peer& p = peers.emplace_back(world);
    BOOST_REQUIRE(p.connect(engine_world::port));
    if (!target.empty()) p.ask_for_websocket(target);
    return p;
  }
  // Everybody but those that do not read goes on for so long.
  void run_for(std::uint64_t ms) {
    const std::uint64_t until = world.now_ns() + ms * 1'000'000;
    while (world.now_ns() < until) step();
  }
  void step() {
    for (peer& p : peers) p.act(!deaf.contains(&p));
    engine->step();
    (void)world.sleep(1'000'000);
    world.advance_by(100'000);
  }
  // The peers leave, and the shard stops; what is left over then.
  std::vector<std::string> end() {
    for (peer& p : peers) p.close();
    engine->begin_stop();
    for (int i = 0; i < 20'000 && !engine->has_stopped(); ++i) {
      engine->step();
      (void)world.sleep();
    }
    BOOST_TEST(engine->has_stopped());
    return engine->remains();
  }

  kernel world;
  std::unique_ptr<engine_world> engine;
  std::list<peer> peers;
  std::set<const peer*> deaf;
};

} // namespace ringcast::sim

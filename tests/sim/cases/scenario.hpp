// One simulated run of the whole engine, from a seed. How it works:
//
//   1. The seed draws the machine, the faults, the shards and their lanes, compression, the slow-consumer policy and the limits.
//   2. A witness joins each room. Then, for as many steps as asked, scripted clients come and go: some echo, some talk in
//      rooms, some chat under a name, some publish over HTTP, some read slowly, some break the protocol, some are cut off.
//   3. Everybody falls silent and reads. When nothing moves any more, each room gets a last message over HTTP, and its
//      report and the room's listing must count exactly who is there.
//   4. What everybody heard is judged (room_checker). Everybody leaves, and the engine must hold nothing any more; it is
//      stopped, and the kernel must hold nothing any more.
#pragma once

#include "engine/room/room.hpp"
#include "tests/sim/kernel/faults.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ringcast::sim {

using namespace engine;

struct scenario_options {
  std::uint64_t seed = 1;
  std::uint32_t steps = 300;
  bool trace = false;
  bool calm = false;                       // no faults
  std::optional<slow_consumer> policy;     // else the seed's
  std::optional<std::uint32_t> shards;
  std::optional<bool> secure; // TLS, else the seed's
};

struct scenario_result {
  std::vector<std::string> failures;
  std::string drawn; // what the seed drew, in one line
  std::map<std::string, std::uint64_t> happened;
  std::uint64_t messages_heard = 0;
  std::uint64_t messages_echoed = 0;
  std::uint64_t gaps = 0;
};

[[nodiscard]] scenario_result run_scenario(const scenario_options& options);

} // namespace ringcast::sim

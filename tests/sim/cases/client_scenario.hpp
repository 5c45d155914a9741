// One simulated run of the library's clients against the library's server, from a seed. How it works:
//
//   1. The seed draws the machine, the faults, the server's shards, ws or wss, and for each client what it does
//   offline, how it comes back
//      and how much it may queue.
//   2. For as many steps as asked, users send to /echo, disconnect, connect again and hold their input; connections are
//   reset; the server is
//      asked to stop (1001), or it dies in the middle of everything, and another one starts later.
//   3. The faults end, the server is there, and whoever was closed connects again. Each client must be open, with
//   nothing queued, every
//      message counted, and every message of its last connection echoed.
//   4. Everybody leaves. Nothing may be left in the clients' shard, in the server and in the kernel.
#pragma once

#include "tests/sim/cases/scenario.hpp"

namespace ringcast::sim {

using namespace engine;

[[nodiscard]] scenario_result run_client_scenario(const scenario_options& options);

} // namespace ringcast::sim

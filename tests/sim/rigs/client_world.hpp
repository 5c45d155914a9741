// The shard of a client_loop on the simulated kernel: without listeners and neighbours, turned by the test and not by a
// thread.
#pragma once

#include "engine/client/client_host.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/shard/http_router.hpp"
#include "engine/shard/shard.hpp"
#include "tests/sim/kernel/kernel.hpp"
#include <ringcast/client.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringcast::sim {

using namespace engine;

// A client on a shard that the test turns.
struct hosted_client : client {
  hosted_client(std::string_view url, client_options options, client_host& host) : client(url, std::move(options), host) {}
};

class client_world {
 public:
  explicit client_world(kernel& world, const ring_options& ring = {.submission_entries = 64, .completion_entries = 256});
  // As the end of a client_loop: clients that are left are told.
  ~client_world();
  client_world(const client_world&) = delete;
  client_world& operator=(const client_world&) = delete;

  client_host& host() { return client_host::of(*own_); }
  shard& at() { return *own_; }

  // What other threads have for the clients (answers of the resolver), then one turn.
  void turn();
  void begin_stop();
  bool has_stopped() const { return done_; }
  // What the shard holds although no connection is left, one sentence each.
  std::vector<std::string> remains();

 private:
  kernel& world_;
  mesh alone_{1, mesh_lane_bytes};
  inbox from_threads_{alone_.bell(0), 4096};
  http_router no_routes_;
  std::unique_ptr<shard> own_;
  bool done_ = false;
};

} // namespace ringcast::sim

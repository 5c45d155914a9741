// The real engine on the simulated kernel: its shards in one thread, in an order that the seed decides.
#pragma once

#include "engine/mesh/inbox.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/shard/server_orders.hpp"
#include "engine/shard/shard.hpp"
#include "tests/sim/kernel/kernel.hpp"
#include <ringcast/server.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ringcast::sim {

using namespace engine;

struct engine_options {
  std::uint32_t shards = 1;
  shard_options each;
  ring_options ring{.submission_entries = 64, .completion_entries = 256};
  std::uint32_t lane_bytes = mesh_lane_bytes;
  std::shared_ptr<const tls_identity> identity; // TLS on secure_port, too
  std::uint16_t port = 8080;
  std::function<void(server&)> routes;          // in place of the endpoints of ringcast-server
};

class engine_world {
 public:
  static constexpr std::uint16_t port = 8080;
  static constexpr std::uint16_t secure_port = 8443;

  engine_world(kernel& world, const engine_options& options);
  ~engine_world();
  // For kernel::cut_off().
  int process() const { return process_; }

  // One turn of each shard, in an order of the seed, some left out; then everything that is due.
  void step();
  void turn_of(std::uint32_t index);
  // As server::drain() and server::stop().
  void begin_drain(const drain_options& how);
  void begin_stop();
  bool has_stopped() const;
  // Whatever the shards hold although no connection is left, one sentence each.
  std::vector<std::string> remains() const;

  shard& at(std::uint32_t index) { return *places_[index].own; }
  std::uint32_t shard_count() const { return static_cast<std::uint32_t>(places_.size()); }
  std::uint32_t connections() const;
  std::uint64_t messages_lost_to_policy() const;

 private:
  void listen(shard& s, std::uint16_t on, const tls_identity* identity);

  struct place {
    std::unique_ptr<inbox> from_threads;
    std::unique_ptr<shard> own;
    bool done = false;
  };

  kernel& world_;
  int process_;
  std::shared_ptr<const tls_identity> identity_;
  server routes_; // never started: the endpoints of ringcast-server hang on it
  server_orders orders_;
  std::unique_ptr<mesh> mesh_;
  std::vector<place> places_;
};

} // namespace ringcast::sim

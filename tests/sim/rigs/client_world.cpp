#include "tests/sim/rigs/client_world.hpp"

#include "engine/client/client_host.hpp"
#include "tests/sim/checkers/shard_remains.hpp"
#include "tests/sim/kernel/ring_state.hpp"

#include <stdexcept>

namespace ringcast::sim {

using namespace engine;

client_world::client_world(kernel& world, const ring_options& ring) : world_(world) {
  auto opened = ring::open(ring);
  if (!opened) throw std::runtime_error(opened.error());
  shard_options own;
  own.limits.close_timeout_ms = 1000;
  own_ = std::make_unique<shard>(0, own, alone_, from_threads_, no_routes_, std::move(*opened));
  (void)client_host::of(*own_); // on this thread, as in a client_loop
}

client_world::~client_world() {
  from_threads_.close();
  own_->drop_rooms();
  own_.reset();
}

void client_world::turn() {
  if (done_) return;
  world_.deliver_answers();
  world_.trace("turn of the clients");
  done_ = !own_->turn();
  if (done_) world_.entered_last->retire();
}

void client_world::begin_stop() { alone_.bell(0).ask_to_stop(); }

std::vector<std::string> client_world::remains() {
  std::vector<std::string> found;
  add_shard_remains(*own_, "the clients' shard", found);
  add_ring_remains(world_, found);
  return found;
}

} // namespace ringcast::sim

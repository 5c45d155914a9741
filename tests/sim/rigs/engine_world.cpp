#include "tests/sim/rigs/engine_world.hpp"

#include "apps/ringcast-server/endpoints.hpp"
#include "engine/connection/handle_access.hpp"
#include "engine/io/socket.hpp"
#include "tests/sim/checkers/shard_remains.hpp"
#include "tests/sim/kernel/ring_state.hpp"

#include <algorithm>
#include <utility>

namespace ringcast::sim {

using namespace engine;

namespace {

// What is opened while one of these lives belongs to that process.
struct as_process {
  as_process(kernel& k, int process) : world(k), before(std::exchange(k.process, process)) {}
  ~as_process() { world.process = before; }
  kernel& world;
  int before;
};

} // namespace

engine_world::engine_world(kernel& world, const engine_options& options)
    : world_(world), process_(++world.processes), identity_(options.identity), orders_(options.shards) {
  const as_process here(world_, process_);
  if (options.routes)
    options.routes(routes_);
  else
    add_endpoints(routes_);
  mesh_ = std::make_unique<mesh>(options.shards, options.lane_bytes);
  shard_options each = options.each;
  each.orders = &orders_;
  for (std::uint32_t i = 0; i < options.shards; ++i) {
    place& p = places_.emplace_back();
    p.from_threads = std::make_unique<inbox>(mesh_->bell(i), inbox_bytes);
    auto opened = ring::open(options.ring);
    if (!opened) throw std::runtime_error(opened.error());
    p.own = std::make_unique<shard>(i, each, *mesh_, *p.from_threads, handle_access::router_of(routes_), std::move(*opened));
    listen(*p.own, options.port, nullptr);
    if (identity_ != nullptr) listen(*p.own, secure_port, identity_.get());
  }
}

void engine_world::listen(shard& s, std::uint16_t on, const tls_identity* identity) {
  const auto listener = listen_on(*numeric_address("127.0.0.1", on), 64);
  if (!listener) throw std::runtime_error(listener.error());
  s.accepting().add_listener({.socket = *listener, .identity = identity});
}

engine_world::~engine_world() {
  for (place& p : places_) p.from_threads->close();
  for (place& p : places_) p.own->drop_rooms();
  for (place& p : places_) p.own.reset();
}

void engine_world::step() {
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < shard_count(); ++i)
    if (world_.chance.below(8) != 0) order.push_back(i);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[world_.chance.below(i)]);
  for (const std::uint32_t index : order) turn_of(index);
  world_.advance_by(world_.chance.below(30'000));
}

void engine_world::turn_of(std::uint32_t index) {
  const as_process here(world_, process_);
  place& p = places_[index];
  if (p.done) return;
  world_.trace("turn of shard {}", index);
  ++running.turns;
  p.done = !p.own->turn();
  --running.turns;
  if (p.done) world_.entered_last->retire();
}

void engine_world::begin_drain(const drain_options& how) {
  orders_.drain(how);
  for (std::uint32_t i = 0; i < shard_count(); ++i) mesh_->bell(i).ring();
}

void engine_world::begin_stop() {
  for (std::uint32_t i = 0; i < shard_count(); ++i) mesh_->bell(i).ask_to_stop();
}

bool engine_world::has_stopped() const {
  return std::ranges::all_of(places_, [](const place& p) { return p.done; });
}

std::uint32_t engine_world::connections() const {
  std::uint32_t sum = 0;
  for (const place& p : places_) sum += p.own->connection_count();
  return sum;
}

std::uint64_t engine_world::messages_lost_to_policy() const {
  std::uint64_t sum = 0;
  for (const place& p : places_)
    for (const std::uint64_t lost : p.own->rooms().counters().messages_lost) sum += lost;
  return sum;
}

std::vector<std::string> engine_world::remains() const {
  std::vector<std::string> found;
  for (std::uint32_t i = 0; i < shard_count(); ++i) add_shard_remains(*places_[i].own, fmt::format("shard {}", i), found);
  add_ring_remains(world_, found);
  return found;
}

} // namespace ringcast::sim

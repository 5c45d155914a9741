#include "tests/sim/engine_world.hpp"

#include "apps/ringcast-server/endpoints.hpp"
#include "engine/socket.hpp"
#include "tests/sim/ring_state.hpp"

#include <algorithm>

namespace ringcast::sim {

engine_world::engine_world(kernel& world, const engine_options& options) : world_(world) {
  add_endpoints(routes_);
  mesh_ = std::make_unique<mesh>(options.shards, options.lane_bytes);
  const auto address = parse_address("127.0.0.1:8080");
  for (std::uint32_t i = 0; i < options.shards; ++i) {
    place& p = places_.emplace_back();
    p.from_threads = std::make_unique<inbox>(mesh_->bell(i), inbox_bytes);
    auto opened = ring::open(options.ring);
    if (!opened) throw std::runtime_error(opened.error());
    p.own = std::make_unique<shard>(i, options.each, *mesh_, *p.from_threads, routes_.routes(), std::move(*opened));
    const auto listener = listen_on(*address, 64);
    if (!listener) throw std::runtime_error(listener.error());
    p.own->add_listener(*listener);
  }
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
  for (const std::uint32_t index : order) {
    place& p = places_[index];
    if (p.done) continue;
    world_.trace("turn of shard {}", index);
    p.done = !p.own->turn();
  }
  world_.advance_by(world_.chance.below(30'000));
}

bool engine_world::sleep(std::uint64_t most_ns) {
  for (const ring_state* ring : world_.rings())
    if (!ring->would_sleep() || ring->has_task_work() || ring->has_completions()) return false;
  const auto next = world_.next_event_ns();
  if (next && *next - world_.now_ns() <= most_ns) world_.advance_to(*next);
  return true;
}

void engine_world::begin_stop() {
  for (place& p : places_) (void)p.from_threads->push(static_cast<std::uint32_t>(shard_message::stop), {});
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
  for (const place& p : places_) sum += p.own->rooms().counters().messages_lost_to_policy;
  return sum;
}

std::vector<std::string> engine_world::remains() const {
  std::vector<std::string> found;
  for (std::uint32_t i = 0; i < shard_count(); ++i) {
    shard& s = *places_[i].own;
    if (s.connection_count() != 0) found.push_back(fmt::format("shard {} has {} connections", i, s.connection_count()));
    if (s.rooms().size() != 0) found.push_back(fmt::format("shard {} sees {} rooms", i, s.rooms().size()));
    if (s.home().size() != 0) found.push_back(fmt::format("shard {} is home of {} rooms", i, s.home().size()));
    if (s.home().chunks_waiting() != 0)
      found.push_back(fmt::format("{} chunks of shard {} are still read by somebody", s.home().chunks_waiting(), i));
  }
  for (ring_state* ring : world_.rings()) {
    const std::size_t expected = ring->operations_in_flight(IORING_OP_READ) + ring->operations_in_flight(IORING_OP_ACCEPT);
    if (ring->operations_in_flight() != expected)
      found.push_back(fmt::format("{} operations are in flight, and only {} of them are a doorbell or an accept",
                                  ring->operations_in_flight(), expected));
    if (ring->buffers_away() != 0) found.push_back(fmt::format("{} receive buffers are not with the kernel", ring->buffers_away()));
  }
  return found;
}

} // namespace ringcast::sim

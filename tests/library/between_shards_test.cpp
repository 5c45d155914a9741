// Two shards without a server around them: what their mesh does when its lanes are full, and what becomes of messages
// that nobody takes any more.
#include "engine/base/log.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/shard/http_router.hpp"
#include "engine/shard/shard.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <future>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

std::unique_ptr<ring> open_ring() {
  auto opened = ring::open({.submission_entries = 64, .completion_entries = 256});
  BOOST_REQUIRE(opened.has_value());
  return std::move(*opened);
}

// A shard on its own thread.
struct running_shard {
  mesh& between;
  inbox from_threads;
  http_router no_routes;
  std::unique_ptr<shard> own;
  std::latch started{1};
  std::thread thread;

  running_shard(mesh& m, std::uint32_t index)
      : between(m), from_threads(m.bell(index), 64 * 1024), thread([this, index] {
          own = std::make_unique<shard>(index, shard_options{}, between, from_threads, no_routes, open_ring());
          started.count_down();
          own->run();
        }) {
    started.wait();
  }

  void tell(std::function<void(shard&)> work) {
    const run_message message{new std::function<void(shard&)>(std::move(work))};
    BOOST_REQUIRE((from_threads.push(static_cast<std::uint32_t>(record_kind::run), bytes_of(message)) == inbox_result::queued));
  }
  template <class T> T ask(std::function<T(shard&)> question) {
    std::promise<T> answer;
    tell([&](shard& s) { answer.set_value(question(s)); });
    return answer.get_future().get();
  }
  void stop() { between.bell(own->index()).ask_to_stop(); }
};

} // namespace

BOOST_AUTO_TEST_SUITE(between_shards)

BOOST_AUTO_TEST_CASE(what_does_not_fit_into_the_lanes_waits_within_its_bound_and_all_of_it_arrives) {
  constexpr std::uint32_t records = 24'000, payload_bytes = 1024;
  static_assert(std::uint64_t{records} * payload_bytes > 2 * mesh_overflow_bytes_max);
  mesh between{2, 64 * 1024};
  running_shard one{between, 0}, other{between, 1};
  const std::array<running_shard*, 2> both{&one, &other};
  // Each says more to the other in one turn than may wait, so each must go on taking what the other says.
  std::array<std::promise<std::uint64_t>, 2> said;
  for (std::uint32_t i = 0; i < 2; ++i)
    both[i]->tell([&said, i](shard& s) {
      static const std::array<std::byte, payload_bytes> payload{};
      const deliver_record to_nobody{};
      for (std::uint32_t n = 0; n < records; ++n) s.deliver(1 - i, record_kind::deliver, bytes_of(to_nobody), payload);
      said[i].set_value(s.counters().turns);
    });
  for (std::uint32_t i = 0; i < 2; ++i) {
    const std::uint64_t turn = said[i].get_future().get();
    // The next turn in which the shard takes input.
    std::pair<std::uint64_t, std::size_t> seen;
    do seen = both[i]->ask<std::pair<std::uint64_t, std::size_t>>([](shard& s) { return std::pair{s.counters().turns, s.overflow_bytes()}; });
    while (seen.first == turn);
    BOOST_TEST(seen.second <= mesh_overflow_bytes_max);
  }
  for (running_shard* each : both) {
    while (each->ask<std::uint64_t>([](shard& s) { return s.counters().sent_to_nobody; }) < records) std::this_thread::yield();
  }
  for (running_shard* each : both) {
    BOOST_TEST(each->ask<std::uint64_t>([](shard& s) { return s.counters().turns_held_by_overflow; }) >= 1u);
    BOOST_TEST(each->ask<std::size_t>([](shard& s) { return s.overflow_bytes(); }) == 0u);
  }
  for (running_shard* each : both) each->stop();
  for (running_shard* each : both) each->thread.join();
  for (running_shard* each : both) BOOST_TEST(each->own->counters().sent_to_nobody == records);
  for (running_shard* each : both) each->own->drop_rooms();
}

BOOST_AUTO_TEST_CASE(messages_that_nobody_takes_any_more_take_their_memory_with_them) {
  mesh between{2, 4096};
  http_router no_routes;
  inbox to_one{between.bell(0), 4096}, to_other{between.bell(1), 4096};
  shard one{0, {}, between, to_one, no_routes, open_ring()}, other{1, {}, between, to_other, no_routes, open_ring()};
  const auto mark = std::make_shared<int>();
  log_chunk chunk;
  std::uint32_t rounds = 0;
  // Into the lane until it is full, then as many again, which wait with their sender. That the payloads are freed is
  // for the leak check of the address sanitizer.
  const auto say_one_of_each = [&] {
    const auto memory = [] { return new std::byte[1000]; };
    one.deliver(1, record_kind::publish_large, bytes_of(publish_large_record{{}, memory(), 1000}), {});
    one.deliver(1, record_kind::deliver_large, bytes_of(deliver_large_record{{}, memory(), 1000}), {});
    one.deliver(1, record_kind::room_call_large, bytes_of(room_call_large_record{memory(), 1000}), {});
    one.deliver(1, record_kind::run, bytes_of(run_message{new std::function<void(shard&)>([mark](shard&) {})}), {});
    chunk.references.fetch_add(1);
    one.deliver(1, record_kind::span, bytes_of(span_record{{}, {.chunk = &chunk}}), {});
    ++rounds;
  };
  while (one.overflow_bytes() == 0) say_one_of_each();
  for (std::uint32_t i = rounds; i > 0; --i) say_one_of_each();
  BOOST_TEST(one.overflow_bytes() > 0u);
  BOOST_TEST(mark.use_count() == 1 + static_cast<long>(rounds));
  BOOST_TEST(chunk.references == 1 + rounds);
  const run_message from_a_thread{new std::function<void(shard&)>([mark](shard&) {})};
  BOOST_TEST((to_other.push(static_cast<std::uint32_t>(record_kind::run), bytes_of(from_a_thread)) == inbox_result::queued));
  for (shard* each : {&one, &other}) each->end_tasks();
  for (shard* each : {&one, &other}) each->drop_rooms();
  BOOST_TEST(one.overflow_bytes() == 0u);
  BOOST_TEST(mark.use_count() == 1);
  BOOST_TEST(chunk.references == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

// The mesh between shards: order, batching of wake-ups, overflow, and threads that sleep and must be woken.
#include "allocation_count.hpp"
#include "engine/base/limits.hpp"
#include "engine/mesh/mesh.hpp"
#include "eventfd_writes.hpp"
#include "random_seed.hpp"

#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <deque>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

template <class T> std::span<const std::byte> bytes_of(const T& value) { return std::as_bytes(std::span(&value, 1)); }

std::uint64_t number_in(std::span<const std::byte> bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

} // namespace

BOOST_AUTO_TEST_SUITE(mesh_between_shards)

BOOST_AUTO_TEST_CASE(a_record_arrives_after_flush_with_its_sender_and_kind) {
  mesh m(3, 1024);
  mesh_port port(m, 0);
  const std::uint64_t number = 42;
  port.send(2, 9, bytes_of(number), bytes_of(number));
  BOOST_TEST(!m.has_records(2));
  port.flush();
  BOOST_TEST(m.has_records(2));
  BOOST_TEST(!m.has_records(1));
  const std::size_t count = m.drain(
      2,
      [&](std::uint32_t from, std::uint32_t kind, std::span<std::byte> bytes) {
        BOOST_TEST(from == 0u);
        BOOST_TEST(kind == 9u);
        BOOST_TEST(bytes.size() == 16u);
        BOOST_TEST(number_in(bytes.subspan(8)) == 42u);
      },
      10);
  BOOST_TEST(count == 1u);
  BOOST_TEST(!m.has_records(2));
}

BOOST_AUTO_TEST_CASE(one_flush_wakes_each_sleeping_target_once_and_no_other) {
  mesh m(4, 4096);
  mesh_port port(m, 0);
  m.bell(1).prepare_sleep();
  m.bell(3).prepare_sleep();
  const std::size_t before = eventfd_writes();
  for (int i = 0; i < 10; ++i) {
    port.send(1, 1, {});
    port.send(2, 1, {});
  }
  port.flush();
  BOOST_TEST(eventfd_writes() == before + 1);
  BOOST_TEST(wait_for(m.bell(1), 0));
  BOOST_TEST(!wait_for(m.bell(3), 0));
  port.flush();
  BOOST_TEST(eventfd_writes() == before + 1);
}

BOOST_AUTO_TEST_CASE(a_small_limit_starves_no_sender) {
  mesh m(4, 4096);
  std::array<int, 4> seen{};
  for (std::uint32_t from = 1; from < 4; ++from) {
    mesh_port port(m, from);
    for (int i = 0; i < 50; ++i) port.send(0, 0, {});
    port.flush();
  }
  for (int pass = 0; pass < 24; ++pass) {
    BOOST_TEST(m.drain(0, [&](std::uint32_t from, std::uint32_t, std::span<std::byte>) { ++seen[from]; }, 1) == 1u);
  }
  for (std::uint32_t from = 1; from < 4; ++from) BOOST_TEST(seen[from] >= 6);
}

BOOST_AUTO_TEST_CASE(overflow_keeps_the_order_and_moves_on_at_flush) {
  for (const std::uint64_t seed : seeds(20)) {
    BOOST_TEST_CONTEXT("RINGCAST_SEED=" << seed) {
      dice random(seed);
      mesh m(3, 256);
      mesh_port port(m, 0);
      std::array<std::deque<std::vector<std::byte>>, 3> expected;
      bool overflowed = false;
      for (int step = 0; step < 3000; ++step) {
        const auto to = static_cast<std::uint32_t>(1 + random.upto(1));
        // A slow phase and a fast phase of the receivers.
        const bool slow = step % 400 < 200;
        if (!random.one_in(slow ? 20 : 2)) {
          std::vector<std::byte> bytes(random.upto(m.record_bytes_max()));
          for (std::byte& b : bytes) b = static_cast<std::byte>(random.upto(255));
          const auto cut = static_cast<std::ptrdiff_t>(random.upto(bytes.size()));
          port.send(to, 77, {bytes.begin(), bytes.begin() + cut}, {bytes.begin() + cut, bytes.end()});
          expected[to].push_back(std::move(bytes));
        } else {
          port.flush();
          m.drain(
              to,
              [&](std::uint32_t, std::uint32_t kind, std::span<std::byte> bytes) {
                BOOST_REQUIRE_EQUAL(kind, 77u);
                BOOST_REQUIRE(!expected[to].empty());
                BOOST_REQUIRE(std::equal(bytes.begin(), bytes.end(), expected[to].front().begin(), expected[to].front().end()));
                expected[to].pop_front();
              },
              100);
        }
        overflowed = overflowed || port.overflow_bytes() != 0;
      }
      BOOST_TEST(overflowed);
      while (!expected[1].empty() || !expected[2].empty()) {
        port.flush();
        std::size_t count = 0;
        for (const std::uint32_t to : {1u, 2u}) {
          count += m.drain(to, [&](std::uint32_t, std::uint32_t, std::span<std::byte>) { expected[to].pop_front(); }, 100);
        }
        BOOST_REQUIRE(count != 0);
      }
      BOOST_TEST(port.overflow_bytes() == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_sender_that_sleeps_with_an_overflow_is_rung_when_there_is_room) {
  mesh m(2, 64);
  mesh_port port(m, 0);
  for (int i = 0; i < 20; ++i) port.send(1, 1, bytes_of(std::uint64_t{1}));
  BOOST_TEST(port.has_work()); // never flushed
  port.flush();
  BOOST_TEST(port.overflow_bytes() != 0u);
  m.bell(0).prepare_sleep();
  BOOST_REQUIRE(!port.has_work());
  BOOST_REQUIRE(m.drain(1, [](std::uint32_t, std::uint32_t, std::span<std::byte>) {}, 1) == 1u);
  BOOST_TEST(wait_for(m.bell(0), 0));
  BOOST_TEST(port.has_work());
}

// A record of a few bytes may point to a megabyte: it counts as that, in the lane and behind it.
BOOST_AUTO_TEST_CASE(what_records_point_to_counts_as_much_as_what_they_hold) {
  mesh m(2, 1u << 16);
  mesh_port port(m, 0);
  constexpr std::uint64_t pointed = 1u << 20;
  constexpr std::uint64_t fit = mesh_lane_pointed_bytes_max / pointed;
  const auto take = [&](std::size_t most) {
    return m.drain(
        1,
        [&](std::uint32_t from, std::uint32_t, std::span<std::byte>) {
          m.pointed_taken(from, 1, pointed);
          return std::size_t{1};
        },
        most);
  };
  for (std::uint64_t i = 0; i < fit; ++i) port.send(1, 1, bytes_of(i), {}, pointed);
  port.flush();
  BOOST_TEST(port.overflow_bytes() == 0u);
  for (std::uint64_t i = 0; i < 3; ++i) port.send(1, 1, bytes_of(i), {}, pointed);
  port.flush();
  BOOST_TEST(port.overflow_bytes() >= 3 * pointed);
  BOOST_TEST(port.overflow_bytes() < 3 * pointed + 256);
  // The receiver rings when it has made room, as it does for the bytes of the lane itself.
  m.bell(0).prepare_sleep();
  BOOST_REQUIRE(!port.has_work());
  BOOST_TEST(take(2) == 2u);
  BOOST_TEST(wait_for(m.bell(0), 0));
  port.flush();
  BOOST_TEST(port.overflow_bytes() >= pointed);
  BOOST_TEST(port.overflow_bytes() < pointed + 256);
  BOOST_TEST(take(100) == fit);
  port.flush();
  BOOST_TEST(port.overflow_bytes() == 0u);
  BOOST_TEST(take(100) == 1u);
  // One that is larger than the bound passes alone.
  port.send(1, 1, bytes_of(pointed), {}, 2 * mesh_lane_pointed_bytes_max);
  BOOST_TEST(port.overflow_bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(no_allocation_per_record_nor_per_overflow_once_warm) {
  mesh m(2, 4096);
  mesh_port port(m, 0);
  const auto round = [&](int records) {
    for (int i = 0; i < records; ++i) port.send(1, 1, bytes_of(i));
    while (port.flush(), m.drain(1, [](std::uint32_t, std::uint32_t, std::span<std::byte>) {}, 1000) != 0) {
    }
  };
  round(1000);
  const std::size_t before = allocation_count();
  for (int i = 0; i < 50; ++i) round(1000);
  BOOST_TEST(allocation_count() == before);
}

// The two tests below are what a lost wake-up would hang: each thread sleeps in poll() on its eventfd as soon as it has
// nothing to do, and a sleep of ten seconds is a failure.
constexpr int lost_after_ms = 10'000;

// Few tokens travel between the shards, so that nearly every hop finds its target asleep or falling asleep.
BOOST_AUTO_TEST_CASE(tokens_travel_between_sleeping_threads, *boost::unit_test::label("stress")) {
  constexpr std::uint32_t shard_count = 3;
  constexpr std::uint64_t token_count = 2;
  constexpr std::uint64_t hops_each = 30'000;
  mesh m(shard_count, 1024);
  std::atomic<std::uint64_t> finished{0};
  std::atomic<std::uint64_t> hops{0};
  std::atomic<int> lost{0};
  const auto shard = [&](std::uint32_t self) {
    mesh_port port(m, self);
    dice random(self + 1);
    const auto pass_on = [&](std::uint64_t hop) {
      const auto to = static_cast<std::uint32_t>((self + 1 + random.upto(shard_count - 2)) % shard_count);
      port.send(to, 0, bytes_of(hop));
    };
    if (self < token_count) pass_on(1);
    std::uint64_t received = 0;
    while (finished.load() < token_count && lost.load() == 0) {
      m.drain(
          self,
          [&](std::uint32_t, std::uint32_t, std::span<std::byte> bytes) {
            ++received;
            const std::uint64_t hop = number_in(bytes);
            if (hop < hops_each) return pass_on(hop + 1);
            if (finished.fetch_add(1) + 1 == token_count) {
              for (std::uint32_t other = 0; other < shard_count; ++other) m.bell(other).ring();
            }
          },
          100);
      port.flush();
      m.bell(self).prepare_sleep();
      if (!port.has_work() && finished.load() < token_count && !wait_for(m.bell(self), lost_after_ms)) lost.fetch_add(1);
      m.bell(self).awake();
      m.bell(self).acknowledge();
    }
    hops.fetch_add(received);
  };
  std::vector<std::thread> threads;
  for (std::uint32_t self = 0; self < shard_count; ++self) threads.emplace_back(shard, self);
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(lost.load() == 0);
  BOOST_TEST(hops.load() == token_count * hops_each);
}

// Every shard sends to every other as fast as tiny lanes allow, with overflow, and stops sending while it has one.
BOOST_AUTO_TEST_CASE(floods_through_tiny_lanes_lose_and_reorder_nothing, *boost::unit_test::label("stress")) {
  constexpr std::uint32_t shard_count = 3;
  constexpr std::uint64_t records_each = 40'000;
  mesh m(shard_count, 256);
  std::atomic<int> lost{0};
  std::atomic<int> wrong{0};
  std::atomic<std::size_t> overflow_most{0};
  const auto shard = [&](std::uint32_t self) {
    mesh_port port(m, self);
    dice random(self + 100);
    std::array<std::uint64_t, shard_count> sent{};
    std::array<std::uint64_t, shard_count> received{};
    const std::array<std::byte, 40> filler{};
    const auto all = [&](const auto& counts) {
      for (std::uint32_t other = 0; other < shard_count; ++other) {
        if (other != self && counts[other] != records_each) return false;
      }
      return true;
    };
    while (lost.load() == 0) {
      m.drain(
          self,
          [&](std::uint32_t from, std::uint32_t, std::span<std::byte> bytes) {
            if (number_in(bytes) != received[from]) wrong.fetch_add(1);
            ++received[from];
          },
          16);
      if (port.overflow_bytes() == 0) {
        for (int i = 0; i < 8; ++i) {
          for (std::uint32_t to = 0; to < shard_count; ++to) {
            if (to == self || sent[to] == records_each) continue;
            port.send(to, 1, bytes_of(sent[to]), std::span(filler).first(random.upto(filler.size())));
            ++sent[to];
          }
        }
      }
      port.flush();
      if (std::size_t most = overflow_most.load(); port.overflow_bytes() > most) overflow_most.store(port.overflow_bytes());
      const bool done = all(sent) && port.overflow_bytes() == 0;
      if (done && all(received)) break;
      if (!done && port.overflow_bytes() == 0) continue;
      m.bell(self).prepare_sleep();
      if (!port.has_work() && !wait_for(m.bell(self), lost_after_ms)) lost.fetch_add(1);
      m.bell(self).awake();
      m.bell(self).acknowledge();
    }
  };
  std::vector<std::thread> threads;
  for (std::uint32_t self = 0; self < shard_count; ++self) threads.emplace_back(shard, self);
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(lost.load() == 0);
  BOOST_TEST(wrong.load() == 0);
  BOOST_TEST(overflow_most.load() > 0u);                            // the test reached what it is about
  BOOST_TEST(overflow_most.load() <= 8u * (shard_count - 1) * 64u); // one turn's worth, as mesh_port promises
}

BOOST_AUTO_TEST_SUITE_END()

// The ring of records: against a model, at its edges, and between two threads.
#include "allocation_count.hpp"
#include "engine/mesh/spsc_ring.hpp"
#include "random_seed.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <deque>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

struct model_record {
  std::uint32_t kind;
  std::vector<std::byte> bytes;
};

std::size_t bytes_in_ring(std::size_t payload) { return 8 + (payload + 7) / 8 * 8; }

bool equal(std::span<const std::byte> a, const std::vector<std::byte>& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

bool put(spsc_ring& ring, std::uint32_t kind, std::uint32_t bytes) {
  std::byte* at = ring.reserve(kind, bytes);
  if (at == nullptr) return false;
  std::memset(at, static_cast<int>(kind), bytes);
  ring.commit();
  return true;
}

} // namespace

BOOST_AUTO_TEST_SUITE(spsc_ring_of_records)

BOOST_AUTO_TEST_CASE(it_does_what_a_queue_of_records_does) {
  for (const std::uint64_t seed : seeds(60)) {
    BOOST_TEST_CONTEXT("RINGCAST_SEED=" << seed) {
      dice random(seed);
      spsc_ring ring(64u << random.upto(6));
      std::deque<model_record> committed; // not visible yet
      std::deque<model_record> visible;
      std::size_t taken = 0; // bytes of committed, visible and popped but not released records
      std::size_t popped = 0;
      std::uint32_t next_kind = 0;
      const auto check_front = [&](std::uint32_t kind, std::span<std::byte> bytes) {
        BOOST_REQUIRE(!visible.empty());
        BOOST_REQUIRE_EQUAL(kind, visible.front().kind);
        BOOST_REQUIRE(equal(bytes, visible.front().bytes));
        BOOST_REQUIRE_EQUAL(reinterpret_cast<std::uintptr_t>(bytes.data()) % 8, 0u);
        popped += bytes_in_ring(bytes.size());
        visible.pop_front();
      };
      for (int step = 0; step < 4000; ++step) {
        switch (random.upto(5)) {
        case 0:
        case 1: {
          const auto bytes = static_cast<std::uint32_t>(random.one_in(8) ? ring.record_bytes_max() : random.upto(ring.record_bytes_max()));
          std::byte* at = ring.reserve(next_kind, bytes);
          if (at == nullptr) {
            // A skip is shorter than the record that caused it, and one more may lie further back in the ring.
            BOOST_REQUIRE_GT(taken + 3 * ring.capacity_bytes() / 4, ring.capacity_bytes());
            break;
          }
          model_record record{next_kind, std::vector<std::byte>(bytes)};
          for (std::byte& b : record.bytes) b = static_cast<std::byte>(random.upto(255));
          std::copy(record.bytes.begin(), record.bytes.end(), at);
          if (random.one_in(10)) break; // reserved and thought better of it
          ring.commit();
          ++next_kind;
          taken += bytes_in_ring(bytes);
          BOOST_REQUIRE_LE(taken, ring.capacity_bytes());
          committed.push_back(std::move(record));
          break;
        }
        case 2:
          BOOST_REQUIRE_EQUAL(ring.publish(), !committed.empty());
          std::move(committed.begin(), committed.end(), std::back_inserter(visible));
          committed.clear();
          break;
        case 3: {
          record_view view;
          BOOST_REQUIRE_EQUAL(ring.has_records(), !visible.empty());
          const bool any = ring.front(view);
          BOOST_REQUIRE_EQUAL(any, !visible.empty());
          if (!any) break;
          check_front(view.kind, view.bytes);
          ring.pop();
          break;
        }
        case 4:
          BOOST_REQUIRE_EQUAL(ring.release(), popped != 0);
          taken -= popped;
          popped = 0;
          break;
        case 5: {
          const std::size_t most = random.upto(4);
          const std::size_t expected = std::min(most, visible.size());
          BOOST_REQUIRE_EQUAL(ring.drain(check_front, most), expected);
          taken -= popped;
          popped = 0;
          break;
        }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(nothing_is_visible_before_publish) {
  spsc_ring ring(1024);
  BOOST_TEST(!ring.publish());
  BOOST_REQUIRE(put(ring, 1, 8));
  BOOST_REQUIRE(put(ring, 2, 8));
  record_view view;
  BOOST_TEST(!ring.front(view));
  BOOST_TEST(!ring.has_records());
  BOOST_TEST(ring.has_unpublished());
  BOOST_TEST(ring.publish());
  BOOST_TEST(!ring.publish());
  BOOST_REQUIRE(ring.front(view));
  BOOST_TEST(view.kind == 1u);
}

BOOST_AUTO_TEST_CASE(the_largest_record_fits_into_an_empty_ring_at_every_position) {
  for (std::uint32_t first = 0; first <= 56; first += 8) {
    spsc_ring ring(256);
    for (int round = 0; round < 40; ++round) {
      for (const std::uint32_t bytes : {first, ring.record_bytes_max()}) {
        if (bytes > ring.record_bytes_max()) continue;
        BOOST_REQUIRE(put(ring, 7, bytes));
        ring.publish();
        BOOST_REQUIRE_EQUAL(ring.drain([&](std::uint32_t, std::span<std::byte> b) { BOOST_REQUIRE(b.size() == bytes); }, 9), 1u);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_full_ring_refuses_and_takes_again_after_release_not_after_pop) {
  spsc_ring ring(64);
  int held = 0;
  while (put(ring, 5, 8)) ++held;
  BOOST_TEST(held == 4);
  ring.publish();
  record_view view;
  BOOST_REQUIRE(ring.front(view));
  ring.pop();
  BOOST_TEST(!put(ring, 5, 8));
  BOOST_TEST(ring.release());
  BOOST_TEST(!ring.release());
  BOOST_TEST(put(ring, 5, 8));
  BOOST_TEST(!put(ring, 5, 8));
}

BOOST_AUTO_TEST_CASE(an_empty_record_is_a_record) {
  spsc_ring ring(64);
  BOOST_REQUIRE(put(ring, 3, 0));
  ring.publish();
  record_view view;
  BOOST_REQUIRE(ring.front(view));
  BOOST_TEST(view.kind == 3u);
  BOOST_TEST(view.bytes.empty());
}

BOOST_AUTO_TEST_CASE(drain_takes_only_what_was_published_before_it_began) {
  spsc_ring ring(1024);
  BOOST_REQUIRE(put(ring, 1, 4));
  ring.publish();
  const std::size_t count = ring.drain(
      [&](std::uint32_t kind, std::span<std::byte>) {
        BOOST_REQUIRE(put(ring, kind + 1, 4));
        ring.publish();
      },
      100);
  BOOST_TEST(count == 1u);
  BOOST_TEST(ring.has_records());
}

BOOST_AUTO_TEST_CASE(it_allocates_only_when_it_is_made) {
  spsc_ring ring(4096);
  const std::size_t before = allocation_count();
  for (int round = 0; round < 1000; ++round) {
    while (put(ring, 1, 100)) {
    }
    ring.publish();
    ring.drain([](std::uint32_t, std::span<std::byte>) {}, 1000);
  }
  BOOST_TEST(allocation_count() == before);
}

BOOST_AUTO_TEST_CASE(two_threads_every_record_once_in_order_unbroken, *boost::unit_test::label("stress")) {
  constexpr std::uint32_t record_count = 200'000;
  spsc_ring ring(512);
  std::thread writer([&] {
    dice random(7);
    for (std::uint32_t i = 0; i < record_count;) {
      const auto batch = random.upto(5) + 1;
      for (std::uint64_t k = 0; k < batch && i < record_count; ++k) {
        const auto bytes = static_cast<std::uint32_t>(random.upto(ring.record_bytes_max()));
        std::byte* at = ring.reserve(i, bytes);
        if (at == nullptr) break;
        std::memset(at, static_cast<int>(i & 0xff), bytes);
        ring.commit();
        ++i;
      }
      if (!ring.publish()) std::this_thread::yield();
    }
  });
  std::uint32_t expected = 0;
  std::uint32_t wrong = 0;
  while (expected < record_count) {
    const std::size_t count = ring.drain(
        [&](std::uint32_t kind, std::span<std::byte> bytes) {
          wrong += kind != expected;
          for (const std::byte b : bytes) wrong += b != static_cast<std::byte>(kind & 0xff);
          ++expected;
        },
        64);
    if (count == 0) std::this_thread::yield();
  }
  writer.join();
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(!ring.has_records());
}

BOOST_AUTO_TEST_SUITE_END()

// The inbox: bounded, closed for good, and four threads at once into one that sleeps.
#include "allocation_count.hpp"
#include "engine/mesh/inbox.hpp"
#include "eventfd_writes.hpp"

#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

template <class T> std::span<const std::byte> bytes_of(const T& value) { return std::as_bytes(std::span(&value, 1)); }

constexpr auto ignore = [](std::uint32_t, std::span<std::byte>) {};

} // namespace

BOOST_TEST_DONT_PRINT_LOG_VALUE(ringcast::engine::inbox_result)

BOOST_AUTO_TEST_SUITE(inbox_of_a_shard)

BOOST_AUTO_TEST_CASE(a_push_joins_both_spans_and_wakes_a_sleeping_shard) {
  doorbell bell;
  inbox box(bell, 1024);
  bell.prepare_sleep();
  const std::uint32_t one = 1, two = 2;
  BOOST_TEST(box.push(5, bytes_of(one), bytes_of(two)) == inbox_result::queued);
  BOOST_TEST(box.has_records());
  BOOST_TEST(wait_for(bell, 0));
  std::array<std::uint32_t, 2> got{};
  const std::size_t count = box.drain(
      [&](std::uint32_t kind, std::span<std::byte> bytes) {
        BOOST_TEST(kind == 5u);
        BOOST_REQUIRE(bytes.size() == sizeof got);
        std::memcpy(got.data(), bytes.data(), sizeof got);
      },
      10);
  BOOST_TEST(count == 1u);
  BOOST_TEST(got[0] == 1u);
  BOOST_TEST(got[1] == 2u);
}

BOOST_AUTO_TEST_CASE(a_full_inbox_says_so_and_takes_again_when_drained) {
  doorbell bell;
  inbox box(bell, 64);
  int held = 0;
  while (box.push(1, bytes_of(std::uint64_t{1})) == inbox_result::queued) ++held;
  BOOST_TEST(held == 4);
  BOOST_TEST(box.push(1, {}) == inbox_result::full);
  box.drain(ignore, 1);
  BOOST_TEST(box.push(1, {}) == inbox_result::queued);
}

BOOST_AUTO_TEST_CASE(a_record_that_can_never_fit_is_not_called_full) {
  doorbell bell;
  inbox box(bell, 64);
  const std::vector<std::byte> exact(box.record_bytes_max());
  const std::vector<std::byte> more(box.record_bytes_max() + 1);
  BOOST_TEST(box.push(1, exact) == inbox_result::queued);
  BOOST_TEST(box.push(1, more) == inbox_result::too_large);
}

BOOST_AUTO_TEST_CASE(a_closed_inbox_refuses_but_keeps_what_it_has) {
  doorbell bell;
  inbox box(bell, 1024);
  BOOST_TEST(box.push(1, {}) == inbox_result::queued);
  box.close();
  BOOST_TEST(box.push(2, {}) == inbox_result::closed);
  BOOST_TEST(box.drain([](std::uint32_t kind, std::span<std::byte>) { BOOST_TEST(kind == 1u); }, 10) == 1u);
}

BOOST_AUTO_TEST_CASE(a_push_allocates_nothing) {
  doorbell bell;
  inbox box(bell, 4096);
  const std::size_t before = allocation_count();
  bool queued = true;
  for (int i = 0; i < 10'000; ++i) {
    queued = queued && box.push(1, bytes_of(i)) == inbox_result::queued;
    box.drain(ignore, 10);
  }
  BOOST_TEST(allocation_count() == before);
  BOOST_TEST(queued);
}

BOOST_AUTO_TEST_CASE(four_threads_into_one_that_sleeps, *boost::unit_test::label("stress")) {
  constexpr std::uint32_t thread_count = 4;
  constexpr std::uint64_t records_each = 30'000;
  doorbell bell;
  inbox box(bell, 1024);
  std::atomic<std::uint64_t> refused{0};
  std::vector<std::thread> threads;
  for (std::uint32_t self = 0; self < thread_count; ++self) {
    threads.emplace_back([&, self] {
      const std::array<std::byte, 100> filler{};
      for (std::uint64_t i = 0; i < records_each; ++i) {
        while (box.push(self, bytes_of(i), std::span(filler).first(i % filler.size())) != inbox_result::queued) {
          refused.fetch_add(1, std::memory_order_relaxed);
          std::this_thread::yield();
        }
        // Now and then a pause, so that the shard falls asleep in the middle.
        if (i % 64 == 0) std::this_thread::yield();
      }
    });
  }
  std::array<std::uint64_t, thread_count> received{};
  std::uint64_t total = 0;
  int wrong = 0;
  bool lost = false;
  while (total < thread_count * records_each && !lost) {
    total += box.drain(
        [&](std::uint32_t kind, std::span<std::byte> bytes) {
          std::uint64_t number = 0;
          std::memcpy(&number, bytes.data(), sizeof number);
          wrong += number != received[kind] || bytes.size() != sizeof number + number % 100;
          ++received[kind];
        },
        32);
    if (total == thread_count * records_each) break;
    bell.prepare_sleep();
    if (!box.has_records()) lost = !wait_for(bell, 10'000);
    bell.awake();
    bell.acknowledge();
  }
  if (lost) std::_Exit(1); // the senders would wait for room for ever
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(wrong == 0);
  BOOST_TEST(total == thread_count * records_each);
  BOOST_TEST(refused.load() > 0u);
}

BOOST_AUTO_TEST_SUITE_END()

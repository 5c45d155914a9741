// The doorbell: one write to the eventfd for each sleep, none while the shard is awake.
#include "engine/mesh/doorbell.hpp"
#include "eventfd_writes.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <poll.h>
#include <sys/eventfd.h>

namespace {
std::atomic<std::size_t> writes{0};
}

extern "C" int __real_eventfd_write(int fd, eventfd_t value);
extern "C" int __wrap_eventfd_write(int fd, eventfd_t value) {
  writes.fetch_add(1, std::memory_order_relaxed);
  return __real_eventfd_write(fd, value);
}

std::size_t eventfd_writes() noexcept { return writes.load(std::memory_order_relaxed); }

bool wait_for(ringcast::engine::doorbell& bell, int timeout_ms) {
  pollfd waiting{bell.fd(), POLLIN, 0};
  return ::poll(&waiting, 1, timeout_ms) == 1;
}

BOOST_AUTO_TEST_SUITE(doorbell)

BOOST_AUTO_TEST_CASE(a_shard_that_is_awake_is_not_written_to) {
  ringcast::engine::doorbell bell;
  const std::size_t before = eventfd_writes();
  bell.ring();
  bell.ring();
  BOOST_TEST(eventfd_writes() == before);
  BOOST_TEST(!wait_for(bell, 0));
}

BOOST_AUTO_TEST_CASE(many_rings_in_one_sleep_are_one_write) {
  ringcast::engine::doorbell bell;
  const std::size_t before = eventfd_writes();
  bell.prepare_sleep();
  for (int i = 0; i < 5; ++i) bell.ring();
  BOOST_TEST(eventfd_writes() == before + 1);
  BOOST_TEST(wait_for(bell, 0));
}

BOOST_AUTO_TEST_CASE(awake_and_acknowledge_make_it_quiet_again) {
  ringcast::engine::doorbell bell;
  bell.prepare_sleep();
  bell.ring();
  bell.awake();
  bell.acknowledge();
  BOOST_TEST(!wait_for(bell, 0));
  const std::size_t before = eventfd_writes();
  bell.ring();
  BOOST_TEST(eventfd_writes() == before);
  bell.prepare_sleep();
  bell.ring();
  BOOST_TEST(wait_for(bell, 0));
}

BOOST_AUTO_TEST_CASE(acknowledge_does_not_block_when_nothing_rang) {
  ringcast::engine::doorbell bell;
  bell.acknowledge();
  BOOST_TEST(!wait_for(bell, 0));
}

BOOST_AUTO_TEST_CASE(a_sleep_that_was_called_off_leaves_no_ring_behind) {
  ringcast::engine::doorbell bell;
  bell.prepare_sleep();
  bell.awake();
  const std::size_t before = eventfd_writes();
  bell.ring();
  BOOST_TEST(eventfd_writes() == before);
}

BOOST_AUTO_TEST_CASE(flag_and_descriptor_are_on_different_cache_lines) {
  BOOST_TEST(sizeof(ringcast::engine::doorbell) == 2 * ringcast::engine::cache_line_bytes);
}

BOOST_AUTO_TEST_SUITE_END()

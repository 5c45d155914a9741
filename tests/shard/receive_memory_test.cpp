#include "engine/shard/receive_memory.hpp"

#include <boost/test/unit_test.hpp>
#include <memory>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;

BOOST_AUTO_TEST_SUITE(receive_memory_by_itself)

namespace {

struct memory_and_pool {
  block_pool blocks;
  receive_memory memory{blocks};
  connection c;

  // What a connection keeps of an unfinished frame.
  std::span<std::byte> keep(std::size_t bytes) {
    c.partial = std::make_unique<partial_input>();
    c.partial->memory = blocks.take(bytes);
    c.partial->size = static_cast<std::uint32_t>(bytes);
    return {c.partial->memory.bytes, bytes};
  }
  void drop_kept() {
    blocks.give_back(c.partial->memory);
    c.partial.reset();
  }
};

} // namespace

BOOST_FIXTURE_TEST_CASE(the_hot_buffer_is_taken_when_somebody_receives_and_given_back_when_nobody_has_for_a_while, memory_and_pool) {
  BOOST_TEST(blocks.taken_bytes() == 0u);
  BOOST_TEST(memory.hot(1'000).size() == large_receive_bytes);
  memory.trim(1'000 + trim_interval_ms - 1);
  BOOST_TEST(blocks.taken_bytes() == large_receive_bytes);
  memory.trim(1'000 + trim_interval_ms);
  BOOST_TEST(blocks.taken_bytes() == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_message_in_the_hot_buffer_is_lent_and_the_next_one_is_received_elsewhere, memory_and_pool) {
  const std::span<std::byte> hot = memory.hot(0);
  BOOST_TEST_REQUIRE(memory.can_lend(c, hot.subspan(14, 100)));
  const auto lent = memory.lend(c, hot.subspan(14, 100));
  BOOST_TEST(lent.is_hot);
  BOOST_TEST(lent.memory.bytes == hot.data());
  BOOST_TEST(memory.hot(0).data() != hot.data());
  memory.give_back_hot(lent.memory);
  BOOST_TEST(blocks.taken_bytes() == large_receive_bytes);
}

BOOST_FIXTURE_TEST_CASE(no_more_hot_buffers_are_lent_than_their_bound, memory_and_pool) {
  std::vector<block> lent;
  for (std::uint32_t i = 0; i < hot_buffers_lent_max; ++i) {
    BOOST_TEST_REQUIRE(memory.can_lend(c, memory.hot(0)));
    lent.push_back(memory.lend(c, memory.hot(0)).memory);
  }
  BOOST_TEST(!memory.can_lend(c, memory.hot(0)));
  for (const block each : lent) memory.give_back_hot(each);
  BOOST_TEST(memory.can_lend(c, memory.hot(0)));
}

BOOST_FIXTURE_TEST_CASE(of_a_connection_s_own_block_only_what_ends_it_and_fills_a_part_of_it_is_lent, memory_and_pool) {
  const std::span<std::byte> kept = keep(4'096);
  BOOST_TEST(!memory.can_lend(c, kept.first(2'048))); // something behind it has still to be handled
  BOOST_TEST(!memory.can_lend(c, kept.last(255)));    // less than a sixteenth
  BOOST_TEST(memory.can_lend(c, kept.last(256)));
  const auto lent = memory.lend(c, kept.last(256));
  BOOST_TEST(!lent.is_hot);
  BOOST_TEST(c.partial->memory.bytes == nullptr);
  blocks.give_back(lent.memory);
  drop_kept();
}

BOOST_FIXTURE_TEST_CASE(what_lies_in_neither_is_not_lent, memory_and_pool) {
  std::byte elsewhere[512];
  BOOST_TEST(!memory.can_lend(c, elsewhere));
  (void)memory.hot(0);
  BOOST_TEST(!memory.can_lend(c, elsewhere));
}

BOOST_AUTO_TEST_SUITE_END()

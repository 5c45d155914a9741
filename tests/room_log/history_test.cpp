// What a room keeps of its log: bounded by messages, bytes, seconds and a budget for all rooms, and never with a hole.
#include "engine/room/room_history.hpp"
#include "tests/room_log/written_log.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

// A room's log with a history, one message a turn.
struct remembered {
  chunk_store& store;
  room_log log;
  room_history kept;
  std::uint64_t next = 1;

  remembered(chunk_store& s, history_store& h) : store(s), kept(h, nullptr) { log.fill_chunks(true); }
  void say(std::size_t bytes, std::uint64_t now_ms, const history_options& limits) {
    const std::string payload(bytes, 'x');
    log.append(store, {.op = opcode::text, .payload = std::as_bytes(std::span{payload}), .author = 0, .author_hears = true, .sequence = next++});
    std::vector<log_span> spans;
    log.publish(1, spans);
    for (const log_span& span : spans) {
      kept.append(span, now_ms);
      span.chunk->release();
    }
    kept.drop_old(limits, now_ms);
    store.reclaim();
  }
  std::uint64_t oldest(const history_options& limits, std::uint64_t now_ms) const { return kept.first_within(limits, now_ms); }
};

struct two_rooms {
  block_pool blocks;
  chunk_store chunks{blocks};
  history_store store;
  remembered a{chunks, store}, b{chunks, store};

  explicit two_rooms(std::uint64_t bytes_max = UINT64_MAX) : store(bytes_max) {}
  ~two_rooms() {
    a.kept.clear();
    b.kept.clear();
    chunks.reclaim();
  }
};

} // namespace

BOOST_AUTO_TEST_SUITE(histories)

BOOST_AUTO_TEST_CASE(the_last_so_many_messages_are_served_to_the_message) {
  const history_options limits{.messages = 10};
  two_rooms rooms;
  for (std::uint64_t i = 1; i <= 5'000; ++i) {
    rooms.a.say(100, 0, limits);
    BOOST_REQUIRE_EQUAL(rooms.a.oldest(limits, 0), i <= 10 ? 1 : i - 9);
    // Its chunks: the one that is written, and the one before it.
    BOOST_REQUIRE(rooms.store.bytes() <= 2 * room_log::chunk_bytes_min);
  }
}

BOOST_AUTO_TEST_CASE(small_messages_share_chunks_however_rare_they_are) {
  const history_options limits{.messages = 1'000};
  two_rooms rooms;
  for (std::uint64_t i = 1; i <= 1'000; ++i) rooms.a.say(20, i * 100'000, limits);
  BOOST_TEST(rooms.store.bytes() <= 1'000 * 2 * log_cost(22, 1));
}

BOOST_AUTO_TEST_CASE(the_last_so_many_bytes_are_kept_and_at_most_a_chunk_more) {
  const history_options limits{.bytes = 20'000};
  two_rooms rooms;
  for (std::uint64_t i = 1; i <= 2'000; ++i) {
    rooms.a.say(100, 0, limits);
    const std::uint64_t kept = log_cost(102, 1) * (i + 1 - rooms.a.oldest(limits, 0));
    BOOST_REQUIRE(kept <= 20'000 + room_log::chunk_bytes_min);
    if (i > 300) BOOST_REQUIRE(kept >= 20'000 - log_cost(102, 1));
  }
}

BOOST_AUTO_TEST_CASE(what_is_older_than_so_many_seconds_is_not_served_and_goes) {
  const history_options limits{.seconds = 10};
  two_rooms rooms;
  for (std::uint64_t i = 0; i < 300; ++i) rooms.a.say(30, i * 500, limits); // message i + 1 at i * 500 ms
  const std::uint64_t now = 299 * 500;
  // Kept to a second: what is 10 s old goes, what is 9 s old stays, in between it may be either.
  const std::uint64_t oldest_ms = (rooms.a.oldest(limits, now) - 1) * 500;
  BOOST_TEST(oldest_ms + 11'000 >= now);
  BOOST_TEST(oldest_ms + 9'000 <= now);
  BOOST_TEST(rooms.a.oldest(limits, now + 60'000) == 301u); // nothing
  rooms.a.kept.drop_old(limits, now + 60'000);
  BOOST_TEST(rooms.a.kept.empty());
  rooms.chunks.reclaim();
  BOOST_TEST(rooms.store.bytes() == 0u);
  BOOST_TEST(rooms.chunks.chunks_out() == 0u);
}

BOOST_AUTO_TEST_CASE(above_the_budget_the_oldest_chunk_of_any_room_goes_first) {
  const history_options limits{.seconds = 1'000'000};
  constexpr std::uint64_t budget = 64 * 1024;
  two_rooms rooms{budget};
  for (int i = 0; i < 100; ++i) rooms.a.say(100, 0, limits);
  int emptied = 0;
  for (int i = 0; i < 2'000; ++i) {
    rooms.b.say(100, 1, limits);
    rooms.store.bound([&](home_room*) { ++emptied; });
    BOOST_REQUIRE(rooms.store.bytes() <= budget);
    // As long as the older room has anything, the younger one loses nothing.
    if (!rooms.a.kept.empty()) BOOST_REQUIRE_EQUAL(rooms.b.kept.first_sequence(), 1u);
  }
  BOOST_TEST(emptied == 1); // the older one, once
  BOOST_TEST(rooms.a.kept.empty());
  BOOST_TEST(rooms.b.kept.end_sequence() == 2'001u);
}

BOOST_AUTO_TEST_CASE(a_history_with_a_hole_begins_anew_behind_it) {
  const history_options limits{.messages = 100};
  two_rooms rooms;
  for (int i = 0; i < 10; ++i) rooms.a.say(10, 0, limits);
  rooms.a.next += 5;
  rooms.a.say(10, 0, limits);
  BOOST_TEST(rooms.a.kept.first_sequence() == 16u);
  BOOST_TEST(rooms.a.kept.end_sequence() == 17u);
}

BOOST_AUTO_TEST_CASE(positions_are_read_as_they_are_written_and_nothing_else_is_one) {
  const room_position position{0xc0ffee, 42};
  BOOST_TEST(text_of(position) == "0000000000c0ffee:42");
  BOOST_TEST((parse_position(text_of(position)) == position));
  BOOST_TEST((parse_position("ffffffffffffffff:18446744073709551615") == room_position{UINT64_MAX, UINT64_MAX}));
  for (const char* wrong : {"", ":", "0000000000c0ffee", "0000000000c0ffee:", "c0ffee:42", "0000000000c0ffee:-1", "0000000000c0ffee:+1",
                            "0000000000c0ffee: 1", "0000000000c0ffee:1 ", "0000000000c0ffee:18446744073709551616", "-000000000c0ffee:1",
                            "0000000000c0ffeg:1", "0000000000c0ffee:0x1", "0000000000c0ffee:1:2"})
    BOOST_TEST(!parse_position(wrong).has_value(), wrong);
}

BOOST_AUTO_TEST_SUITE_END()

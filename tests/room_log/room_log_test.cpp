// What a room's log keeps in memory, and for whom.
#include "tests/room_log/written_log.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <random>
#include <thread>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

// Beside what a reader still needs it pins the rest of the chunk that it stands in and of the one that is being written, and the few that
// were begun before the log knew that somebody is behind.
constexpr std::uint64_t slack(std::uint64_t chunk_bytes) { return (room_log::chunks_out_fresh + 1) * chunk_bytes; }

} // namespace

BOOST_AUTO_TEST_SUITE(room_logs)

BOOST_AUTO_TEST_CASE(a_log_that_nobody_reads_holds_no_chunk) {
  written_log w;
  span_window reader;
  w.say("nobody is here", {});
  w.store.reclaim();
  BOOST_TEST(w.store.chunks_out() == 0u);
  BOOST_TEST(w.blocks.taken() == 0u);
  for (int i = 0; i < 100; ++i) w.say("hello", {&reader});
  BOOST_TEST(w.store.chunks_out() > 0u);
  reader.drop_before(reader.end());
  w.store.reclaim();
  BOOST_TEST(w.store.chunks_out() == 0u);
  BOOST_TEST(w.log.bytes_out() == 0u);
  BOOST_TEST(w.blocks.taken() == 0u);
  w.say("again", {&reader});
  BOOST_TEST(content(reader, reader.end() - 7, reader.end()) == "[again]");
}

BOOST_AUTO_TEST_CASE(a_reader_that_keeps_up_finds_each_turn_at_the_beginning_of_a_chunk) {
  written_log w;
  span_window reader;
  for (int i = 0; i < 1000; ++i) {
    w.say("a few bytes", {&reader});
    BOOST_TEST_REQUIRE(w.spans.size() == 1u);
    BOOST_TEST_REQUIRE(w.spans[0].begin == 0u);
    // The turn before has been sent meanwhile.
    reader.drop_before(reader.end() - w.spans[0].bytes());
    w.store.reclaim();
    BOOST_TEST_REQUIRE(w.store.chunks_out() == 1u);
  }
}

BOOST_AUTO_TEST_CASE(one_message_a_turn_pins_at_most_twice_what_it_counts_however_small_it_is) {
  for (const std::size_t bytes : {0u, 1u, 3u, 60u, 125u, 1000u, 5000u}) {
    written_log w;
    span_window slow, fast;
    const std::string payload(bytes, 'x');
    for (int i = 0; i < 5000; ++i) {
      w.say(payload, {&slow, &fast});
      fast.drop_before(fast.end());
      w.store.reclaim();
      BOOST_TEST_REQUIRE(w.log.bytes_out() <= 2 * slow.cost_behind(0, 1) + slack(room_log::chunk_bytes_min));
    }
    // Its window is as long as its chunks are many.
    BOOST_TEST(slow.size() <= w.log.chunks_out());
    BOOST_TEST(slow.next_sequence() == 5001u);
  }
}

BOOST_AUTO_TEST_CASE(messages_of_all_sizes_pin_at_most_twice_what_they_count) {
  for (const unsigned seed : {1u, 2u, 3u, 4u}) {
    std::mt19937 random{seed};
    written_log w;
    span_window slow;
    std::uint64_t needed = 0, sequence = 1; // where the reader stands
    for (int turn = 0; turn < 3000; ++turn) {
      const int messages = 1 + static_cast<int>(random() % 20);
      for (int i = 0; i < messages; ++i) w.append(std::string(random() % (random() % 8 == 0 ? 60'000 : 200), 'x'));
      w.publish({&slow});
      // It goes on now and then, but stays behind.
      if (random() % 4 == 0) {
        needed = slow.frame_end_at_or_after(needed + (slow.end() - needed) / 3);
        sequence = slow.sequence_at(needed);
        slow.drop_before(needed);
      }
      w.store.reclaim();
      BOOST_TEST_REQUIRE(w.log.bytes_out() <= 2 * slow.cost_behind(needed, sequence) + slack(room_log::chunk_bytes_max));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_turn_costs_the_same_however_far_a_reader_is_behind) {
  written_log w;
  span_window slow, fast;
  const auto steps_of_a_turn = [&] {
    const std::uint64_t before = slow.spans_visited() + fast.spans_visited() + w.store.chunks_visited();
    constexpr int turns = 1000;
    for (int i = 0; i < turns; ++i) {
      const std::uint64_t sent = fast.end();
      w.say("sixty bytes or a little less are in this message of a ticker", {&slow, &fast});
      BOOST_TEST_REQUIRE(content(fast, sent, fast.end()).size() == 62u);
      fast.drop_before(fast.end());
      slow.drop_before(0);
      w.store.reclaim();
    }
    return static_cast<double>(slow.spans_visited() + fast.spans_visited() + w.store.chunks_visited() - before) / turns;
  };
  const double near = steps_of_a_turn();
  for (int i = 0; i < 200; ++i) (void)steps_of_a_turn();
  BOOST_TEST(steps_of_a_turn() <= near * 1.2);
  BOOST_TEST(slow.next_sequence() == 202'001u);
}

BOOST_AUTO_TEST_CASE(what_a_reader_is_behind_is_all_there_when_it_goes_on) {
  written_log w;
  span_window slow, fast;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    w.say(std::to_string(i), {&slow, &fast});
    expected += '[' + std::to_string(i) + ']';
    fast.drop_before(fast.end());
    w.store.reclaim();
  }
  BOOST_TEST((content(slow, 0, slow.end()) == expected));
}

BOOST_AUTO_TEST_CASE(a_log_may_end_before_its_readers) {
  written_log w;
  span_window reader;
  {
    room_log short_lived;
    const std::string_view payload = "last words";
    for (std::uint64_t i = 1; i < 9; ++i) {
      short_lived.append(w.store, {opcode::text, std::as_bytes(std::span{payload}), 0, true, i});
      w.spans.clear();
      short_lived.publish(1, w.spans);
      (void)reader.append(w.spans[0]);
    }
    short_lived.append(w.store, {opcode::text, std::as_bytes(std::span{payload}), 0, true, 9}); // never published
  }
  w.store.reclaim();
  BOOST_TEST(w.store.chunks_out() > 0u);
  BOOST_TEST(content(reader, 0, 12) == "[last words]");
  reader.clear();
  w.store.reclaim();
  BOOST_TEST(w.store.chunks_out() == 0u);
}

BOOST_AUTO_TEST_CASE(deflated_messages_leave_no_chunk_half_empty) {
  written_log w;
  span_window slow;
  compressor with;
  compression_options options{.mode = compression_mode::shared};
  const std::string payload(120'000, 'z'); // some hundred bytes deflated, but nobody knows that before
  for (int i = 0; i < 500; ++i) {
    w.log.append_deflated(w.store, {opcode::text, std::as_bytes(std::span{payload}), 0, true, w.sequence++}, with, options);
    w.publish({&slow});
    w.store.reclaim();
    BOOST_TEST_REQUIRE(w.log.bytes_out() <= 2 * slow.cost_behind(0, 1) + slack(room_log::chunk_bytes_max));
  }
  BOOST_TEST(slow.end() < 500u * 2000u);
}

// Readers on other threads drop their references while the home writes on in the same chunk, and takes back what they have left.
BOOST_AUTO_TEST_CASE(chunks_come_home_from_other_threads, *boost::unit_test::label("stress")) {
  constexpr int readers = 3, turns = 30'000;
  written_log w;
  struct post {
    std::atomic<std::uint64_t> written{0};
    std::vector<log_span> spans = std::vector<log_span>(turns);
  };
  std::vector<post> posts(readers);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int r = 0; r < readers; ++r)
    threads.emplace_back([&, r] {
      post& mine = posts[static_cast<std::size_t>(r)];
      std::mt19937 random{static_cast<unsigned>(r)};
      span_window window;
      std::uint64_t taken = 0, read = 0;
      while (taken < turns) {
        const std::uint64_t there = mine.written.load(std::memory_order_acquire);
        for (; taken < there; ++taken) (void)window.append(mine.spans[taken]);
        if (random() % 64 != 0 && taken < turns) continue;
        window.for_each_frame(read, window.end(), [&](const log_entry&, std::uint64_t from, std::uint64_t to) {
          if (to - from != 10) ++wrong;
        });
        if (content(window, read, window.end()).size() != (window.end() - read)) ++wrong;
        read = window.end();
        window.drop_before(read);
      }
    });
  for (int turn = 0; turn < turns; ++turn) {
    w.append("12345678");
    w.spans.clear();
    w.log.publish(readers, w.spans);
    for (post& p : posts) {
      p.spans[static_cast<std::size_t>(turn)] = w.spans[0];
      p.written.store(static_cast<std::uint64_t>(turn) + 1, std::memory_order_release);
    }
    w.store.reclaim();
  }
  for (std::thread& t : threads) t.join();
  w.store.reclaim();
  BOOST_TEST(wrong == 0);
  BOOST_TEST(w.store.chunks_out() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

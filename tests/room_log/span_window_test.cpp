// A window of a log: positions, sequence numbers, and the frames that their authors do not hear.
#include "tests/room_log/written_log.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

// Twelve frames of 3 bytes' payload, 5 bytes each, numbered 100 to 111 in their payloads; the fourth, fifth and ninth are not for author 7.
struct twelve : written_log {
  span_window window, other;
  explicit twelve(int messages_a_turn) {
    for (int i = 0; i < 12; ++i) {
      const bool deaf = i == 3 || i == 4 || i == 8;
      append(std::to_string(100 + i), deaf ? 7 : 0, !deaf);
      if ((i + 1) % messages_a_turn == 0) publish({&window, &other});
    }
    publish({&window, &other});
  }
};

} // namespace

BOOST_AUTO_TEST_SUITE(span_windows)

BOOST_AUTO_TEST_CASE(every_position_knows_its_frame_and_its_number) {
  for (const int messages_a_turn : {1, 2, 5, 12}) {
    twelve t{messages_a_turn};
    for (std::uint64_t i = 0; i <= 12; ++i) {
      BOOST_TEST(t.window.sequence_at(i * 5) == i + 1);
      BOOST_TEST(t.window.frame_end_at_or_after(i * 5) == i * 5);
      if (i < 12)
        for (std::uint64_t within = 1; within < 5; ++within) BOOST_TEST(t.window.frame_end_at_or_after(i * 5 + within) == i * 5 + 5);
    }
    BOOST_TEST(t.window.last_frame_begin() == 55u);
    BOOST_TEST(t.window.next_sequence() == 13u);
  }
}

BOOST_AUTO_TEST_CASE(an_author_is_shown_all_but_what_it_does_not_hear_from_wherever_it_begins) {
  for (const int messages_a_turn : {1, 2, 5, 12}) {
    twelve t{messages_a_turn};
    for (std::uint64_t from = 0; from <= 12; ++from)
      for (std::uint64_t to = from; to <= 12; ++to) {
        std::string all, heard;
        for (std::uint64_t i = from; i < to; ++i) {
          all += '[' + std::to_string(100 + i) + ']';
          if (i != 3 && i != 4 && i != 8) heard += '[' + std::to_string(100 + i) + ']';
        }
        BOOST_TEST(content(t.window, from * 5, to * 5) == all);
        BOOST_TEST(content(t.window, from * 5, to * 5, 7) == heard);
        BOOST_TEST(content(t.window, from * 5, to * 5, 8) == all);
        std::uint64_t next = from * 5;
        t.window.for_each_frame(from * 5, to * 5, [&](const log_entry&, std::uint64_t begin, std::uint64_t end) {
          BOOST_TEST(begin == next);
          next = end;
        });
        BOOST_TEST(next == to * 5);
      }
  }
}

BOOST_AUTO_TEST_CASE(the_last_frames_within_a_cost_are_found_exactly) {
  for (const int messages_a_turn : {1, 2, 5, 12}) {
    twelve t{messages_a_turn};
    for (std::uint64_t cost = 0; cost < 300; ++cost) {
      const std::uint64_t frames = std::min<std::uint64_t>(cost / log_cost(5, 1), 12);
      BOOST_TEST(t.window.begin_of_last(cost) == 60 - frames * 5);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_part_that_was_copied_outlives_the_window_that_it_came_from) {
  for (const int messages_a_turn : {1, 2, 5, 12})
    for (std::uint64_t from = 0; from <= 12; ++from)
      for (std::uint64_t to = from; to <= 12; ++to) {
        twelve t{messages_a_turn};
        const std::string expected = content(t.window, from * 5, to * 5);
        span_window part{from * 5, from + 1};
        part.extend(t.window, to * 5);
        t.window.drop_before(60);
        t.other.clear();
        t.store.reclaim();
        BOOST_TEST(content(part, from * 5, to * 5) == expected);
        BOOST_TEST(part.sequence_at(to * 5) == to + 1);
        part.drop_before(to * 5);
        t.store.reclaim();
        BOOST_TEST(t.store.chunks_out() == 0u);
      }
}

BOOST_AUTO_TEST_SUITE_END()

// A message or a body under way is judged by its progress: neither silence nor single bytes keep its memory.
#include "tests/sim/rigs/memory_rig.hpp"

namespace ringcast::sim {

using namespace engine;

namespace {

constexpr std::uint32_t window_ms = 2'000;
const shard_options quick{.limits = {.handshake_timeout_ms = window_ms, .frame_timeout_ms = window_ms}};

} // namespace

BOOST_AUTO_TEST_SUITE(progress)

BOOST_AUTO_TEST_CASE(a_frame_that_comes_byte_by_byte_ends_with_1008) {
  memory_rig rig(quick);
  peer& p = rig.add("/echo");
  rig.run_for(50);
  const std::uint64_t before = rig.held();
  p.send_bytes(frame_beginning(1'000'000, 100'000));
  for (int i = 0; i < 80 && !p.is_over(); ++i) {
    p.send_bytes("x");
    rig.run_for(100);
  }
  BOOST_TEST(p.close_code() == 1008);
  rig.run_for(4'000);
  BOOST_TEST(rig.held() <= before + 16 * 1024);
  BOOST_TEST(rig.end().empty());
}

// The first look is one window after the first byte, whoever looked at the bytes before: a text is judged as it comes.
BOOST_AUTO_TEST_CASE(a_slow_frame_ends_one_window_after_its_first_byte) {
  for (const opcode kind : {opcode::binary, opcode::text}) {
    memory_rig rig(quick);
    peer& p = rig.add("/echo");
    rig.run_for(50);
    p.send_bytes(frame_beginning(1'000'000, 100, kind));
    std::uint32_t took_ms = 0;
    for (; took_ms < 4 * window_ms && p.close_code() == 0; took_ms += 50) {
      p.send_bytes("x");
      rig.run_for(50);
    }
    BOOST_TEST_CONTEXT("opcode " << static_cast<int>(kind)) {
      BOOST_TEST(p.close_code() == 1008);
      BOOST_TEST(took_ms >= window_ms);
      BOOST_TEST(took_ms <= window_ms + 200);
    }
    BOOST_TEST(rig.end().empty());
  }
}

BOOST_AUTO_TEST_CASE(pings_do_not_keep_a_message_of_which_a_part_came) {
  memory_rig rig(quick);
  peer& p = rig.add("/echo");
  rig.run_for(50);
  p.send_bytes(frame_beginning(100'000, 100'000, opcode::binary, false));
  for (int i = 0; i < 80 && !p.is_over(); ++i) {
    p.send_ping("there?");
    rig.run_for(100);
  }
  BOOST_TEST(p.close_code() == 1008);
  BOOST_TEST(rig.end().empty());
}

BOOST_AUTO_TEST_CASE(a_slow_line_that_goes_on_is_heard_to_the_end) {
  memory_rig rig(quick);
  peer& p = rig.add("/echo");
  std::size_t echoed = 0;
  p.on_message = [&](const peer_message& m) { echoed += m.payload.size(); };
  rig.run_for(50);
  // Twice what is asked for, over many windows.
  const std::string whole = frame_beginning(40'000, 40'000);
  for (std::size_t sent = 0; sent < whole.size(); sent += 205) {
    p.send_bytes(whole.substr(sent, 205));
    rig.run_for(100);
  }
  rig.run_for(100);
  BOOST_TEST(echoed == 40'000u);
  BOOST_TEST(rig.end().empty());
}

BOOST_AUTO_TEST_CASE(small_fragments_may_come_as_slowly_as_a_program_thinks) {
  memory_rig rig(quick);
  peer& p = rig.add("/echo");
  std::size_t echoed = 0;
  p.on_message = [&](const peer_message& m) { echoed += m.payload.size(); };
  rig.run_for(50);
  p.send_bytes(frame_beginning(4, 4, opcode::binary, false));
  for (int i = 0; i < 10; ++i) {
    rig.run_for(1'000);
    p.send_bytes(frame_beginning(4, 4, opcode::continuation, i == 9));
  }
  rig.run_for(100);
  BOOST_TEST(echoed == 44u);
  BOOST_TEST(rig.end().empty());
}

BOOST_AUTO_TEST_CASE(a_stream_of_messages_is_never_too_slow) {
  memory_rig rig(quick);
  peer& p = rig.add("/echo");
  std::size_t echoed = 0;
  p.on_message = [&](const peer_message& m) { echoed += m.payload.size(); };
  rig.run_for(50);
  // Each write ends in the middle of a frame, so there is always one under way.
  std::string stream;
  for (int i = 0; i < 200; ++i) stream += frame_beginning(500, 500);
  for (std::size_t sent = 0; sent < stream.size(); sent += 508) {
    p.send_bytes(stream.substr(sent, 508));
    rig.run_for(50);
  }
  rig.run_for(100);
  BOOST_TEST(echoed == 100'000u);
  BOOST_TEST(rig.end().empty());
}

BOOST_AUTO_TEST_CASE(a_body_that_stands_still_is_answered_408_and_one_that_goes_on_is_taken) {
  memory_rig rig(quick);
  int slow_status = 0, steady_status = 0;
  peer& slow = rig.add();
  slow.on_answer = [&](int status, std::string_view) { slow_status = status; };
  peer& steady = rig.add();
  steady.on_answer = [&](int status, std::string_view) { steady_status = status; };
  const std::string head = "POST /rooms/a/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n";
  slow.send_bytes(head);
  steady.send_bytes(head);
  for (int i = 0; i < 100; ++i) {
    steady.send_bytes(std::string(200, 'x'));
    slow.send_bytes("x");
    rig.run_for(100);
    if (i == 50) BOOST_TEST(slow_status == 408);
  }
  rig.run_for(100);
  BOOST_TEST(steady_status / 100 == 2);
  BOOST_TEST(rig.end().empty());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

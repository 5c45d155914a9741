// Messages that are not joined: received as they come, and sent in fragments.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"
#include "tests/support/sanitizer.hpp"

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

// "VmHWM:", of this process, in bytes; the mark is set anew by reset_peak().
std::uint64_t peak_memory() {
  std::ifstream status{"/proc/self/status"};
  for (std::string word; status >> word;)
    if (std::uint64_t kib = 0; word == "VmHWM:" && status >> kib) return kib * 1024;
  return 0;
}
void reset_peak() { std::ofstream{"/proc/self/clear_refs"} << 5; }

// A frame with a masking key of zeros (RFC 6455 5.3 allows any), so that its payload can be sent as it is.
std::string header_of(opcode op, std::uint64_t bytes, bool fin) {
  std::string header{static_cast<char>((fin ? 0x80 : 0) | static_cast<int>(op)), static_cast<char>(0x80 | 127)};
  for (int shift = 56; shift >= 0; shift -= 8) header += static_cast<char>(bytes >> shift);
  return header + std::string(4, '\0');
}

struct received {
  std::atomic<std::uint64_t> bytes{0}, parts{0}, messages{0}, longest{0};
};

void count_parts(server& s, received& all, std::uint64_t bytes_max) {
  s.get("/count", [&all, bytes_max](request& req) -> task<void> {
    websocket ws = co_await req.upgrade({.message_bytes_max = bytes_max, .in_parts = true});
    while (const auto part = co_await ws.receive_part()) {
      all.bytes += part->payload.size();
      ++all.parts;
      if (part->payload.size() > all.longest) all.longest = part->payload.size();
      if (!part->is_last) continue;
      ++all.messages;
      co_await ws.send("whole");
    }
  });
}

} // namespace

BOOST_AUTO_TEST_SUITE(parts)

BOOST_AUTO_TEST_CASE(a_gigabyte_in_one_frame_or_in_many_is_received_without_holding_it) {
  const bool is_counted = !is_sanitized;
  const std::uint64_t bytes = is_counted ? std::uint64_t{1} << 30 : std::uint64_t{1} << 24;
  received all;
  running server{[&](auto& s) { count_parts(s, all, bytes); }, {.shards = 1}};
  const std::string piece(256 * 1024, 'x');
  for (const std::uint64_t frame_bytes : {bytes, bytes / 64}) {
    wire_client sends{server.address()};
    (void)sends.upgrade("/count");
    reset_peak();
    const std::uint64_t before = peak_memory();
    for (std::uint64_t frame = 0; frame < bytes; frame += frame_bytes) {
      sends.send_bytes(header_of(frame == 0 ? opcode::binary : opcode::continuation, frame_bytes, frame + frame_bytes == bytes));
      for (std::uint64_t at = 0; at < frame_bytes; at += piece.size()) sends.send_bytes(piece);
    }
    BOOST_TEST(sends.text(20'000) == "whole");
    const std::uint64_t grown = peak_memory() - before;
    if (is_counted)
      BOOST_TEST(grown <= (1u << 20), grown << " bytes");
    else
      BOOST_TEST_MESSAGE("memory is not counted under a sanitizer");
  }
  BOOST_TEST(all.bytes == 2 * bytes);
  BOOST_TEST(all.messages == 2u);
  BOOST_TEST(all.longest <= 256u * 1024);
}

BOOST_AUTO_TEST_CASE(who_does_not_receive_makes_the_peer_wait_and_holds_little) {
  std::atomic<bool> go{false};
  std::atomic<std::uint64_t> bytes{0};
  running server{[&](auto& s) {
                   s.get("/slow", [&](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade({.message_bytes_max = 1u << 30, .in_parts = true});
                     while (!go) co_await sleep_for(5ms);
                     while (const auto part = co_await ws.receive_part()) bytes += part->payload.size();
                   });
                 },
                 {.shards = 1}};
  wire_client sends{server.address()};
  (void)sends.upgrade("/slow");
  sends.send_bytes(header_of(opcode::binary, 1u << 30, true));
  const std::string piece(64 * 1024, 'x');
  const std::size_t taken = sends.send_until_full(piece, 256u << 20);
  BOOST_TEST(taken < 64u << 20); // the kernel's buffers, and not ours
  const server_statistics told = server.s.statistics_future().get();
  BOOST_TEST(told.total().held_bytes < 2u << 20); // what one receive brings, in a block of the next size
  go = true;
  while (bytes < taken) std::this_thread::sleep_for(5ms);
  BOOST_TEST(bytes == taken);
}

BOOST_AUTO_TEST_CASE(parts_of_the_event_face_say_which_one_ends_a_message_and_pings_go_between) {
  running server{[](auto& s) {
    s.events("/", {.on_message =
                       [](websocket_ref ws, const message_view& part) {
                         ws.send((part.op == opcode::text ? "text " : "binary ") + std::to_string(part.payload.size()) + (part.is_last ? "." : "+"));
                       },
                   .message_bytes_max = 100,
                   .in_parts = true});
  }};
  wire_client c{server.address()};
  const std::string answer = c.upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  BOOST_TEST(answer.find("permessage-deflate") == std::string::npos);
  c.send(opcode::text, "whole");
  BOOST_TEST(c.text() == "text 5.");
  c.send(opcode::binary, "first", false);
  BOOST_TEST(c.text() == "binary 5+");
  c.send(opcode::ping, "p");
  const auto pong = c.receive();
  BOOST_REQUIRE(pong.has_value());
  BOOST_TEST((pong->op == opcode::pong));
  c.send(opcode::continuation, "", false);
  c.send(opcode::continuation, "last");
  BOOST_TEST(c.text() == "binary 4.");
  c.send(opcode::text, "");
  BOOST_TEST(c.text() == "text 0.");
  const std::string cut = masked_frame(opcode::text, "0123456789");
  c.send_bytes(cut.substr(0, 9));
  BOOST_TEST(c.text() == "text 3+");
  c.send_bytes(cut.substr(9));
  BOOST_TEST(c.text() == "text 7.");
  c.send(opcode::binary, std::string(60, 'x'), false);
  BOOST_TEST(c.text() == "binary 60+");
  c.send_bytes(masked_frame(opcode::continuation, std::string(41, 'x')).substr(0, 6)); // its header is enough
  BOOST_TEST(c.text() == "<close 1009>");
  wire_client wrong{server.address()};
  (void)wrong.upgrade("/");
  wrong.send(opcode::text, "\xff", false);
  BOOST_TEST(wrong.text() == "<close 1007>");
  wire_client twice{server.address()};
  (void)twice.upgrade("/");
  twice.send(opcode::text, "a", false);
  twice.send(opcode::text, "b");
  BOOST_TEST(twice.text() == "text 1+");
  BOOST_TEST(twice.text() == "<close 1002>");
}

BOOST_AUTO_TEST_CASE(receive_into_goes_on_over_the_parts_of_a_message) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade({.in_parts = true});
      std::byte into[4];
      std::string all;
      while (const auto got = co_await ws.receive_into(into)) {
        all.append(reinterpret_cast<const char*>(into), got->bytes);
        if (!got->end_of_message) continue;
        co_await ws.send(all);
        all.clear();
      }
    });
  }};
  wire_client c{server.address()};
  (void)c.upgrade("/");
  c.send(opcode::text, "hello ", false);
  c.send(opcode::continuation, "wor", false);
  c.send(opcode::continuation, "ld and more");
  BOOST_TEST(c.text() == "hello world and more");
  c.send(opcode::text, "again");
  BOOST_TEST(c.text() == "again");
}

BOOST_AUTO_TEST_CASE(a_message_is_sent_in_fragments_and_nothing_else_stands_between_them) {
  std::atomic<int> in_message{0};
  std::atomic<bool> joined_meanwhile{true}, begun_twice{true};
  running server{[&](auto& s) {
    s.get("/", [&](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      {
        message_writer out = ws.begin_message(opcode::text);
        co_await out.write("one, ");
        in_message += (co_await ws.send("between")) == send_status::in_message;
        in_message += ws.try_send("between") == send_status::in_message;
        const shared_frame prepared = shared_frame::text("between");
        in_message += (co_await ws.send_prepared(prepared)) == send_status::in_message;
        begun_twice = static_cast<bool>(ws.begin_message(opcode::text));
        seat here = co_await req.server().room("r").join({}, ws);
        joined_meanwhile = static_cast<bool>(here);
        co_await ws.ping("p");
        co_await out.write("two, ");
        co_await out.finish(std::as_bytes(std::span{std::string_view{"three"}}));
        in_message += (co_await out.write("too late")) == send_status::closed ? 10 : 0;
      }
      co_await ws.send("behind");
      seat here = co_await req.server().room("r").join({}, ws);
      in_message += ws.begin_message(opcode::text) ? 0 : 100; // a member of a room
      here.leave();
      message_writer empty = ws.begin_message(opcode::binary);
      co_await empty.finish();
      message_writer forgotten = ws.begin_message(opcode::text);
      co_await forgotten.write("never finished");
    });
  }};
  wire_client c{server.address()};
  (void)c.upgrade("/");
  std::vector<std::string> frames;
  while (const auto frame = c.receive()) {
    frames.push_back(std::to_string(static_cast<int>(frame->op)) + ' ' +
                     (frame->op == opcode::close ? std::to_string(frame->code()) : frame->payload));
    if (frame->op == opcode::close) break;
  }
  const std::vector<std::string> expected{"1 one, ", "9 p", "0 two, ", "0 three", "1 behind", "2 ", "1 never finished", "8 1011"};
  BOOST_TEST(frames == expected, boost::test_tools::per_element());
  BOOST_TEST(in_message == 113);
  BOOST_TEST(!joined_meanwhile);
  BOOST_TEST(!begun_twice);
}

BOOST_AUTO_TEST_CASE(writing_waits_for_a_slow_peer_and_a_gigabyte_goes_out_without_being_held) {
  const bool is_counted = !is_sanitized;
  const std::uint64_t bytes = is_counted ? std::uint64_t{1} << 30 : std::uint64_t{1} << 24;
  running server{[&](auto& s) {
                   s.get("/", [&](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade();
                     (void)co_await ws.receive();
                     message_writer out = ws.begin_message(opcode::binary);
                     const std::vector<std::byte> piece(64 * 1024);
                     for (std::uint64_t at = 0; at < bytes; at += piece.size())
                       if (co_await out.write(piece) != send_status::queued) co_return;
                     co_await out.finish();
                     (void)co_await ws.receive();
                   });
                 },
                 {.shards = 1}};
  wire_client c{server.address()};
  (void)c.upgrade("/");
  reset_peak();
  const std::uint64_t before = peak_memory();
  c.send(opcode::text, "go");
  // 64 KiB and a header of 10 bytes each, and the empty end.
  BOOST_TEST(c.discard(bytes / (64 * 1024) * (64 * 1024 + 10)));
  const auto last = c.receive();
  BOOST_REQUIRE(last.has_value());
  BOOST_TEST((last->op == opcode::continuation));
  BOOST_TEST(last->payload.empty());
  const std::uint64_t grown = peak_memory() - before;
  if (is_counted)
    BOOST_TEST(grown <= (1u << 20), grown << " bytes");
  else
    BOOST_TEST_MESSAGE("memory is not counted under a sanitizer");
}

BOOST_AUTO_TEST_SUITE_END()

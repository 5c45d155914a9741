// What a message costs in heap allocations once everything is warm: nothing, in both faces.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"
#include "tests/queues/allocation_count.hpp"

#include <chrono>
#include <cstring>
#include <string>

using namespace ringcast;

namespace {

constexpr int messages = 400, batch = 20;

task<void> echo(request& req) {
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

task<void> echo_with_deadline(request& req) {
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive({.deadline = std::chrono::seconds(30)})) co_await ws.send(*message);
}

template <bool with_deadline> task<void> echo_frames(request& req) {
  websocket ws = co_await req.upgrade();
  while (auto frame = co_await ws.receive_frame(with_deadline ? wait_limits{.deadline = std::chrono::seconds(30)} : wait_limits{}))
    if (frame->op == opcode::text) co_await ws.send_text(frame->text());
}

// Into memory for the whole message, or for a part of it.
template <std::size_t bytes, bool with_deadline> task<void> echo_into(request& req) {
  websocket ws = co_await req.upgrade();
  std::byte memory[bytes], whole[256];
  std::size_t there = 0;
  while (auto part = co_await ws.receive_into(memory, with_deadline ? wait_limits{.deadline = std::chrono::seconds(30)} : wait_limits{})) {
    std::memcpy(whole + there, memory, part->bytes);
    there += part->bytes;
    if (!part->end_of_message) continue;
    co_await ws.send_text({reinterpret_cast<const char*>(whole), there});
    there = 0;
  }
}

task<void> publish(request& req) {
  websocket ws = co_await req.upgrade();
  room all = req.server().room("all");
  seat here = co_await all.join({}, ws);
  while (auto message = co_await ws.receive()) all.broadcast(message->op, message->payload);
}

// Allocations of the whole program while `messages` go round in batches; the clients make none.
std::size_t allocations_of(wire_client& c, wire_client* listener = nullptr) {
  std::string all;
  for (int i = 0; i < batch; ++i) all += masked_frame(opcode::text, "a message of forty bytes, as chats have");
  const std::size_t answer = static_cast<std::size_t>(batch) * (2 + 39);
  const auto rounds = [&] {
    for (int i = 0; i < messages / batch; ++i) {
      c.send_bytes(all);
      BOOST_REQUIRE(c.discard(answer));
      if (listener != nullptr) listener->discard_what_came();
    }
  };
  // Warm: a room's chunks adapt to what its turns bring, so each of their sizes must have been used.
  for (int i = 0; i < 10; ++i) rounds();
  const std::size_t before = allocation_count();
  rounds();
  return allocation_count() - before;
}

} // namespace

BOOST_AUTO_TEST_SUITE(allocations)

BOOST_AUTO_TEST_CASE(a_warm_message_allocates_nothing_in_either_face) {
  for (const std::uint32_t shards : {1u, 2u}) {
    running server{[](auto& s) {
                     s.get("/coroutine/echo", echo);
                     s.get("/coroutine/broadcast", publish);
                     s.events("/events/echo", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
                     s.events("/events/broadcast", {.on_upgrade = [](upgrade_request_view& upgrade) { upgrade.take_seat("all"); },
                                                    .on_message = [](websocket_ref ws, const message_view& m) { ws.broadcast(m.op, m.payload); }});
                   },
                   {.shards = shards}};
    for (const char* path : {"/coroutine/echo", "/coroutine/broadcast", "/events/echo", "/events/broadcast"}) {
      wire_client c{server.address()};
      BOOST_REQUIRE(c.upgrade(path).starts_with("HTTP/1.1 101"));
      BOOST_TEST(allocations_of(c) == 0u, path << " with " << shards << " shard(s)");
      c.close(1000);
      while (c.text() != "<close 1000>") {
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_warm_message_allocates_nothing_in_any_encoding_of_a_room_that_remembers) {
  for (const std::uint32_t shards : {1u, 2u}) {
    server_options options;
    options.shards = shards;
    options.history.messages = 200;
    options.compression.threshold_bytes = 1;
    running server{[](auto& s) {
                     s.events("/room", {.on_upgrade =
                                            [](upgrade_request_view& upgrade) {
                                              upgrade.take_seat("all", {.numbered = upgrade.request().query("seq").has_value()});
                                            },
                                        .on_message = [](websocket_ref ws, const message_view& m) { ws.broadcast(m.op, m.payload); },
                                        .event_streams = true});
                   },
                   options};
    struct encoding {
      const char *path, *headers;
    };
    for (const auto& [path, headers] :
         {encoding{"/room", ""}, encoding{"/room?seq", ""}, encoding{"/room", "Sec-WebSocket-Extensions: permessage-deflate\r\n"},
          encoding{"/room?seq", "Sec-WebSocket-Extensions: permessage-deflate\r\n"}, encoding{"stream", ""}}) {
      wire_client author{server.address()}, listener{server.address()};
      BOOST_REQUIRE(author.upgrade("/room").starts_with("HTTP/1.1 101"));
      if (std::string_view{path} == "stream") {
        listener.send_bytes("GET /room HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
        BOOST_REQUIRE(listener.until("\r\n\r\n").starts_with("HTTP/1.1 200"));
      } else {
        BOOST_REQUIRE(listener.upgrade(path, headers).starts_with("HTTP/1.1 101"));
      }
      BOOST_TEST(allocations_of(author, &listener) == 0u, path << ' ' << headers << " with " << shards << " shard(s)");
    }
  }
}

BOOST_AUTO_TEST_CASE(no_way_to_receive_allocates_once_warm) {
  running server{[](auto& s) {
                   s.get("/receive", echo);
                   s.get("/receive/deadline", echo_with_deadline);
                   s.get("/frames", echo_frames<false>);
                   s.get("/frames/deadline", echo_frames<true>);
                   s.get("/into", echo_into<64, false>);
                   s.get("/into/deadline", echo_into<64, true>);
                   s.get("/parts", echo_into<16, false>);
                   s.get("/parts/deadline", echo_into<16, true>);
                 },
                 {.shards = 1}};
  for (const char* path : {"/receive", "/receive/deadline", "/frames", "/frames/deadline", "/into", "/into/deadline", "/parts", "/parts/deadline"}) {
    wire_client c{server.address()};
    BOOST_REQUIRE(c.upgrade(path).starts_with("HTTP/1.1 101"));
    BOOST_TEST(allocations_of(c) == 0u, path);
  }
}

BOOST_AUTO_TEST_SUITE_END()

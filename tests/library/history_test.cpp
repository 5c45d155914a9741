// What rooms keep, as programs read it; and options that cannot be.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <chrono>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;

namespace {

server_options with_history(std::uint64_t messages) {
  server_options options;
  options.history.messages = messages;
  return options;
}

std::string numbers_of(const room_messages& read) {
  std::string text;
  for (const room_message& each : read.messages) text += std::to_string(each.sequence) + "=" + std::string{each.text()} + " ";
  return text;
}

} // namespace

BOOST_AUTO_TEST_SUITE(remembering)

BOOST_AUTO_TEST_CASE(what_a_room_keeps_is_read_in_three_ways) {
  std::promise<std::string> by_callback;
  running server{[&](auto& s) {
                   s.get("/coroutine", [](request& req) -> task<void> {
                     const room_messages read = co_await req.server().room("lobby").read({.last = 2}, 10);
                     req.respond(status::ok, numbers_of(read));
                   });
                   s.routes().add("GET", "/callback", [&s](const http_request&, http_responder responder) {
                     s.room("lobby").read({.last = 3}, 10, 0, [responder](const room_messages& read) mutable {
                       responder.respond(http_status::ok, "text/plain", numbers_of(read));
                     });
                   });
                 },
                 with_history(5)};
  // Nobody is in the room. Each answer says where the message stands.
  room lobby = server.s.room("lobby");
  room_position last;
  for (int i = 1; i <= 8; ++i) {
    const char letter = static_cast<char>('a' + i - 1);
    const broadcast_report report = lobby.broadcast_future(opcode::text, std::as_bytes(std::span{&letter, 1})).get();
    BOOST_TEST(report.members == 0u);
    BOOST_TEST(report.position.sequence == static_cast<std::uint64_t>(i));
    if (i > 1) BOOST_TEST(report.position.epoch == last.epoch);
    last = report.position;
  }
  BOOST_TEST(last.epoch != 0u);
  const room_messages all = lobby.read_future({.last = 100}, 100).get();
  BOOST_TEST(numbers_of(all) == "4=d 5=e 6=f 7=g 8=h ");
  BOOST_TEST((all.newest == last));
  BOOST_TEST(!all.missing);
  BOOST_TEST(!all.more);
  const room_messages behind = lobby.read_future({.after = room_position{last.epoch, 6}}, 1).get();
  BOOST_TEST(numbers_of(behind) == "7=g ");
  BOOST_TEST(behind.more);
  BOOST_TEST((behind.next() == room_position{last.epoch, 7}));
  // Gone, of another epoch, from the future: told, and what is kept comes instead.
  for (const room_position lost : {room_position{last.epoch, 2}, room_position{last.epoch + 1, 8}, room_position{last.epoch, 9}}) {
    const room_messages read = lobby.read_future({.after = lost}, 100).get();
    BOOST_TEST(read.missing);
    BOOST_TEST(numbers_of(read) == "4=d 5=e 6=f 7=g 8=h ");
  }
  BOOST_TEST(lobby.read_future({.after = last}, 100).get().messages.empty());
  BOOST_TEST(!lobby.read_future({.after = last}, 100).get().missing);
  BOOST_TEST(server.s.room("elsewhere").read_future({.last = 1}, 1).get().newest.epoch == 0u);
  wire_client asks{server.address()};
  BOOST_TEST(asks.http("GET /coroutine HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("7=g 8=h "));
  wire_client asks_again{server.address()};
  BOOST_TEST(asks_again.http("GET /callback HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("6=f 7=g 8=h "));
}

// Programs that number messages themselves, and hand out what they remember, cannot do this over two shards without a lock around both.
BOOST_AUTO_TEST_CASE(three_hundred_who_join_over_two_shards_while_others_speak_hear_a_log_without_a_hole) {
  constexpr int joins = 300, listened = 40;
  constexpr std::uint32_t last = 20;
  running server{[](auto& s) {
                   s.get("/chat", [](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade();
                     const seat here = co_await req.server().room("lobby").join("", ws, {.numbered = true, .replay = replay_options{.last = last}});
                     if (!here) co_return;
                     co_await ws.send_text(std::to_string(here.joined().at.sequence));
                     while (co_await ws.receive()) {
                     }
                   });
                 },
                 with_history(1'000)};
  const auto speak = [&server](const std::stop_token& stop, const std::string& name) {
    room lobby = server.s.room("lobby");
    for (int i = 0; !stop.stop_requested(); ++i) {
      lobby.broadcast_text(name + " " + std::to_string(i));
      if (i % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  };
  std::jthread ann(speak, "ann"), bob(speak, "bob");
  std::map<std::uint64_t, std::string> said; // what each number means, to everybody
  std::uint64_t replayed = 0;
  for (int i = 0; i < joins; ++i) {
    wire_client member{server.address()};
    BOOST_REQUIRE(member.upgrade("/chat").starts_with("HTTP/1.1 101"));
    const std::uint64_t newest = std::stoull(member.text());
    std::uint64_t next = newest + 1 - std::min<std::uint64_t>(newest, last);
    for (int heard = 0; heard < listened; ++heard, ++next) {
      const std::string text = member.text();
      const std::size_t end = text.find('\n');
      BOOST_REQUIRE_MESSAGE(end != std::string::npos, text);
      BOOST_REQUIRE_EQUAL(std::stoull(text), next);
      BOOST_REQUIRE_EQUAL(said.emplace(next, text.substr(end + 1)).first->second, text.substr(end + 1));
      if (next <= newest) ++replayed;
    }
    member.close(1000);
  }
  BOOST_TEST(replayed > joins * last / 2);
}

BOOST_AUTO_TEST_CASE(a_thread_that_speaks_into_an_empty_room_is_remembered) {
  running server{[](auto&) {}, with_history(10)};
  room lobby = server.s.room("lobby");
  for (int i = 0; i < 3; ++i) BOOST_TEST((lobby.broadcast_text("said") == send_status::queued));
  // A question goes the same way as what was said before it.
  BOOST_TEST(numbers_of(lobby.read_future({.last = 10}, 10).get()) == "1=said 2=said 3=said ");
}

BOOST_AUTO_TEST_CASE(what_is_too_old_is_gone_and_so_is_a_room_that_keeps_nothing) {
  server_options options;
  options.history.seconds = 1;
  running server{[](auto&) {}, options};
  room lobby = server.s.room("lobby");
  const room_position said = lobby.broadcast_future(opcode::text, std::as_bytes(std::span{"a", 1})).get().position;
  BOOST_TEST(numbers_of(lobby.read_future({.last = 10}, 10).get()) == "1=a ");
  // Within some looks, each a second apart, the room is forgotten; opened anew, it is another one.
  bool gone = false;
  for (int i = 0; i < 200 && !gone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    gone = lobby.read_future({.last = 10}, 10).get().newest.epoch == 0;
  }
  BOOST_TEST(gone);
  const room_position anew = lobby.broadcast_future(opcode::text, std::as_bytes(std::span{"b", 1})).get().position;
  BOOST_TEST(anew.sequence == 1u);
  BOOST_TEST(anew.epoch != said.epoch);
  BOOST_TEST(lobby.read_future({.after = said}, 10).get().missing);
}

BOOST_AUTO_TEST_CASE(a_history_without_memory_or_with_too_much_is_refused_in_words) {
  server_options options = with_history(10);
  options.listen = {"127.0.0.1:0"};
  options.history.total_bytes = 0;
  server none{options};
  const auto refused = none.start();
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().why == "rooms are to have a history, and no memory for it");
  BOOST_TEST(refused.error().exit_code == 2);
  options.history.total_bytes = 64u << 20;
  options.memory_bytes = 100u << 20;
  server too_much{options};
  BOOST_REQUIRE(!too_much.start());
}

BOOST_AUTO_TEST_SUITE_END()

// What holds for some rooms and not for others: server::rooms_like().
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

std::span<const std::byte> bytes_of_text(std::string_view text) { return std::as_bytes(std::span{text}); }

// A member of /room/{room} hears it; what it sends is published, and it is told what became of that.
void room_route(server& s) {
  s.events("/room/*", {.on_upgrade = [](upgrade_request_view& up) { up.take_seat(up.request().parameter("*"), hearing::others); },
                       .on_message =
                           [](websocket_ref ws, const message_view& m) {
                             ws.send(ws.broadcast(m.op, m.payload) == send_status::too_large ? "too large" : "published");
                           }});
}

std::string why_not(const std::string& pattern, std::size_t times = 1) {
  server s{{.listen = {"127.0.0.1:0"}, .shards = 1}};
  for (std::size_t i = 0; i < times; ++i) s.rooms_like(pattern, {});
  const auto started = s.start();
  return started ? std::string{} : started.error().why;
}

} // namespace

BOOST_AUTO_TEST_SUITE(room_rules_by_name)

BOOST_AUTO_TEST_CASE(a_star_stands_for_any_bytes_and_everything_else_for_itself) {
  struct row {
    std::string_view pattern, name;
    bool matches;
  };
  for (const auto& [pattern, name, matches] : {row{"prices/*", "prices/eur", true},
                                               row{"prices/*", "prices/", true},
                                               row{"prices/*", "prices", false},
                                               row{"prices/*", "prices/a/b", true},
                                               row{"prices/*", "xprices/a", false},
                                               row{"*", "", true},
                                               row{"*", "anything", true},
                                               row{"", "", true},
                                               row{"", "a", false},
                                               row{"lobby", "lobby", true},
                                               row{"lobby", "lobby2", false},
                                               row{"*-private", "a-private", true},
                                               row{"*-private", "a-private-b", false},
                                               row{"a*b*c", "abc", true},
                                               row{"a*b*c", "a-b-b-c", true},
                                               row{"a*b*c", "acb", false},
                                               row{"**", "x", true},
                                               row{"a.c", "abc", false},
                                               row{"[ab]", "a", false},
                                               row{"?", "a", false}})
    BOOST_TEST(matches_room_pattern(pattern, name) == matches, pattern << " and " << name);
  // However it was chosen, a comparison is no way to hold a shard: ten stars against the longest name.
  std::string stars;
  for (int i = 0; i < 10; ++i) stars += "*a";
  BOOST_TEST(!matches_room_pattern(stars + "*b", std::string(128, 'a')));
  BOOST_TEST(matches_room_pattern(stars + "*", std::string(128, 'a')));
}

BOOST_AUTO_TEST_CASE(a_message_above_the_bound_of_its_room_is_refused_at_every_entry) {
  running server{[](auto& s) {
    s.rooms_like("small/*", {.message_bytes_max = 10});
    room_route(s);
    s.get("/seat", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      seat here = co_await req.server().room("small/one").join({}, ws);
      while (const auto message = co_await ws.receive())
        co_await ws.send(here.broadcast(message->op, message->payload) == send_status::too_large ? "too large" : "published");
    });
  }};
  wire_client hears{server.address()}, says{server.address()}, sits{server.address()}, elsewhere{server.address()};
  (void)hears.upgrade("/room/small/one");
  (void)says.upgrade("/room/small/one");
  (void)sits.upgrade("/seat");
  (void)elsewhere.upgrade("/room/large");
  room small = server.s.room("small/one");
  BOOST_TEST(small.message_bytes_max() == 10u);
  BOOST_TEST(server.s.room("large").message_bytes_max() == UINT64_MAX);
  for (const std::size_t bytes : {9u, 10u, 11u}) {
    const std::string text(bytes, static_cast<char>('a' + bytes - 9));
    const bool fits = bytes <= 10;
    const std::string expected = fits ? "published" : "too large";
    says.send(opcode::text, text);
    BOOST_TEST(says.text() == expected);
    if (fits) BOOST_TEST(hears.text() == text);
    sits.send(opcode::text, text);
    if (fits) BOOST_TEST(says.text() == text);
    if (fits) BOOST_TEST(hears.text() == text);
    BOOST_TEST((small.broadcast_text(text) == (fits ? send_status::queued : send_status::too_large)));
    const broadcast_report report = small.broadcast_future(opcode::text, bytes_of_text(text)).get();
    BOOST_TEST(report.too_large == !fits);
    BOOST_TEST((report.position.epoch != 0) == fits);
    if (fits)
      for (int i = 0; i < 2; ++i) {
        BOOST_TEST(hears.text() == text);
        BOOST_TEST(says.text() == text);
      }
    // Whoever is no member of it is bound as well: it says so before anybody is asked.
    BOOST_TEST((server.s.room("large").broadcast_text(text) == send_status::queued));
    BOOST_TEST(elsewhere.text() == text);
  }
  BOOST_TEST((server.s.room("small/nobody").broadcast_text("eleven bytes") == send_status::too_large));
}

BOOST_AUTO_TEST_CASE(a_history_is_kept_where_the_pattern_says_so_and_nowhere_else) {
  server_options options;
  options.shards = 2;
  running off{[](auto& s) { s.rooms_like("kept/*", {.history = history_options{.messages = 2}}); }, options};
  options.history.messages = 5;
  running on{[](auto& s) {
               s.rooms_like("secret/*", {.history = history_options{}});
               s.rooms_like("*", {.policy = slow_consumer::latest});
             },
             options};
  const auto kept = [](server& s, std::string_view name) {
    room r = s.room(name);
    for (const char* text : {"a", "b", "c", "d"}) (void)r.broadcast_future(opcode::text, bytes_of_text(text)).get();
    std::string all;
    for (const room_message& each : r.read_future({.last = 10}, 10).get().messages) all += each.text();
    return all;
  };
  for (int i = 0; i < 8; ++i) { // on both shards
    const std::string number = std::to_string(i);
    BOOST_TEST(kept(off.s, "kept/" + number) == "cd");
    BOOST_TEST(kept(off.s, "other/" + number).empty());
    BOOST_TEST(kept(on.s, "secret/" + number).empty());
    BOOST_TEST(kept(on.s, "other/" + number) == "abcd"); // the server's own, beside a rule that says nothing of it
  }
}

BOOST_AUTO_TEST_CASE(each_room_has_its_own_policy_and_bound) {
  running server{[](auto& s) {
                   s.rooms_like("prices/*", {.policy = slow_consumer::latest, .behind_bytes_max = 64 * 1024});
                   s.rooms_like("*", {.behind_bytes_max = 128 * 1024});
                   room_route(s);
                 },
                 {.shards = 2}};
  wire_client latest{server.address()}, closed{server.address()};
  (void)latest.upgrade("/room/prices/eur");
  (void)closed.upgrade("/room/chat");
  room prices = server.s.room("prices/eur"), chat = server.s.room("chat");
  const std::string filling(16 * 1024, '.');
  const auto publish = [&](room& to, int number) { return to.broadcast_future(opcode::text, bytes_of_text(std::to_string(number) + filling)).get(); };
  int number = 0;
  broadcast_report of_prices, of_chat;
  for (; number < 2000 && (of_prices.conflated == 0 || of_chat.dropped == 0); ++number) {
    of_prices = publish(prices, number);
    if (of_chat.dropped == 0) of_chat = publish(chat, number);
  }
  BOOST_TEST(of_prices.conflated > 0u);
  BOOST_TEST(of_chat.dropped == 1u);
  std::string last;
  while (const auto frame = closed.receive(2000)) {
    last = frame->op == opcode::close ? std::to_string(frame->code()) : "";
    if (!last.empty()) break;
  }
  BOOST_TEST(last == "1013");
  // The other one is still there, and hears the newest.
  (void)publish(prices, 999'999);
  bool heard = false;
  while (const auto frame = latest.receive(2000)) {
    BOOST_REQUIRE((frame->op == opcode::text));
    if ((heard = frame->payload.starts_with("999999"))) break;
  }
  BOOST_TEST(heard);
  const server_statistics told = server.s.statistics_future().get();
  BOOST_TEST(told.total().messages_lost[static_cast<std::size_t>(slow_consumer::latest)] > 0u);
  BOOST_TEST(told.total().messages_lost[static_cast<std::size_t>(slow_consumer::drop_oldest)] == 0u);
  BOOST_TEST(told.total().members_closed_slow == 1u);
}

BOOST_AUTO_TEST_CASE(patterns_that_match_nothing_and_too_many_of_them_are_refused_in_words_at_the_start) {
  BOOST_TEST(why_not("prices/*").empty());
  BOOST_TEST(why_not("*").empty());
  BOOST_TEST(why_not(std::string(128, 'p')).empty());
  BOOST_TEST(why_not(std::string(129, 'p')).find("longer than 128 bytes") != std::string::npos);
  BOOST_TEST(why_not("").find("no name") != std::string::npos);
  BOOST_TEST(why_not("a\nb").find("control characters") != std::string::npos);
  BOOST_TEST(why_not("\xff*").find("not UTF-8") != std::string::npos);
  BOOST_TEST(why_not("a*", 256).empty());
  BOOST_TEST(why_not("a*", 257) == "257 patterns of rooms are more than 256");
  server no_memory{{.listen = {"127.0.0.1:0"}, .shards = 1, .history = {.total_bytes = 0}}};
  no_memory.rooms_like("kept/*", {.history = history_options{.messages = 1}});
  const auto refused = no_memory.start();
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().why == "rooms are to have a history, and no memory for it");
  running started{[](auto&) {}};
  BOOST_CHECK_THROW(started.s.rooms_like("*", {}), std::logic_error);
}

BOOST_AUTO_TEST_SUITE_END()

// How many may be in a room, how fast it may be said something, and whether it tells of its users: server::rooms_like().
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t limit = 4;

// WS /room/ROOM takes a seat in the upgrade, with ?name= and ?user=. WS /later joins the rooms that it is told; WS /coroutine does, too.
void routes(server& s) {
  s.events("/room/*", {.on_upgrade =
                           [](upgrade_request_view& up) {
                             const std::string name = up.request().query("name").value_or(""), user = up.request().query("user").value_or("");
                             up.take_seat(up.request().parameter("*"), {.name = name, .user = user, .watches_users = !user.empty()});
                           },
                       .on_message = [](websocket_ref ws, const message_view& m) { ws.broadcast(m.op, m.payload); },
                       .on_dropped = [](websocket_ref ws, std::uint64_t messages) { ws.send_text("-" + std::to_string(messages)); }});
  s.events("/later", {.on_message = [](websocket_ref ws, const message_view& m) {
             ws.join(m.text(), {}, [](websocket_ref joined, const join_result& r) { joined.send_text(r.granted ? "in" : std::string{r.why_not}); });
           }});
  s.get("/coroutine", [](request& req) -> task<void> {
    websocket ws = co_await req.upgrade();
    std::vector<seat> seats;
    while (auto m = co_await ws.receive()) {
      seats.push_back(co_await req.server().room(m->text()).join("someone", ws));
      co_await ws.send_text(seats.back() ? "in" : std::string{seats.back().why_not()});
    }
  });
}

running with_rules(const room_rules& rules, std::uint32_t shards = 3) {
  return running{[&](server& s) {
                   s.rooms_like("small/*", rules);
                   routes(s);
                 },
                 {.shards = shards}};
}

using clients = std::vector<std::unique_ptr<wire_client>>;

std::string enter(running& server, clients& into, const std::string& target) {
  into.push_back(std::make_unique<wire_client>(server.address()));
  return into.back()->upgrade(target).substr(0, 12);
}

constexpr std::string_view full = "this room has as many members as it takes";

} // namespace

BOOST_AUTO_TEST_SUITE(limits_of_rooms)

BOOST_AUTO_TEST_CASE(the_member_beyond_the_bound_is_refused_at_every_door_whichever_shard_it_meets) {
  running server = with_rules({.members_max = limit});
  for (int round = 0; round < 3; ++round) { // rooms with homes on several shards
    const std::string room = "small/" + std::to_string(round);
    clients in;
    for (std::uint32_t i = 0; i < limit; ++i) BOOST_TEST(enter(server, in, "/room/" + room) == "HTTP/1.1 101");
    for (int i = 0; i < 6; ++i) {
      wire_client c{server.address()};
      const std::string answer = c.upgrade("/room/" + room + (i % 2 == 0 ? "" : "?name=n"));
      BOOST_TEST(answer.starts_with("HTTP/1.1 503"));
      BOOST_TEST(answer.ends_with("{\"error\":\"" + std::string{full} + "\"}"));
    }
    for (const std::string door : {"/later", "/coroutine"}) {
      wire_client c{server.address()};
      (void)c.upgrade(door);
      c.send(opcode::text, room);
      BOOST_TEST(c.text() == full);
      c.send(opcode::text, "large"); // and it may be elsewhere
      BOOST_TEST(c.text() == "in");
    }
    BOOST_TEST(server.s.room(room).count_future().get() == limit);
    // One leaves, one may come, and not two; a name that was refused a seat is free.
    in.pop_back();
    while (server.s.room(room).count_future().get() == limit) std::this_thread::sleep_for(2ms);
    BOOST_TEST(enter(server, in, "/room/" + room + "?name=n") == "HTTP/1.1 101");
    BOOST_TEST(enter(server, in, "/room/" + room) == "HTTP/1.1 503");
  }
  BOOST_TEST(server.s.statistics_future().get().total().refused(refusal::room_full) == 3u * 9);
  clients many;
  for (std::uint32_t i = 0; i < 3 * limit; ++i) BOOST_TEST(enter(server, many, "/room/large") == "HTTP/1.1 101");
}

BOOST_AUTO_TEST_CASE(members_that_come_at_once_fill_a_room_to_its_bound_and_not_beyond) {
  constexpr int threads = 6, each_tries = 10;
  running server = with_rules({.members_max = 20});
  std::atomic<int> accepted{0}, refused{0}, other{0};
  std::vector<clients> held(threads);
  std::vector<std::thread> all;
  for (clients& mine : held)
    all.emplace_back([&] {
      for (int i = 0; i < each_tries; ++i) {
        const std::string status = enter(server, mine, "/room/small/crowd");
        ++(status == "HTTP/1.1 101" ? accepted : status == "HTTP/1.1 503" ? refused : other);
      }
    });
  for (std::thread& t : all) t.join();
  BOOST_TEST(accepted == 20);
  BOOST_TEST(refused == threads * each_tries - 20);
  BOOST_TEST(other == 0);
}

BOOST_AUTO_TEST_CASE(a_room_without_presence_tells_nobody_of_its_users) {
  running server = with_rules({.presence = false});
  for (const std::string room : {"small/quiet", "large"}) {
    wire_client first{server.address()}, second{server.address()};
    (void)first.upgrade("/room/" + room + "?user=ada");
    BOOST_TEST(first.text(room == "large" ? 5'000 : 200) == (room == "large" ? R"({"joined":"ada"})" : "<end>"));
    (void)second.upgrade("/room/" + room + "?user=bob");
    BOOST_TEST(first.text(room == "large" ? 5'000 : 200) == (room == "large" ? R"({"joined":"bob"})" : "<end>"));
    const room_info info = server.s.room(room).info_future().get();
    BOOST_TEST(info.members == 2u);
    BOOST_TEST(info.user_count == (room == "large" ? 2u : 0u));
  }
}

BOOST_AUTO_TEST_CASE(a_room_is_said_its_burst_and_no_more_by_all_who_publish_together) {
  for (const int times : {4, 5, 6}) {
    running server = with_rules({.messages = rate_limit{.per_s = 1, .burst = 5}});
    clients in;
    for (int i = 0; i < 3; ++i) BOOST_TEST(enter(server, in, "/room/small/fast") == "HTTP/1.1 101");
    room fast = server.s.room("small/fast");
    for (int i = 0; i < times - 2; ++i) in[0]->send(opcode::text, "m");
    std::string heard;
    for (int i = 0; i < times - 2; ++i) heard += in[1]->text();
    BOOST_TEST(heard == std::string(static_cast<std::size_t>(times - 2), 'm'));
    const auto report = [&] { return fast.broadcast_future(opcode::text, std::as_bytes(std::span{"r", 1})).get(); };
    const broadcast_report before = report(), last = report();
    BOOST_TEST(!before.too_fast);
    BOOST_TEST(last.too_fast == (times > 5));
    BOOST_TEST((last.position.epoch == 0) == (times > 5));
    if (times < 5) continue;
    // A member is told, and only the one that said it.
    in[2]->send(opcode::text, "x");
    in[2]->send(opcode::text, "x");
    std::string told;
    while (!told.contains('-')) told += in[2]->text();
    BOOST_TEST((told.ends_with("-1") || told.ends_with("-2")), told);
    std::this_thread::sleep_for(1'100ms);
    // Nobody heard what was refused, and it took no number.
    const broadcast_report later = report();
    BOOST_TEST(!later.too_fast);
    BOOST_TEST(later.position.sequence == 6u);
    BOOST_TEST(in[1]->text() == "r");
    if (times == 5) BOOST_TEST(in[1]->text() == "r");
    BOOST_TEST(in[1]->text() == "r");
    BOOST_TEST(server.s.statistics_future().get().total().refused(refusal::room_rate) == (times > 5 ? 3u : 2u));
  }
}

BOOST_AUTO_TEST_CASE(what_other_threads_say_too_fast_is_not_published_either) {
  running server = with_rules({.history = history_options{.messages = 100}, .messages = rate_limit{.per_s = 1, .burst = 5}}, 2);
  room fast = server.s.room("small/kept");
  for (int i = 0; i < 50; ++i) BOOST_TEST((fast.broadcast_text(std::to_string(i)) == send_status::queued));
  while (server.s.statistics_future().get().total().refused(refusal::room_rate) < 45) std::this_thread::sleep_for(2ms);
  BOOST_TEST(fast.read_future({.last = 100}, 100).get().messages.size() == 5u);
}

BOOST_AUTO_TEST_SUITE_END()

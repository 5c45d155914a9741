// Closing from outside: exactly whom it was asked for, over all shards, and each once.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

void add_routes(server& s) {
  s.events("/room/{room}", {.on_upgrade = [](upgrade_request_view& upgrade) { upgrade.take_seat(upgrade.request().parameter("room")); },
                            .on_message = [](websocket_ref ws, const message_view& message) { ws.broadcast(message.op, message.payload); },
                            .event_streams = true});
  // The answer comes to the shard that has asked.
  s.routes().add("POST", "/close/{room}", [&s](const http_request& request, http_responder responder) {
    close_room(s, std::string{request.parameter("room")}, 4000, "over",
               [responder](std::uint64_t closed) mutable { responder.respond_json(http_status::ok, std::to_string(closed)); });
  });
  s.post("/one/{id}", [&s](request& req) -> task<void> {
    const std::uint64_t closed = co_await close_connections(s, {{std::stoull(std::string{req.path("id")})}}, 4000, "over");
    req.respond(status::ok, std::to_string(closed));
  });
}

std::vector<connection_summary> members_of(running& server, const std::string& room) {
  return server.s.connections_future({.order = connection_order::age, .room = room, .limit = connection_page_max}).get().connections;
}

// A seat is seen a turn later than it was taken, and one that was left, too.
std::vector<connection_summary> members_when(running& server, const std::string& room, std::size_t wanted) {
  for (int i = 0; i < 500; ++i) {
    auto found = members_of(server, room);
    if (found.size() == wanted) return found;
    std::this_thread::sleep_for(10ms);
  }
  BOOST_FAIL(room << " never had " << wanted);
  return {};
}

std::vector<std::unique_ptr<wire_client>> crowd(running& server, const std::string& room, std::size_t count) {
  std::vector<std::unique_ptr<wire_client>> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(std::make_unique<wire_client>(server.address()));
    (void)all.back()->upgrade("/room/" + room);
  }
  return all;
}

} // namespace

BOOST_AUTO_TEST_SUITE(closing)

BOOST_AUTO_TEST_CASE(the_connection_that_was_named_is_closed_and_no_other) {
  running server{add_routes};
  auto clients = crowd(server, "a", 4);
  const auto before = members_when(server, "a", 4);
  BOOST_TEST(close_connections_future(server.s, {before[1].id}, 4000, "enough").get() == 1u);
  const auto after = members_when(server, "a", 3);
  for (const connection_summary& each : after) BOOST_TEST((each.id != before[1].id));
  auto speaker = crowd(server, "a", 1);
  speaker[0]->send(opcode::text, "still here?");
  int heard = 0, closed = 0;
  for (auto& each : clients) {
    const auto said = each->receive();
    BOOST_REQUIRE(said.has_value());
    heard += said->payload == "still here?" ? 1 : 0;
    closed += said->op == opcode::close && said->code() == 4000 && said->reason() == "enough" ? 1 : 0;
  }
  BOOST_TEST(heard == 3);
  BOOST_TEST(closed == 1);
}

BOOST_AUTO_TEST_CASE(an_old_generation_closes_nobody) {
  running server{add_routes, {.shards = 1}};
  connection_handle old;
  {
    wire_client first{server.address()};
    (void)first.upgrade("/room/a");
    old = members_when(server, "a", 1).front().id;
    first.close(1000);
    BOOST_REQUIRE(first.text() == "<close 1000>");
    BOOST_REQUIRE(first.ended());
  }
  members_when(server, "a", 0);
  // The next connections take the slot again, whichever it was.
  auto next = crowd(server, "a", 3);
  const auto now = members_when(server, "a", 3);
  bool same_slot = false;
  for (const connection_summary& each : now) same_slot = same_slot || each.id.slot() == old.slot();
  BOOST_REQUIRE(same_slot);
  BOOST_TEST(close_connections_future(server.s, {old}, 4000, "enough").get() == 0u);
  // Nor do names that nobody has had: of no shard, and of nobody.
  BOOST_TEST(close_connections_future(server.s, {connection_handle::make(200, 1, 0), connection_handle{}}, 4000, "").get() == 0u);
  BOOST_TEST(close_connections_future(server.s, {}, 4000, "").get() == 0u);
  members_when(server, "a", 3);
}

BOOST_AUTO_TEST_CASE(all_members_of_a_room_are_closed_over_all_shards_and_others_stay) {
  running server{add_routes, {.shards = 3}};
  auto inside = crowd(server, "a", 200); // more than a turn's share on each shard
  auto outside = crowd(server, "b", 5);
  members_when(server, "a", 200);
  wire_client stream{server.address()};
  stream.send_bytes("GET /room/a HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
  members_when(server, "a", 201);
  BOOST_TEST(close_room_future(server.s, "a", 4000, "over").get() == 201u);
  for (auto& each : inside) BOOST_TEST(each->text() == "<close 4000>");
  BOOST_TEST(close_room_future(server.s, "a", 4000, "over").get() == 0u);
  BOOST_TEST(close_room_future(server.s, "nobody was here", 4000, "over").get() == 0u);
  BOOST_TEST(close_room_future(server.s, "", 4000, "over").get() == 0u);
  members_when(server, "b", 5);
}

BOOST_AUTO_TEST_CASE(twice_at_once_each_is_closed_once) {
  running server{add_routes};
  auto inside = crowd(server, "a", 150);
  members_when(server, "a", 150);
  auto first = close_room_future(server.s, "a", 4000, "over");
  auto second = close_room_future(server.s, "a", 4000, "over");
  BOOST_TEST(first.get() + second.get() == 150u);
  for (auto& each : inside) BOOST_TEST(each->text() == "<close 4000>");
}

BOOST_AUTO_TEST_CASE(callbacks_and_coroutines_of_a_shard_may_ask) {
  running server{add_routes};
  auto inside = crowd(server, "a", 10);
  const auto members = members_when(server, "a", 10);
  wire_client asking{server.address()};
  const auto answer = asking.http("POST /one/" + std::to_string(members[3].id.value) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  BOOST_TEST(answer.starts_with("HTTP/1.1 200"));
  BOOST_TEST(answer.ends_with("\r\n\r\n1"));
  members_when(server, "a", 9);
  wire_client again{server.address()};
  BOOST_TEST(again.http("POST /close/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").ends_with("\r\n\r\n9"));
  members_when(server, "a", 0);
  for (auto& each : inside) BOOST_TEST(each->text() == "<close 4000>");
}

BOOST_AUTO_TEST_CASE(what_has_not_said_what_it_is_is_ended) {
  running server{add_routes};
  wire_client silent{server.address()};
  connection_page page;
  for (int i = 0; i < 500 && page.connections.empty(); ++i) {
    page = server.s.connections_future().get();
    std::this_thread::sleep_for(10ms);
  }
  BOOST_REQUIRE(page.connections.size() == 1u);
  BOOST_TEST(close_connections_future(server.s, {page.connections.front().id}, 4000, "").get() == 1u);
  BOOST_TEST(silent.ended());
}

BOOST_AUTO_TEST_CASE(a_server_that_was_not_started_says_so) {
  server s{{.listen = {"127.0.0.1:0"}}};
  BOOST_CHECK_THROW((void)close_room_future(s, "a", 4000, "").get(), std::runtime_error);
}

BOOST_AUTO_TEST_SUITE_END()

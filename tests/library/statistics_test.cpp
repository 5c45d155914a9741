// What a server counts is what its clients did.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

void add_routes(server& s) {
  s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& message) { ws.send(message); }});
  s.events("/room/{room}", {.on_upgrade =
                                [](upgrade_request_view& upgrade) {
                                  upgrade.take_seat(upgrade.request().parameter("room"),
                                                    upgrade.request().query("self") == "0" ? hearing::others : hearing::everyone,
                                                    upgrade.request().query("name").value_or(""));
                                },
                            .on_open = [](websocket_ref ws) { ws.send_text("here"); },
                            .on_message = [](websocket_ref ws, const message_view& message) { ws.broadcast(message.op, message.payload); }});
  s.events("/closed", {.on_upgrade = [](upgrade_request_view& upgrade) { upgrade.refuse(http_status::forbidden, "not today"); }});
  s.get("/page", [](request& req) -> task<void> {
    req.respond(status::ok, "page");
    co_return;
  });
}

shard_statistics told_by(running& server) { return server.s.statistics_future().get().total(); }

// What happens behind an answer is counted a turn later.
shard_statistics told_when(running& server, const std::function<bool(const shard_statistics&)>& is_there) {
  for (int i = 0; i < 500; ++i) {
    const shard_statistics told = told_by(server);
    if (is_there(told)) return told;
    std::this_thread::sleep_for(10ms);
  }
  return told_by(server);
}

} // namespace

BOOST_AUTO_TEST_SUITE(statistics)

BOOST_AUTO_TEST_CASE(messages_and_bytes_are_those_on_the_wire) {
  running server{add_routes};
  std::size_t sent = 0, received = 0;
  {
    wire_client client{server.address()};
    const std::string head = client.upgrade("/echo");
    const shard_statistics before = told_by(server);
    BOOST_TEST(before.handshakes == 1u);
    BOOST_TEST(before.websocket_connections == 1u);
    BOOST_TEST(before.bytes_sent == head.size());
    for (const std::size_t bytes : {0u, 125u, 126u, 5'000u, 70'000u, 300'000u}) {
      client.send(opcode::binary, std::string(bytes, 'x'));
      sent += masked_frame(opcode::binary, std::string(bytes, 'x')).size();
      BOOST_REQUIRE(client.receive()->payload.size() == bytes);
      received += masked_frame(opcode::binary, std::string(bytes, 'x')).size() - 4; // without the key
    }
    const shard_statistics told = told_when(server, [&](const auto& now) { return now.bytes_sent - before.bytes_sent == received; });
    BOOST_TEST(told.messages_received == 6u);
    BOOST_TEST(told.messages_sent == 6u);
    BOOST_TEST(told.bytes_received - before.bytes_received == sent);
    BOOST_TEST(told.bytes_sent - before.bytes_sent == received);
    BOOST_TEST(told.receive_to_send.count() == 6u);
    BOOST_TEST(told.turn_times.count() >= 6u);
    BOOST_TEST(told.turn_times.count() <= told.turns);
    client.close(1000);
    BOOST_TEST(client.text() == "<close 1000>");
  }
  const shard_statistics over = told_when(server, [](const auto& now) { return now.ending_connections == 0 && now.websocket_connections == 0; });
  BOOST_TEST(over.websocket_connections == 0u);
  BOOST_TEST(over.ending_connections == 0u);
  BOOST_TEST(over.http_connections == 0u);
  BOOST_TEST(over.closed_with(1000) == 1u);
}

BOOST_AUTO_TEST_CASE(what_a_slow_peer_has_not_taken_at_once_is_counted_when_it_has) {
  static constexpr std::size_t large = 4'000'000, each = 40'000, messages = 100;
  running server{[](auto& s) {
                   add_routes(s);
                   s.events("/large", {.on_open = [](websocket_ref ws) { ws.send_text(std::string(large, 'x')); }});
                 },
                 {.limits = {.send_queue_bytes_max = 67108864}}};
  wire_client slow{server.address()}, member{server.address()}, author{server.address()};
  const std::size_t heads = slow.upgrade("/large").size() + member.upgrade("/room/a").size() + author.upgrade("/room/a").size();
  BOOST_REQUIRE(author.text() == "here");
  for (std::size_t i = 0; i < messages; ++i) {
    author.send(opcode::text, std::string(each, 'y'));
    BOOST_REQUIRE(author.receive()->payload.size() == each);
  }
  const std::size_t all = heads + (10 + large) + 2 * (2 + 4) + 2 * messages * (4 + each);
  BOOST_TEST(told_by(server).bytes_sent < all); // neither of the two has read anything
  BOOST_TEST(slow.receive()->payload.size() == large);
  BOOST_REQUIRE(member.text() == "here");
  for (std::size_t i = 0; i < messages; ++i) BOOST_REQUIRE(member.receive()->payload.size() == each);
  BOOST_TEST(told_when(server, [&](const auto& now) { return now.bytes_sent == all; }).bytes_sent == all);
}

BOOST_AUTO_TEST_CASE(a_delivery_is_a_message_for_a_member_and_its_own_is_none_for_who_does_not_hear_it) {
  running server{add_routes};
  std::vector<std::unique_ptr<wire_client>> members;
  for (int i = 0; i < 4; ++i) {
    members.push_back(std::make_unique<wire_client>(server.address()));
    (void)members.back()->upgrade(i == 0 ? "/room/a?self=0" : "/room/a");
    BOOST_REQUIRE(members.back()->text() == "here");
  }
  const std::uint64_t before = told_by(server).bytes_sent;
  for (int i = 0; i < 10; ++i) {
    members[1]->send(opcode::text, "to four");
    for (auto& each : members) BOOST_REQUIRE(each->text() == "to four");
  }
  for (int i = 0; i < 10; ++i) {
    members[0]->send(opcode::text, "to three");
    for (auto& each : members)
      if (each != members[0]) BOOST_REQUIRE(each->text() == "to three");
  }
  const shard_statistics told = told_by(server);
  BOOST_TEST(told.deliveries == 70u);
  BOOST_TEST(told.messages_received == 20u);
  BOOST_TEST(told.messages_sent == 4u);
  BOOST_TEST(told.rooms == 1u);
  BOOST_TEST(told.bytes_sent - before == 40 * (2 + 7) + 30 * (2 + 8));
}

BOOST_AUTO_TEST_CASE(each_refusal_has_its_reason_and_each_answer_its_class) {
  running server{add_routes, {.allowed_origins = {"https://example.org"}}};
  const auto ask = [&](const std::string& request) { return wire_client{server.address()}.http(request); };
  (void)ask("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  (void)ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
  (void)ask("nonsense\r\n\r\n");
  (void)ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  (void)wire_client{server.address()}.upgrade("/echo", "Origin: https://example.com\r\n");
  (void)wire_client{server.address()}.upgrade("/closed");
  wire_client first{server.address()}, second{server.address()};
  (void)first.upgrade("/room/a?name=ann");
  BOOST_REQUIRE(first.text() == "here");
  (void)second.upgrade("/room/a?name=ann");
  const shard_statistics told = told_by(server);
  BOOST_TEST(told.refused(refusal::bad_request) == 1u);
  BOOST_TEST(told.refused(refusal::bad_handshake) == 1u);
  BOOST_TEST(told.refused(refusal::origin) == 1u);
  BOOST_TEST(told.refused(refusal::endpoint) == 1u);
  BOOST_TEST(told.refused(refusal::name_taken) == 1u);
  BOOST_TEST(told.responses[1] == 1u);
  BOOST_TEST(told.responses[3] == 6u);
  BOOST_TEST(told.handshakes == 1u);
}

BOOST_AUTO_TEST_CASE(the_connection_that_is_one_too_many_is_counted) {
  running server{add_routes, {.max_connections = 1}};
  wire_client first{server.address()}, second{server.address()};
  (void)first.upgrade("/echo");
  (void)second.http("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  const shard_statistics told = told_by(server);
  BOOST_TEST(told.refused(refusal::server_full) == 1u);
  BOOST_TEST(told.accepted == 1u);
}

BOOST_AUTO_TEST_CASE(a_broken_rule_and_the_code_that_answers_it_are_counted) {
  running server{add_routes};
  wire_client client{server.address()};
  (void)client.upgrade("/echo");
  client.send_bytes("\x82\x01x"); // without a mask
  BOOST_TEST(client.text() == "<close 1002>");
  const shard_statistics told = told_by(server);
  for (std::size_t rule = 0; rule < protocol_rules; ++rule)
    BOOST_TEST(told.violations[rule] == (name_of_protocol_rule(rule) == "unmasked_client_frame" ? 1u : 0u), name_of_protocol_rule(rule));
  BOOST_TEST(told.closed_with(1002) == 1u);
}

BOOST_AUTO_TEST_CASE(a_coroutine_and_a_callback_are_told_of_each_shard) {
  running server{[](auto& s) {
                   add_routes(s);
                   s.get("/coroutine", [](request& req) -> task<void> {
                     const server_statistics told = co_await req.server().statistics();
                     req.respond(status::ok, std::to_string(told.shards.size()));
                   });
                   s.routes().add("GET", "/callback", [&s](const http_request&, http_responder responder) {
                     s.statistics([responder](const server_statistics& told) mutable {
                       responder.respond(http_status::ok, "text/plain", std::to_string(told.shards.size()));
                     });
                   });
                 },
                 {.shards = 3}};
  BOOST_TEST(wire_client{server.address()}.http("GET /coroutine HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\n3"));
  BOOST_TEST(wire_client{server.address()}.http("GET /callback HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\n3"));
}

BOOST_AUTO_TEST_CASE(a_server_that_was_not_started_says_so) {
  server s;
  BOOST_CHECK_THROW(s.statistics_future().get(), std::runtime_error);
}

BOOST_AUTO_TEST_SUITE_END()

// Who is connected, and how far behind each is: what server::connections() tells is what the clients did.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
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
                                  const http_request& asked = upgrade.request();
                                  upgrade.take_seat(asked.parameter("room"),
                                                    {.hears = asked.query("self") == "0" ? hearing::others : hearing::everyone,
                                                     .name = asked.query("name").value_or(""),
                                                     .user = asked.query("user").value_or(""),
                                                     .replay = asked.query("replay") ? std::optional{replay_options{.last = 1000}} : std::nullopt});
                                },
                            .on_message = [](websocket_ref ws, const message_view& message) { ws.broadcast(message.op, message.payload); }});
}

connection_page told_by(running& server, connection_query query = {}) { return server.s.connections_future(std::move(query)).get(); }

// The only member of that room who fits; a state of a connection is seen a turn later than it was made.
connection_summary told_when(running& server, const std::string& room, const std::function<bool(const connection_summary&)>& fits) {
  connection_page page;
  for (int i = 0; i < 500; ++i) {
    page = told_by(server, {.room = room});
    const auto found = std::ranges::find_if(page.connections, fits);
    if (found != page.connections.end()) return *found;
    std::this_thread::sleep_for(10ms);
  }
  BOOST_FAIL("nobody in " << room << " is as expected, of " << page.connections.size());
  return {};
}

bool is_anybody(const connection_summary&) { return true; }

} // namespace

BOOST_AUTO_TEST_SUITE(connections)

BOOST_AUTO_TEST_CASE(each_is_told_with_where_it_sits_and_what_went_through) {
  running server{add_routes};
  wire_client talker{server.address()}, listener{server.address()}, nobody{server.address()};
  const std::size_t head = talker.upgrade("/room/a?self=0&name=Ann&user=u1").size();
  (void)listener.upgrade("/room/a?user=u2");
  (void)told_when(server, "a", [](const auto& c) { return c.user == "u2"; });
  std::size_t sent = 0;
  for (int i = 0; i < 5; ++i) {
    talker.send(opcode::text, "hello");
    sent += masked_frame(opcode::text, "hello").size();
    BOOST_REQUIRE(listener.text() == "hello");
  }
  listener.send(opcode::text, "to all");
  BOOST_REQUIRE(listener.text() == "to all");
  BOOST_REQUIRE(talker.text() == "to all");

  const connection_summary ann = told_when(server, "a", [](const auto& c) { return c.name == "Ann" && c.messages_in == 5; });
  BOOST_TEST(ann.user == "u1");
  BOOST_TEST((ann.kind == connection_kind::websocket));
  BOOST_TEST((ann.rooms == std::vector<std::string>{"a"}));
  BOOST_TEST(ann.address.starts_with("127.0.0.1:"));
  BOOST_TEST(ann.messages_out == 1u); // what it said itself it has not heard
  BOOST_TEST(ann.bytes_behind == 0u);
  BOOST_TEST(ann.messages_behind == 0u);
  BOOST_TEST(ann.age_s <= 60u);
  BOOST_TEST(!ann.pong_age_s.has_value());
  BOOST_TEST(ann.tls_version.empty());
  BOOST_TEST(!ann.compressed);
  // All of it has been read, so all of it is acknowledged sooner or later.
  const auto settled = told_when(server, "a", [](const auto& c) { return c.name == "Ann" && c.bytes_unacknowledged == 0; });
  BOOST_TEST(settled.bytes_out.value() == head + 2 + 6);
  BOOST_TEST(settled.bytes_in.value() > sent);

  const connection_summary other = told_when(server, "a", [](const auto& c) { return c.user == "u2"; });
  BOOST_TEST(other.messages_in == 1u);
  BOOST_TEST(other.messages_out == 6u);
  BOOST_TEST(other.name.empty());
  BOOST_TEST(other.bytes_in.value() - settled.bytes_in.value() != 0u);

  const connection_page all = told_by(server);
  BOOST_TEST(all.total == 3u); // and one that has said nothing yet
  BOOST_TEST(std::ranges::count(all.connections, connection_kind::http, &connection_summary::kind) == 1);
  BOOST_TEST(!all.next.has_value());
  BOOST_TEST(told_by(server, {.room = "b"}).total == 0u);

  talker.send(opcode::pong, "");
  BOOST_TEST(told_when(server, "a", [](const auto& c) { return c.pong_age_s.has_value(); }).name == "Ann");
}

BOOST_AUTO_TEST_CASE(what_goes_to_one_connection_is_counted_as_what_goes_to_rooms_is) {
  running server{add_routes};
  wire_client client{server.address()};
  (void)client.upgrade("/echo");
  for (const std::size_t bytes : {0u, 5'000u, 70'000u}) {
    client.send(opcode::binary, std::string(bytes, 'x'));
    BOOST_REQUIRE(client.receive()->payload.size() == bytes);
  }
  const connection_page page = told_by(server);
  BOOST_REQUIRE(page.connections.size() == 1u);
  BOOST_TEST(page.connections[0].messages_in == 3u);
  BOOST_TEST(page.connections[0].messages_out == 3u);
  BOOST_TEST(page.connections[0].room_count == 0u);
}

BOOST_AUTO_TEST_CASE(a_slot_that_is_used_again_counts_from_nothing) {
  running server{add_routes, {.shards = 1}};
  for (int i = 0; i < 3; ++i) {
    wire_client client{server.address()};
    (void)client.upgrade("/room/again");
    client.send(opcode::pong, "");
    client.send(opcode::text, "one");
    BOOST_REQUIRE(client.text() == "one");
    const connection_summary told = told_when(server, "again", is_anybody);
    BOOST_TEST(told.messages_in == 1u);
    BOOST_TEST(told.messages_out == 1u);
    client.close(1000);
    BOOST_REQUIRE(client.text() == "<close 1000>");
    BOOST_REQUIRE(client.ended());
  }
}

BOOST_AUTO_TEST_CASE(who_does_not_read_stands_first_with_the_bytes_that_wait_for_it) {
  static constexpr std::size_t each = 60'000, messages = 300, frame = 4 + each;
  running server{add_routes, {.limits = {.send_queue_bytes_max = 256u << 20}}};
  std::vector<std::unique_ptr<wire_client>> readers;
  for (int i = 0; i < 5; ++i) {
    readers.push_back(std::make_unique<wire_client>(server.address()));
    (void)readers.back()->upgrade("/room/a");
  }
  wire_client slow{server.address()};
  const std::size_t head = slow.upgrade("/room/a?user=slow").size();
  (void)told_when(server, "a", [](const auto& c) { return c.user == "slow"; });
  for (std::size_t i = 0; i < messages; ++i) {
    readers[0]->send(opcode::text, std::string(each, 'y'));
    for (auto& reader : readers) BOOST_REQUIRE(reader->receive()->payload.size() == each);
  }
  const connection_page page = told_by(server, {.limit = 1});
  BOOST_REQUIRE(page.connections.size() == 1u);
  const connection_summary& first = page.connections.front();
  BOOST_TEST(first.user == "slow");
  BOOST_TEST(page.total == 6u);
  BOOST_TEST(page.next.has_value());
  // What is here, what is in the kernel and what has been taken are all that was said; of the send under way a part is in the kernel already.
  const std::uint64_t all = head + messages * frame;
  const std::uint64_t known = first.bytes_behind + first.bytes_unacknowledged.value() + first.bytes_out.value();
  BOOST_TEST(known >= all);
  BOOST_TEST(known <= all + (512u << 10) + 2 * frame);
  BOOST_TEST(first.bytes_behind > 8u << 20); // of 18 MB: the kernel holds some MiB of a loopback connection
  BOOST_TEST(first.messages_behind * frame <= first.bytes_behind);
  BOOST_TEST(first.messages_behind * frame >= first.bytes_behind - (512u << 10) - 2 * frame);
  BOOST_TEST(first.messages_out + first.messages_behind == messages);
  for (std::size_t i = 0; i < messages; ++i) BOOST_REQUIRE(slow.receive()->payload.size() == each);
  const connection_summary later = told_when(server, "a", [](const auto& c) { return c.user == "slow" && c.bytes_behind == 0; });
  BOOST_TEST(later.messages_out == messages);
  BOOST_TEST(later.messages_behind == 0u);
}

BOOST_AUTO_TEST_CASE(what_a_policy_took_was_not_sent_and_what_was_said_before_was) {
  for (const slow_consumer policy : {slow_consumer::drop_newest, slow_consumer::drop_oldest, slow_consumer::latest}) {
    static constexpr std::size_t each = 60'000, messages = 400;
    running server{add_routes, {.limits = {.send_queue_bytes_max = 128 * 1024}, .policy = policy, .history = {.messages = 3}}};
    wire_client author{server.address()}, slow{server.address()};
    (void)author.upgrade("/room/a");
    for (int i = 0; i < 5; ++i) {
      author.send(opcode::text, "before");
      BOOST_REQUIRE(author.text() == "before");
    }
    (void)slow.upgrade("/room/a?user=slow&replay=1");
    for (int i = 0; i < 3; ++i) BOOST_REQUIRE(slow.text() == "before");
    for (std::size_t i = 0; i < messages; ++i) {
      author.send(opcode::text, std::string(each, 'y'));
      BOOST_REQUIRE(author.receive()->payload.size() == each);
    }
    BOOST_TEST(server.s.statistics_future().get().total().messages_lost[static_cast<std::size_t>(policy)] > 0u);
    std::uint64_t heard = 3;
    while (slow.receive(300)) ++heard;
    const connection_summary told = told_when(server, "a", [](const auto& c) { return c.user == "slow" && c.bytes_behind == 0; });
    BOOST_TEST(told.messages_out == heard);
    BOOST_TEST(heard < messages);
  }
}

BOOST_AUTO_TEST_CASE(a_coroutine_and_a_callback_ask_and_a_page_has_the_order_that_was_asked_for) {
  running server{[](auto& s) {
    add_routes(s);
    s.get("/tell", [](request& req) -> task<void> {
      const connection_page page = co_await req.server().connections({.order = connection_order::messages_in, .limit = 1});
      req.respond(status::ok, page.connections.empty() ? "nobody" : page.connections[0].user + ' ' + std::to_string(page.total));
    });
    s.routes().add("GET", "/call", [&s](const http_request&, http_responder responder) {
      s.connections({.order = connection_order::messages_out}, [responder](const connection_page& page) mutable {
        responder.respond(http_status::ok, "text/plain", page.connections.at(0).user);
      });
    });
  }};
  wire_client talks{server.address()}, listens{server.address()}, asks{server.address()};
  (void)talks.upgrade("/room/a?user=talks&self=0");
  (void)listens.upgrade("/room/a?user=listens");
  (void)told_when(server, "a", [](const auto& c) { return c.user == "listens"; });
  talks.send(opcode::text, "hello");
  BOOST_REQUIRE(listens.text() == "hello");
  BOOST_TEST(asks.http("GET /tell HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("talks 3"));
  BOOST_TEST(asks.http("GET /call HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("listens"));
  BOOST_TEST(server.s.connections_future({.limit = 0}).get().connections.size() == 1u); // the nearest that there is
  const connection_page by_age = told_by(server, {.order = connection_order::age});
  BOOST_TEST(std::ranges::is_sorted(by_age.connections, std::greater{}, &connection_summary::age_s));
}

BOOST_AUTO_TEST_SUITE_END()

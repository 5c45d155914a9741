// How fast peers may send, join and come, over real sockets: each policy, each endpoint's own limits, and limits that change.
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

constexpr rate_limit five{.per_s = 1, .burst = 5};

void echo(websocket_ref ws, const message_view& m) { ws.send(m); }

server_options limited_to(const rate_limits& rates) {
  server_options options;
  options.shards = 1;
  options.limits.rates = rates;
  return options;
}

std::string say(wire_client& c, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += masked_frame(opcode::text, "x");
  c.send_bytes(all);
  std::string heard;
  for (int i = 0; i < times; ++i) {
    const std::string text = c.text(200);
    heard += text;
    if (text.starts_with('<')) break;
  }
  return heard;
}

shard_statistics counted(running& server) { return server.s.statistics_future().get().total(); }

} // namespace

BOOST_AUTO_TEST_SUITE(rates_of_peers)

BOOST_AUTO_TEST_CASE(who_is_pushed_back_is_not_read_and_costs_no_turns) {
  running server{[](auto& s) { s.events("/echo", {.on_message = echo}); }, limited_to({.messages = five})};
  wire_client c{server.address()}, other{server.address()};
  (void)c.upgrade("/echo");
  (void)other.upgrade("/echo");
  BOOST_TEST(say(c, 6) == "xxxxx<end>");
  // TCP takes what its buffers take, and no more.
  const std::string frames(1u << 20, '\0');
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += masked_frame(opcode::text, "x");
  while (c.send_until_full(many, 16u << 20) == 16u << 20) {
  }
  BOOST_TEST(say(other, 5) == "xxxxx");
  const std::uint64_t turns_before = counted(server).turns;
  std::this_thread::sleep_for(500ms);
  const shard_statistics after = counted(server);
  BOOST_TEST(after.turns - turns_before < 100u);
  BOOST_TEST(after.inputs_paused_for_rate >= 1u);
  BOOST_TEST(after.held_bytes <= 1u << 20);
  BOOST_TEST(c.text(2'000) == "x");
}

BOOST_AUTO_TEST_CASE(what_is_dropped_is_told_to_its_endpoint_and_nothing_is_dropped_in_silence) {
  const auto told = [](websocket_ref ws, std::uint64_t messages) { ws.send_text("-" + std::to_string(messages)); };
  running server{[&](auto& s) {
                   s.events("/told", {.on_message = echo, .on_dropped = told});
                   s.events("/untold", {.on_message = echo});
                   s.events("/parts", {.on_message = echo, .in_parts = true, .on_dropped = told});
                   s.events("/throws", {.on_message = echo, .on_dropped = [](websocket_ref, std::uint64_t) { throw 1; }});
                   s.get("/coroutine", [](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade();
                     while (auto m = co_await ws.receive()) co_await ws.send(*m);
                   });
                 },
                 limited_to({.messages = five, .policy = over_rate::drop})};
  for (const std::string target : {"/told", "/untold", "/parts", "/coroutine", "/throws"}) {
    wire_client c{server.address()};
    (void)c.upgrade(target);
    const std::string expected = target == "/told" ? "xxxxx-3" : target == "/throws" ? "xxxxx<close 1011>" : "xxxxx<end>";
    BOOST_TEST(say(c, 8) == (target == "/told" ? "xxxxx-3<end>" : expected), target);
    if (target != "/told" && target != "/throws") BOOST_TEST(c.text(2'000) == "x"); // later, and not never
  }
  BOOST_TEST(counted(server).messages_dropped_for_rate == 6u);
}

BOOST_AUTO_TEST_CASE(who_is_closed_for_its_rate_is_told_so) {
  running server{[](auto& s) { s.events("/echo", {.on_message = echo}); },
                 limited_to({.bytes = {.per_s = 10, .burst = 10}, .policy = over_rate::close})};
  for (const int bytes : {9, 10, 11}) {
    wire_client c{server.address()};
    (void)c.upgrade("/echo");
    c.send(opcode::text, std::string(static_cast<std::size_t>(bytes), 'x'));
    BOOST_TEST(c.text().size() == static_cast<std::size_t>(bytes));
    c.send(opcode::text, "y");
    BOOST_TEST(c.text() == (bytes < 10 ? "y" : "<close 1008>"));
  }
  BOOST_TEST(counted(server).refused(refusal::message_rate) == 2u);
}

BOOST_AUTO_TEST_CASE(an_endpoint_has_limits_of_its_own_and_slots_no_memory) {
  running server{[](auto& s) {
                   s.events("/limited", {.on_message = echo, .rates = rate_limits{.messages = {.per_s = 1, .burst = 2}, .policy = over_rate::close}});
                   s.events("/free", {.on_message = echo});
                   s.get("/coroutine", [](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade({.rates = rate_limits{.messages = {.per_s = 1, .burst = 2}, .policy = over_rate::close}});
                     while (auto m = co_await ws.receive()) co_await ws.send(*m);
                   });
                 },
                 {.shards = 1}};
  {
    wire_client c{server.address()};
    (void)c.upgrade("/coroutine");
    BOOST_TEST(say(c, 3) == "xx<close 1008>");
  }
  for (int i = 0; i < 3; ++i) {
    { // the next one has this one's slot
      wire_client c{server.address()};
      (void)c.upgrade("/limited");
      BOOST_TEST(say(c, 3) == "xx<close 1008>");
    }
    while (counted(server).websocket_connections + counted(server).ending_connections > 0) std::this_thread::sleep_for(5ms);
    {
      wire_client c{server.address()};
      (void)c.upgrade("/free");
      BOOST_TEST(say(c, 30) == std::string(30, 'x'));
    }
    while (counted(server).websocket_connections + counted(server).ending_connections > 0) std::this_thread::sleep_for(5ms);
  }
}

BOOST_AUTO_TEST_CASE(limits_change_while_a_peer_waits_for_them) {
  server_options options = limited_to({.messages = five});
  running server{[](auto& s) { s.events("/echo", {.on_message = echo}); }, options};
  wire_client c{server.address()};
  (void)c.upgrade("/echo");
  BOOST_TEST(say(c, 30) == "xxxxx<end>");
  options.limits.rates = {};
  BOOST_TEST(server.s.change(options).has_value());
  for (int i = 0; i < 25; ++i) BOOST_TEST(c.text() == "x");
  options.limits.rates = {.messages = {.per_s = 1, .burst = 3}, .policy = over_rate::close};
  BOOST_TEST(server.s.change(options).has_value());
  while (server.s.statistics_future().get().total().refused(refusal::message_rate) == 0) { // the shard has not heard of it
    c.send(opcode::text, "x");
    if (c.text() != "x") break;
  }
  BOOST_TEST(counted(server).refused(refusal::message_rate) == 1u);
}

BOOST_AUTO_TEST_CASE(joins_beyond_the_burst_are_refused_with_a_sentence_in_both_faces) {
  server_options options;
  options.shards = 2;
  options.limits.rates.joins = {.per_s = 1, .burst = 3};
  running server{[](auto& s) {
                   s.events("/events", {.on_message = [](websocket_ref ws, const message_view& m) {
                              ws.join(m.text(), {}, [](websocket_ref joined, const join_result& r) {
                                joined.send_text(r.granted ? "+" + std::string{r.room} : std::string{r.why_not});
                              });
                            }});
                   s.get("/coroutine", [](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade();
                     std::vector<seat> seats;
                     while (auto m = co_await ws.receive()) {
                       const std::string name{m->text()};
                       seats.push_back(co_await req.server().room(name).join({}, ws));
                       co_await ws.send_text(seats.back() ? "+" + name : std::string{seats.back().why_not()});
                     }
                   });
                 },
                 options};
  for (const std::string target : {"/events", "/coroutine"}) {
    wire_client c{server.address()};
    (void)c.upgrade(target);
    for (const std::string room : {"a", "b", "c", "d"}) {
      c.send(opcode::text, room);
      BOOST_TEST(c.text() == (room == "d" ? "it joins rooms faster than it may" : "+" + room), target);
    }
    std::this_thread::sleep_for(1'100ms);
    c.send(opcode::text, "e");
    BOOST_TEST(c.text() == "+e");
  }
  BOOST_TEST(counted(server).refused(refusal::join_rate) == 2u);
}

BOOST_AUTO_TEST_CASE(connections_beyond_the_burst_of_an_address_are_answered_429_over_all_shards) {
  constexpr int burst = 4;
  running server{[](auto& s) { s.events("/echo", {.on_message = echo}); }, {.shards = 3, .new_connections_per_ip = {.per_s = 1, .burst = burst}}};
  for (const std::string from : {"127.0.0.1:0", "127.0.0.2:0"}) {
    const auto begin = std::chrono::steady_clock::now();
    int refused = 0;
    for (int i = 0; i < burst + 3; ++i) {
      wire_client c{server.address(), from};
      const std::string answer = c.upgrade("/echo");
      if (i < burst) BOOST_TEST(answer.starts_with("HTTP/1.1 101"));
      if (answer.starts_with("HTTP/1.1 101")) continue;
      ++refused;
      BOOST_TEST(answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
      BOOST_TEST(answer.find("\r\nRetry-After: 1\r\n") != std::string::npos);
      BOOST_TEST(answer.ends_with(R"({"error":"connections come too fast from this address"})"));
      BOOST_TEST(c.ended());
    }
    // One a second comes back meanwhile.
    const auto passed = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin).count();
    BOOST_TEST(refused >= 3 - passed - 1);
    BOOST_TEST(refused <= 3);
  }
  BOOST_TEST(counted(server).refused(refusal::connection_rate) >= 1u);
}

BOOST_AUTO_TEST_CASE(behind_a_proxy_the_address_that_it_names_has_the_rate) {
  server_options options;
  options.shards = 2;
  options.proxies.trusted = {"127.0.0.2"};
  options.new_connections_per_ip = {.per_s = 1, .burst = 2};
  running server{[](auto& s) { s.events("/echo", {.on_message = echo}); }, options};
  for (const std::string client : {"192.0.2.1", "192.0.2.2"})
    for (int i = 0; i < 3; ++i) {
      wire_client c{server.address(), "127.0.0.2:0"};
      const std::string answer = c.upgrade("/echo", "X-Forwarded-For: " + client + "\r\n");
      if (i < 2) {
        BOOST_TEST(answer.starts_with("HTTP/1.1 101"));
      } else if (!answer.starts_with("HTTP/1.1 101")) { // a second may have passed
        BOOST_TEST(answer.starts_with("HTTP/1.1 429"));
        BOOST_TEST(answer.find("\r\nRetry-After: 1\r\n") != std::string::npos);
      }
    }
  BOOST_TEST(counted(server).refused(refusal::connection_rate) >= 1u);
  // The proxy's own requests are nobody's.
  for (int i = 0; i < 10; ++i) {
    wire_client c{server.address(), "127.0.0.2:0"};
    BOOST_TEST(c.http("GET /none HTTP/1.1\r\nHost: t\r\n\r\n").starts_with("HTTP/1.1 404"));
  }
}

BOOST_AUTO_TEST_SUITE_END()

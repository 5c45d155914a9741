// The bounds that an operator sets, each at its limit and one beyond: connections, connections of one address, pages,
// and silence.
#include "engine/base/limits.hpp"
#include "engine/shard/admission.hpp"
#include "engine/shard/origin.hpp"
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

void echo_route(server& s) {
  s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
}

using clients = std::vector<std::unique_ptr<wire_client>>;

bool is_open(wire_client& c) {
  c.send(opcode::text, "there?");
  return c.text() == "there?";
}

// The slot of a connection that ended is free a moment after its peer has seen the end.
std::string upgrade_soon(const std::string& address, std::unique_ptr<wire_client>& into, const std::string& from = {}) {
  std::string answer;
  for (int i = 0; i < 400; ++i) {
    into = std::make_unique<wire_client>(address, from);
    answer = into->upgrade("/echo");
    if (answer.starts_with("HTTP/1.1 101")) break;
    std::this_thread::sleep_for(5ms);
  }
  return answer;
}

connection_source source(std::string_view address) { return source_of(*parse_address(address)); }

} // namespace

BOOST_AUTO_TEST_SUITE(limits)

BOOST_AUTO_TEST_CASE(the_connection_beyond_max_connections_is_answered_503_as_json_whichever_shard_it_meets) {
  constexpr std::size_t limit = 5;
  running server{echo_route, {.shards = 3, .max_connections = limit}};
  clients open;
  for (std::size_t i = 0; i < limit; ++i) {
    open.push_back(std::make_unique<wire_client>(server.address()));
    BOOST_TEST(open.back()->upgrade("/echo").starts_with("HTTP/1.1 101"));
  }
  // Each of these meets a shard of the kernel's choice.
  for (int i = 0; i < 12; ++i) {
    wire_client c{server.address()};
    const std::string answer = c.upgrade("/echo");
    BOOST_TEST(answer.starts_with("HTTP/1.1 503"));
    BOOST_TEST(answer.find("\r\nConnection: close\r\n") != std::string::npos);
    BOOST_TEST(answer.ends_with(R"({"error":"the server has as many connections as it takes"})"));
    BOOST_TEST(c.ended());
  }
  for (const auto& each : open) BOOST_TEST(is_open(*each));
  // One leaves, one may come, and not two.
  open.pop_back();
  BOOST_TEST(upgrade_soon(server.address(), open.emplace_back()).starts_with("HTTP/1.1 101"));
  wire_client c{server.address()};
  BOOST_TEST(c.upgrade("/echo").starts_with("HTTP/1.1 503"));
}

BOOST_AUTO_TEST_CASE(connections_that_come_at_once_fill_a_server_to_its_bound_and_not_beyond) {
  constexpr int limit = 20, threads = 6, each_tries = 10;
  running server{echo_route, {.shards = 3, .max_connections = limit}};
  std::atomic<int> accepted{0}, refused{0}, other{0};
  std::vector<std::thread> all;
  std::vector<clients> held(threads);
  for (clients& mine : held)
    all.emplace_back([&] {
      for (int i = 0; i < each_tries; ++i) {
        mine.push_back(std::make_unique<wire_client>(server.address()));
        const std::string answer = mine.back()->upgrade("/echo");
        ++(answer.starts_with("HTTP/1.1 101") ? accepted : answer.starts_with("HTTP/1.1 503") ? refused : other);
      }
    });
  for (std::thread& t : all) t.join();
  BOOST_TEST(accepted == limit);
  BOOST_TEST(refused == threads * each_tries - limit);
  BOOST_TEST(other == 0);
}

BOOST_AUTO_TEST_CASE(a_flood_above_the_bound_holds_no_more_than_its_share_and_goes_away) {
  running server{echo_route, {.shards = 1, .max_connections = 1}};
  wire_client first{server.address()};
  BOOST_TEST(first.upgrade("/echo").starts_with("HTTP/1.1 101"));
  // They stay and read nothing: some get an answer, the others are closed without one.
  clients flood;
  for (std::uint32_t i = 0; i < 3 * refusals_answered_max; ++i) flood.push_back(std::make_unique<wire_client>(server.address()));
  std::size_t answered = 0;
  for (const auto& each : flood) {
    const std::string answer = each->http("");
    if (answer.empty()) continue;
    BOOST_TEST(answer.starts_with("HTTP/1.1 503"));
    ++answered;
  }
  BOOST_TEST(answered >= 1u);
  BOOST_TEST(answered <= refusals_answered_max);
  BOOST_TEST(is_open(first));
  flood.clear();
  wire_client late{server.address()};
  BOOST_TEST(late.upgrade("/echo").starts_with("HTTP/1.1 503"));
}

BOOST_AUTO_TEST_CASE(max_connections_per_ip_counts_each_address_by_itself_over_all_shards) {
  constexpr std::size_t limit = 3;
  running server{echo_route, {.shards = 3, .max_connections_per_ip = limit}};
  const std::string addresses[] = {"127.0.0.1:0", "127.0.0.2:0"};
  clients open;
  for (const std::string& from : addresses) {
    for (std::size_t i = 0; i < limit; ++i) {
      open.push_back(std::make_unique<wire_client>(server.address(), from));
      BOOST_TEST(open.back()->upgrade("/echo").starts_with("HTTP/1.1 101"));
    }
    for (int i = 0; i < 4; ++i) {
      wire_client c{server.address(), from};
      const std::string answer = c.upgrade("/echo");
      BOOST_TEST(answer.starts_with("HTTP/1.1 503"));
      BOOST_TEST(answer.ends_with(R"({"error":"there are too many connections from this address"})"));
    }
  }
  for (const auto& each : open) BOOST_TEST(is_open(*each));
  // The place of one that left goes to its own address.
  open.erase(open.begin());
  wire_client still_full{server.address(), addresses[1]};
  BOOST_TEST(still_full.upgrade("/echo").starts_with("HTTP/1.1 503"));
  BOOST_TEST(upgrade_soon(server.address(), open.emplace_back(), addresses[0]).starts_with("HTTP/1.1 101"));
}

BOOST_AUTO_TEST_CASE(a_reset_connection_gives_its_place_back_although_it_has_no_address_any_more) {
  running server{echo_route, {.shards = 1, .max_connections_per_ip = 1}};
  for (int i = 0; i < 5; ++i) {
    std::unique_ptr<wire_client> c;
    BOOST_TEST(upgrade_soon(server.address(), c).starts_with("HTTP/1.1 101"));
    c->reset();
  }
}

BOOST_AUTO_TEST_CASE(both_bounds_hold_at_once_and_what_is_refused_is_not_counted) {
  admission a{4, 2};
  const connection_source one = source("10.0.0.1:1"), two = source("10.0.0.2:1"), three = source("10.0.0.3:1");
  BOOST_TEST((a.enter(one) == admission_result::admitted));
  BOOST_TEST((a.enter(one) == admission_result::admitted));
  for (int i = 0; i < 3; ++i) BOOST_TEST((a.enter(one) == admission_result::address_is_full));
  BOOST_TEST((a.enter(two) == admission_result::admitted));
  BOOST_TEST((a.enter(three) == admission_result::admitted));
  for (int i = 0; i < 3; ++i) BOOST_TEST((a.enter(source("10.0.0.4:1")) == admission_result::server_is_full));
  BOOST_TEST((a.enter(one) == admission_result::address_is_full));
  BOOST_TEST(a.connections() == 4u);
  BOOST_TEST(a.sources() == 3u); // no more than connections, however many were refused
  a.leave(three);
  BOOST_TEST(a.sources() == 2u);
  BOOST_TEST((a.enter(two) == admission_result::admitted));
  for (const connection_source each : {one, one, two, two}) a.leave(each);
  BOOST_TEST(a.connections() == 0u);
  BOOST_TEST(a.sources() == 0u);
}

BOOST_AUTO_TEST_CASE(an_ipv6_network_of_64_bits_counts_as_one_address) {
  BOOST_TEST(source("[2001:db8:1:2::1]:1") == source("[2001:db8:1:2:ffff::9]:7"));
  BOOST_TEST(source("[2001:db8:1:2::1]:1") != source("[2001:db8:1:3::1]:1"));
  BOOST_TEST(source("[::ffff:192.0.2.1]:1") == source("192.0.2.1:9"));
  BOOST_TEST(source("[::ffff:192.0.2.1]:1") != source("[::ffff:192.0.2.2]:1"));
  BOOST_TEST(source("192.0.2.1:1") != source("192.0.2.2:1"));
}

BOOST_AUTO_TEST_CASE(browsers_connect_from_allowed_pages_only_and_other_programs_from_anywhere) {
  running server{[](auto& s) {
                   echo_route(s);
                   s.post("/publish", [](request& req) -> task<void> {
                     req.respond(status::ok, "published");
                     co_return;
                   });
                   s.get("/other", [](request& req) -> task<void> {
                     websocket ws = co_await req.upgrade({.allowed_origins = {"https://other.example"}});
                     while (auto message = co_await ws.receive()) co_await ws.send(*message);
                   });
                 },
                 {.allowed_origins = {"https://example.org", "http://localhost:3000"}}};
  const auto answer = [&](std::string_view path, std::string_view origin) {
    wire_client c{server.address()};
    return c.upgrade(path, origin.empty() ? std::string{} : "Origin: " + std::string{origin} + "\r\n");
  };
  for (const std::string_view origin : {"https://example.org", "http://localhost:3000", "HTTPS://Example.org", ""})
    BOOST_TEST(answer("/echo", origin).starts_with("HTTP/1.1 101"), origin);
  for (const std::string_view origin : {"http://example.org", "https://example.org:8443", "https://www.example.org",
                                        "https://example.org.evil.example", "https://example.or", "https://other.example", "null", " "}) {
    const std::string refused = answer("/echo", origin);
    BOOST_TEST(refused.starts_with("HTTP/1.1 403"), origin);
    BOOST_TEST(refused.ends_with(R"({"error":"pages of this origin may not connect here"})"));
  }
  // Two fields, as no browser sends them: both must be allowed.
  BOOST_TEST(answer("/echo", "https://example.org\r\nOrigin: https://evil.example").starts_with("HTTP/1.1 403"));
  // An endpoint's own list stands in place of the server's.
  BOOST_TEST(answer("/other", "https://other.example").starts_with("HTTP/1.1 101"));
  BOOST_TEST(answer("/other", "https://example.org").starts_with("HTTP/1.1 403"));
  const auto post = [&](std::string_view headers) {
    wire_client c{server.address()};
    return c.http("POST /publish HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n" + std::string{headers} + "\r\n");
  };
  BOOST_TEST(post("").starts_with("HTTP/1.1 200"));
  BOOST_TEST(post("Origin: https://example.org\r\n").starts_with("HTTP/1.1 200"));
  BOOST_TEST(post("Origin: https://evil.example\r\n").starts_with("HTTP/1.1 403"));
}

BOOST_AUTO_TEST_CASE(an_origin_that_no_browser_sends_is_refused_at_the_start) {
  for (const std::string_view good : {"https://example.org", "http://[::1]:8080", "null", "chrome-extension://abc"})
    BOOST_TEST(check_origin(good).has_value(), good);
  for (const std::string_view bad : {"", "example.org", "https://", "https://example.org/", "https://*.example.org", "https://:80", "https://a b"})
    BOOST_TEST(!check_origin(bad).has_value(), bad);
  server s{{.listen = {"127.0.0.1:0"}, .allowed_origins = {"https://example.org/"}}};
  const auto started = s.start();
  BOOST_REQUIRE(!started);
  BOOST_TEST(started.error().exit_code == 2);
  BOOST_TEST(started.error().why == "'https://example.org/' is not an origin: an origin ends behind its host or port, without a slash");
}

BOOST_AUTO_TEST_CASE(a_peer_without_messages_is_closed_with_1001_and_pongs_do_not_count) {
  running server{echo_route, {.limits = {.ping_interval_ms = 60, .pong_timeout_ms = 5'000, .idle_timeout_ms = 300}}};
  wire_client silent{server.address()}, talks{server.address()};
  BOOST_TEST(silent.upgrade("/echo").starts_with("HTTP/1.1 101"));
  BOOST_TEST(talks.upgrade("/echo").starts_with("HTTP/1.1 101"));
  std::atomic<bool> over{false};
  std::atomic<int> unanswered{0};
  std::thread other{[&] {
    while (!over) {
      talks.send(opcode::text, "x");
      if (talks.text() != "x") ++unanswered;
      std::this_thread::sleep_for(50ms);
    }
  }};
  const auto begin = std::chrono::steady_clock::now();
  int pings = 0;
  std::string end;
  while (auto f = silent.receive()) {
    if (f->op == opcode::ping) ++pings, silent.send(opcode::pong, f->payload);
    if (f->op != opcode::close) continue;
    end = std::to_string(f->code()) + " " + f->reason();
    break;
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  BOOST_TEST(end == "1001 no message came for too long");
  BOOST_TEST(pings >= 1);
  BOOST_TEST((took >= 290ms && took < 3s));
  std::this_thread::sleep_for(300ms);
  over = true;
  other.join();
  BOOST_TEST(unanswered == 0);
}

BOOST_AUTO_TEST_CASE(the_idle_timeout_of_an_upgrade_stands_in_place_of_the_servers) {
  running server{[](auto& s) {
                   const auto route = [&](const char* path, std::optional<std::chrono::milliseconds> idle) {
                     s.get(path, [idle](request& req) -> task<void> {
                       websocket ws = co_await req.upgrade({.idle_timeout = idle});
                       while (auto message = co_await ws.receive()) co_await ws.send(*message);
                     });
                   };
                   route("/soon", 100ms);
                   route("/never", 0ms);
                   route("/server", std::nullopt);
                 },
                 {.limits = {.ping_interval_ms = 0, .idle_timeout_ms = 400}}};
  wire_client never{server.address()}, late{server.address()}, soon{server.address()};
  (void)never.upgrade("/never");
  (void)late.upgrade("/server");
  (void)soon.upgrade("/soon");
  BOOST_TEST(soon.text() == "<close 1001>");
  late.send(opcode::text, "x");
  BOOST_TEST(late.text() == "x");
  BOOST_TEST(late.text(3000) == "<close 1001>");
  never.send(opcode::text, "still here");
  BOOST_TEST(never.text() == "still here");
}

BOOST_AUTO_TEST_CASE(a_message_that_is_still_arriving_is_no_silence) {
  running server{echo_route, {.shards = 1, .limits = {.ping_interval_ms = 0, .idle_timeout_ms = 200}}};
  wire_client c{server.address()};
  (void)c.upgrade("/echo");
  const std::string frame = masked_frame(opcode::text, std::string(600, 'y'));
  for (std::size_t at = 0; at < frame.size(); at += 100) {
    c.send_bytes(std::string_view{frame}.substr(at, 100));
    std::this_thread::sleep_for(80ms);
  }
  BOOST_TEST(c.text() == std::string(600, 'y'));
  BOOST_TEST(c.text(3000) == "<close 1001>");
}

BOOST_AUTO_TEST_SUITE_END()

// Proxies in front: whose word counts, and what is counted by it. Loopback has many addresses: 127.0.0.2 is the proxy here, 127.0.0.3 a stranger.
#include "engine/shard/forwarded.hpp"
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::string_literals;

namespace {

const std::string proxy = "127.0.0.2:0", stranger = "127.0.0.3:0";

// A list of fields, each "Name: value".
struct fields {
  std::vector<std::pair<std::string, std::string>> kept;
  [[nodiscard]] http_fields head() const {
    http_fields made;
    for (const auto& [name, value] : kept) made.headers[made.header_count++] = {name, value};
    return made;
  }
};

std::string client_of(const std::vector<std::string>& trusted, const fields& given, forwarded_header header = forwarded_header::x_forwarded_for) {
  const auto proxies = trusted_proxies::parse({.trusted = trusted, .header = header});
  BOOST_REQUIRE(proxies.has_value());
  return proxies->client_of(given.head(), *parse_address("127.0.0.2:9")).text();
}

std::string why_not(const std::string& entry) {
  const auto parsed = trusted_proxies::parse({.trusted = {entry}});
  return parsed ? "fine" : parsed.error();
}

bool trusts(const std::string& entry, const std::string& peer) { return trusted_proxies::parse({.trusted = {entry}})->trusts(*parse_address(peer)); }

std::string from(const std::string& address) { return "X-Forwarded-For: " + address + "\r\n"; }

// Tells who is at the other end.
void add_routes(server& s) {
  s.events("/ws", {.on_open = [](websocket_ref ws) { ws.send_text(ws.peer().text()); }});
  s.get("/who", [](request& req) { req.respond(status::ok, req.peer().text()); });
  s.get("/talk", [](request& req) -> task<void> {
    websocket ws = co_await req.upgrade();
    co_await ws.send_text(ws.peer().text());
    (void)co_await ws.receive();
  });
  s.events("/named", {.on_upgrade = [](upgrade_request_view& up) { up.take_seat("room", hearing::everyone, "name"); },
                      .on_open = [](websocket_ref ws) { ws.send_text(ws.peer().text()); }});
}

std::string who_is(wire_client& c, std::string_view headers) {
  const std::string answer = c.http("GET /who HTTP/1.1\r\nHost: t\r\n" + std::string{headers} + "\r\n");
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

server_options behind_proxy(std::uint32_t per_ip = 2) { return {.max_connections_per_ip = per_ip, .proxies = {.trusted = {"127.0.0.2"}}}; }

server_options by_proxy_protocol(std::uint32_t per_ip = 2) {
  server_options options = behind_proxy(per_ip);
  options.proxies.protocol = proxy_protocol::required;
  return options;
}

std::string line_of(const std::string& address) { return "PROXY TCP4 " + address + " 127.0.0.1 4711 80\r\n"; }

std::string binary_of(const std::string& four_bytes) {
  return std::string{"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 16} + four_bytes + std::string{"\x7f\0\0\1\x12\x67\0\x50", 8};
}

const std::string who = "GET /who HTTP/1.1\r\nHost: t\r\n\r\n";

std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

std::uint64_t refused(server& s, refusal why) { return s.statistics_future().get().total().refusals[static_cast<std::size_t>(why)]; }

} // namespace

BOOST_AUTO_TEST_SUITE(proxies)

BOOST_AUTO_TEST_CASE(networks_hold_to_the_bit) {
  BOOST_TEST(trusts("10.0.0.0/8", "10.255.0.1:1"));
  BOOST_TEST(!trusts("10.0.0.0/8", "11.0.0.1:1"));
  BOOST_TEST(trusts("192.0.2.128/25", "192.0.2.128:1"));
  BOOST_TEST(!trusts("192.0.2.128/25", "192.0.2.127:1"));
  BOOST_TEST(trusts("192.0.2.1", "192.0.2.1:1"));
  BOOST_TEST(!trusts("192.0.2.1", "192.0.2.2:1"));
  BOOST_TEST(trusts("0.0.0.0/0", "192.0.2.2:1"));
  BOOST_TEST(!trusts("0.0.0.0/0", "[2001:db8::1]:1"));
  BOOST_TEST(trusts("fd00::/8", "[fdff::1]:1"));
  BOOST_TEST(!trusts("fd00::/8", "[fe00::1]:1"));
  BOOST_TEST(trusts("192.0.2.0/24", "[::ffff:192.0.2.9]:1"));
  BOOST_TEST(!trusts("::1", "127.0.0.1:1"));
  for (const char* wrong : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "localhost", "10.0.0"})
    BOOST_TEST(why_not(wrong).find("is no trusted proxy") != std::string::npos, wrong);
}

BOOST_AUTO_TEST_CASE(the_last_address_that_is_no_proxys_counts) {
  const std::vector<std::string> trusted{"127.0.0.2", "10.0.0.0/8"};
  const auto of = [&](const std::vector<std::string>& values) {
    fields all;
    for (const std::string& value : values) all.kept.emplace_back("x-forwarded-FOR", value);
    return client_of(trusted, all);
  };
  BOOST_TEST(of({}) == "127.0.0.2:9");
  BOOST_TEST(of({"192.0.2.1"}) == "192.0.2.1:0");
  BOOST_TEST(of({"6.6.6.6, 192.0.2.1"}) == "192.0.2.1:0"); // the first was the stranger's own
  BOOST_TEST(of({"6.6.6.6", "192.0.2.1"}) == "192.0.2.1:0");
  BOOST_TEST(of({"6.6.6.6, 192.0.2.1 ,10.1.1.1,, 10.2.2.2"}) == "192.0.2.1:0");
  BOOST_TEST(of({"192.0.2.1:47011"}) == "192.0.2.1:0");
  BOOST_TEST(of({"2001:db8::1"}) == "[2001:db8::1]:0");
  BOOST_TEST(of({"[2001:db8::1]:47011"}) == "[2001:db8::1]:0");
  BOOST_TEST(of({"10.1.1.1"}) == "10.1.1.1:0");
  for (const char* garbage : {"unknown", "_hidden", "[", "]", "[::1", ":", "1.2.3", "1.2.3.4.5", "' OR 1=1", ","})
    BOOST_TEST(of({garbage}) == "127.0.0.2:9", garbage);
  // Behind what cannot be read nothing is believed.
  BOOST_TEST(of({"6.6.6.6, unknown, 10.1.1.1"}) == "10.1.1.1:0");
}

BOOST_AUTO_TEST_CASE(forwarded_is_read_where_it_is_chosen_and_the_other_one_is_not) {
  const std::vector<std::string> trusted{"127.0.0.2", "10.0.0.0/8"};
  const fields both{{{"X-Forwarded-For", "192.0.2.1"}, {"Forwarded", "for=6.6.6.6, For=\"[2001:db8::1]:47011\";proto=https , by=x;for=10.0.0.1"}}};
  BOOST_TEST(client_of(trusted, both, forwarded_header::forwarded) == "[2001:db8::1]:0");
  BOOST_TEST(client_of(trusted, both) == "192.0.2.1:0");
  for (const char* garbage : {"for=unknown", "proto=https", "for", "for=", "for=\"", "=;=", "for=\"_x\""})
    BOOST_TEST(client_of(trusted, {{{"Forwarded", garbage}}}, forwarded_header::forwarded) == "127.0.0.2:9", garbage);
}

BOOST_AUTO_TEST_CASE(a_bound_by_address_counts_those_behind_the_proxy_and_not_the_proxy) {
  running server{add_routes, behind_proxy()};
  std::vector<std::unique_ptr<wire_client>> open;
  const auto connect = [&](const std::string& address, std::string_view path = "/ws") {
    open.push_back(std::make_unique<wire_client>(server.address(), proxy));
    return open.back()->upgrade(path, from(address)).substr(9, 3);
  };
  for (const std::string address : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
    BOOST_TEST(connect(address) == "101");
    BOOST_TEST(open.back()->text() == address + ":0");
    BOOST_TEST(connect(address, "/talk") == "101");
    BOOST_TEST(open.back()->text() == address + ":0");
    BOOST_TEST(connect(address) == "503");
    // The same connection of the proxy serves somebody else then.
    BOOST_TEST(who_is(*open.back(), from("192.0.2.9")) == "192.0.2.9:0");
  }
  BOOST_TEST(connect("192.0.2.9") == "101");
  // Who leaves makes room.
  open.front()->close(1000);
  BOOST_TEST(open.front()->text() == "<close 1000>");
  open.front().reset();
  std::string again;
  for (int i = 0; i < 400 && again != "101"; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds{5});
    again = connect("192.0.2.1");
  }
  BOOST_TEST(again == "101");
  BOOST_TEST(connect("192.0.2.1") == "503");
}

BOOST_AUTO_TEST_CASE(an_upgrade_that_comes_to_nothing_does_not_stay_counted) {
  running server{add_routes, behind_proxy(1)};
  wire_client first{server.address(), proxy}, second{server.address(), proxy}, third{server.address(), proxy};
  BOOST_TEST(first.upgrade("/named", from("192.0.2.1")).starts_with("HTTP/1.1 101"));
  BOOST_TEST(second.upgrade("/named", from("192.0.2.2")).starts_with("HTTP/1.1 400")); // the name is taken
  BOOST_TEST(second.upgrade("/ws", from("192.0.2.3")).starts_with("HTTP/1.1 101"));    // by somebody else, on the same connection
  BOOST_TEST(second.text() == "192.0.2.3:0");
  BOOST_TEST(third.upgrade("/ws", from("192.0.2.2")).starts_with("HTTP/1.1 101"));
}

BOOST_AUTO_TEST_CASE(what_strangers_say_of_themselves_is_ignored) {
  running server{add_routes, behind_proxy()};
  wire_client one{server.address(), stranger}, two{server.address(), stranger};
  BOOST_TEST(who_is(one, from("192.0.2.1")).starts_with("127.0.0.3:"));
  BOOST_TEST(one.upgrade("/ws", from("192.0.2.1")).starts_with("HTTP/1.1 101"));
  BOOST_TEST(one.text().starts_with("127.0.0.3:"));
  BOOST_TEST(two.upgrade("/ws", from("192.0.2.2")).starts_with("HTTP/1.1 101"));
  wire_client three{server.address(), stranger};
  BOOST_TEST(three.http("").starts_with("HTTP/1.1 503")); // before it asked
  // Nor by somebody whom the proxy does not name.
  wire_client unnamed{server.address(), proxy};
  BOOST_TEST(who_is(unnamed, "").starts_with("127.0.0.2:"));
}

BOOST_AUTO_TEST_CASE(a_list_that_cannot_be_meant_fails_the_start) {
  server s{{.listen = {"127.0.0.1:0"}, .shards = 1, .proxies = {.trusted = {"everybody"}}}};
  const auto started = s.start();
  BOOST_REQUIRE(!started.has_value());
  BOOST_TEST(started.error().why.find("'everybody' is no trusted proxy") == 0u);
}

BOOST_AUTO_TEST_CASE(a_member_that_is_closed_for_being_slow_is_logged_by_the_address_of_who_asked_the_proxy) {
  std::mutex lock;
  std::string said;
  set_log_taker([&](log_level, std::string_view line) {
    const std::lock_guard hold{lock};
    said.append(line) += '\n';
  });
  {
    server_options options = behind_proxy(0);
    options.limits.send_queue_bytes_max = 1024;
    running r{[](server& s) { s.events("/room", {.on_upgrade = [](upgrade_request_view& up) { up.take_seat("room"); }}); }, options};
    wire_client slow{r.address(), proxy};
    BOOST_TEST(slow.upgrade("/room", from("192.0.2.5")).starts_with("HTTP/1.1 101"));
    const std::string large(100'000, 'x');
    bool is_there = true;
    for (int i = 0; i < 2000 && is_there; ++i) {
      (void)r.s.room("room").broadcast_future(opcode::text, std::as_bytes(std::span{large})).get();
      is_there = r.s.room("room").count_future().get() > 0;
    }
    BOOST_TEST(!is_there);
  }
  set_log_taker({});
  BOOST_TEST(said.find("closed 192.0.2.5:0 as too slow") != std::string::npos, said);
}

// --- the PROXY protocol: 127.0.0.2 is the proxy, which says whose each connection is ---

BOOST_AUTO_TEST_CASE(a_proxy_header_says_whose_a_connection_is_wherever_it_is_cut) {
  running server{add_routes, by_proxy_protocol(0)};
  for (const std::string& header : {line_of("192.0.2.7"), binary_of("\xc0\x00\x02\x07"s)}) {
    const std::string whole = header + who;
    for (std::size_t cut = 0; cut <= header.size() + 1; ++cut) {
      wire_client c{server.address(), proxy};
      c.send_bytes(whole.substr(0, cut));
      if (cut % 8 == 1) std::this_thread::sleep_for(std::chrono::milliseconds{2}); // most of the others arrive as one all the same
      BOOST_TEST(body_of(c.http(whole.substr(cut))) == "192.0.2.7:4711", "cut at " << cut);
    }
    wire_client slowly{server.address(), proxy};
    for (const char each : header) {
      slowly.send_bytes({&each, 1});
      std::this_thread::sleep_for(std::chrono::microseconds{300});
    }
    BOOST_TEST(body_of(slowly.http(who)) == "192.0.2.7:4711");
    // Of the next request, too, and of what comes of it.
    BOOST_TEST(body_of(slowly.http("GET /who HTTP/1.1\r\nHost: t\r\n" + from("6.6.6.6") + "\r\n")) == "192.0.2.7:4711");
    BOOST_TEST(slowly.upgrade("/ws").starts_with("HTTP/1.1 101"));
    BOOST_TEST(slowly.text() == "192.0.2.7:4711");
  }
}

BOOST_AUTO_TEST_CASE(a_proxy_that_asks_for_itself_is_the_peer_and_another_one_is_asked_by_its_requests) {
  running server{add_routes, by_proxy_protocol()};
  for (const std::string& header : {"PROXY UNKNOWN\r\n"s, std::string{"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16}}) {
    wire_client c{server.address(), proxy};
    BOOST_TEST(body_of(c.http(header + who)).starts_with("127.0.0.2:"));
    BOOST_TEST(who_is(c, from("192.0.2.9")) == "192.0.2.9:0");
  }
  wire_client chain{server.address(), proxy};
  BOOST_TEST(body_of(chain.http(line_of("127.0.0.2") + "GET /who HTTP/1.1\r\nHost: t\r\n" + from("192.0.2.8") + "\r\n")) == "192.0.2.8:0");
}

BOOST_AUTO_TEST_CASE(a_bound_by_address_counts_whom_the_proxy_header_names) {
  running server{add_routes, by_proxy_protocol()};
  std::vector<std::unique_ptr<wire_client>> open;
  const auto ask = [&](const std::string& address) {
    open.push_back(std::make_unique<wire_client>(server.address(), proxy));
    return open.back()->http(line_of(address) + who).substr(9, 3);
  };
  for (const std::string address : {"192.0.2.1", "192.0.2.2"}) {
    BOOST_TEST(ask(address) == "200"); // n - 1
    BOOST_TEST(ask(address) == "200"); // n
    BOOST_TEST(ask(address) == "503"); // n + 1
  }
  BOOST_TEST(refused(server.s, refusal::address_full) == 2u);
  // An upgrade is the same connection, and is not counted again.
  BOOST_TEST(open.front()->upgrade("/ws").starts_with("HTTP/1.1 101"));
  // Who leaves makes room.
  open.front().reset();
  std::string again;
  for (int i = 0; i < 400 && again != "200"; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds{5});
    again = ask("192.0.2.1");
  }
  BOOST_TEST(again == "200");
  BOOST_TEST(ask("192.0.2.1") == "503");
}

BOOST_AUTO_TEST_CASE(who_is_no_proxy_and_who_sends_no_proxy_header_is_closed_and_counted) {
  running server{add_routes, by_proxy_protocol(0)};
  {
    wire_client c{server.address(), stranger};
    BOOST_TEST(c.http(line_of("192.0.2.1") + who) == "");
  }
  BOOST_TEST(refused(server.s, refusal::not_a_proxy) == 1u);
  std::uint64_t bad = 0;
  for (const std::string& wrong : {who, "PROXY TCP4 192.0.2.1\r\n"s, std::string(200, 'x'), "PROXY UNKNOWN " + std::string(200, 'x'),
                                   std::string{"\r\n\r\n\0\r\nQUIT\n\x22\0\0\0", 16}}) {
    wire_client c{server.address(), proxy};
    BOOST_TEST(c.http(wrong) == "");
    BOOST_TEST(refused(server.s, refusal::proxy_header) == ++bad);
  }
  wire_client gone{server.address(), proxy};
  gone.send_bytes("PROXY TC");
  gone.shut_down_writing();
  BOOST_TEST(gone.ended());
}

BOOST_AUTO_TEST_CASE(a_proxy_header_has_the_time_of_a_handshake) {
  server_options options = by_proxy_protocol(0);
  options.limits.handshake_timeout_ms = 300;
  running server{add_routes, options};
  wire_client c{server.address(), proxy};
  const std::string header = line_of("192.0.2.1");
  std::size_t sent = 0;
  // A byte each 100 ms: it would have taken four seconds.
  while (sent < header.size() && !c.ended(100)) c.send_bytes(header.substr(sent++, 1));
  BOOST_TEST(sent < header.size() / 2);
}

BOOST_AUTO_TEST_CASE(a_header_without_a_proxy_that_is_trusted_fails_the_start) {
  server s{{.listen = {"127.0.0.1:0"}, .shards = 1, .proxies = {.trusted = {}, .protocol = proxy_protocol::required}}};
  const auto started = s.start();
  BOOST_REQUIRE(!started.has_value());
  BOOST_TEST(started.error().why == "the PROXY protocol is of trusted proxies, and none is named");
}

BOOST_AUTO_TEST_CASE(without_the_option_a_proxy_header_is_no_request) {
  running server{add_routes, behind_proxy(0)};
  wire_client c{server.address(), proxy};
  BOOST_TEST(c.http(line_of("192.0.2.1") + who).starts_with("HTTP/1.1 400"));
}

BOOST_AUTO_TEST_SUITE_END()

// Proxies in front: whose word counts, and what is counted by it. Loopback has many addresses: 127.0.0.2 is the proxy here, 127.0.0.3 a stranger.
#include "engine/shard/forwarded.hpp"
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;

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

BOOST_AUTO_TEST_SUITE_END()

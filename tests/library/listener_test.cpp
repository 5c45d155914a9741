// Other places to listen on than a port: Unix sockets, and sockets that listen already.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <arpa/inet.h>
#include <cstdio>
#include <fcntl.h>
#include <netinet/in.h>
#include <set>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

using namespace ringcast;

namespace {

// A folder that goes with the test.
struct folder {
  folder() { BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr); }
  ~folder() {
    ::unlink(socket().substr(5).c_str());
    ::rmdir(name.c_str());
  }
  [[nodiscard]] std::string socket() const { return "unix:" + name + "/s"; }
  std::string name = "/tmp/ringcast-XXXXXX";
};

bool exists(const std::string& address) { return ::access(address.substr(5).c_str(), F_OK) == 0; }

void add_routes(server& s) {
  s.get("/echo", [](request& req) -> task<void> {
    websocket ws = co_await req.upgrade();
    while (auto message = co_await ws.receive()) co_await ws.send(*message);
  });
  s.get("/who", [](request& req) { req.respond(status::ok, req.peer().text()); });
}

std::string why_not(const std::vector<std::string>& listen) {
  server s{{.listen = listen, .shards = 1}};
  const auto started = s.start();
  return started ? "it started" : started.error().why;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

BOOST_AUTO_TEST_SUITE(listeners)

BOOST_AUTO_TEST_CASE(a_unix_socket_serves_like_any_other_address_and_its_file_goes_with_the_server) {
  const folder where;
  {
    // A bound by address holds for addresses, and there is none here.
    server s{{.listen = {where.socket(), "127.0.0.1:0"}, .shards = 2, .max_connections_per_ip = 1}};
    add_routes(s);
    BOOST_REQUIRE(s.start().has_value());
    BOOST_TEST(s.addresses().front() == where.socket());
    BOOST_TEST(exists(where.socket()));
    wire_client a{where.socket()}, b{where.socket()}, by_port{s.addresses().back()}, asks{where.socket()};
    for (wire_client* c : {&a, &b, &by_port}) {
      BOOST_TEST(c->upgrade("/echo").starts_with("HTTP/1.1 101"));
      c->send(opcode::text, std::string(300'000, 'x'));
      BOOST_TEST((c->text() == std::string(300'000, 'x')));
    }
    BOOST_TEST(asks.http("GET /who HTTP/1.1\r\nHost: t\r\n\r\n").ends_with("\r\n\r\nunix:"));
    BOOST_TEST(has(why_not({where.socket()}), "in use"));
    BOOST_TEST(exists(where.socket())); // not taken away by who was refused
  }
  BOOST_TEST(!exists(where.socket()));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_left_is_replaced_and_any_other_is_not) {
  const folder where;
  {
    const int left = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = where.socket().substr(5);
    path.copy(address.sun_path, path.size());
    BOOST_REQUIRE(::bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(left); // as a process that was killed leaves it
  }
  BOOST_TEST(exists(where.socket()));
  BOOST_TEST(why_not({where.socket()}) == "it started");
  BOOST_TEST(!exists(where.socket()));
  ::close(::open(where.socket().substr(5).c_str(), O_CREAT | O_WRONLY, 0600));
  BOOST_TEST(has(why_not({where.socket()}), "in use"));
  BOOST_TEST(exists(where.socket()));
}

BOOST_AUTO_TEST_CASE(an_abstract_name_has_no_file) {
  const std::string name = "unix:@ringcast-test-" + std::to_string(::getpid());
  server s{{.listen = {name}, .shards = 2}};
  add_routes(s);
  BOOST_REQUIRE(s.start().has_value());
  BOOST_TEST(s.addresses().front() == name);
  wire_client c{name};
  BOOST_TEST(c.upgrade("/echo").starts_with("HTTP/1.1 101"));
}

BOOST_AUTO_TEST_CASE(what_is_no_place_to_listen_on_is_said_in_a_sentence) {
  BOOST_TEST(has(why_not({"unix:"}), "it wants unix:/path"));
  BOOST_TEST(has(why_not({"unix:@"}), "it wants unix:/path"));
  BOOST_TEST(has(why_not({"unix:/" + std::string(107, 'x')}), "at most 107 bytes"));
  BOOST_TEST(has(why_not({"unix:/nowhere/at/all"}), "No such file"));
  BOOST_TEST(has(why_not({"fd:"}), "it wants fd:NUMBER"));
  BOOST_TEST(has(why_not({"fd:x"}), "it wants fd:NUMBER"));
  BOOST_TEST(has(why_not({"fd:-1"}), "it wants fd:NUMBER"));
  BOOST_TEST(has(why_not({"fd:9999"}), "Bad file descriptor"));
  const int file = ::open("/dev/null", O_RDONLY), quiet = ::socket(AF_INET, SOCK_STREAM, 0);
  BOOST_TEST(has(why_not({"fd:" + std::to_string(file)}), "Socket operation on non-socket"));
  BOOST_TEST(has(why_not({"fd:" + std::to_string(quiet)}), "nobody has called listen()"));
  ::close(file);
  ::close(quiet);
}

BOOST_AUTO_TEST_CASE(what_is_for_those_who_run_a_program_is_not_there_for_others) {
  server s{{.listen = {"127.0.0.1:0"}, .listen_admin = {"127.0.0.1:0"}, .admin_hosts = {"t", "test"}, .shards = 2}};
  routes all = s.routes();
  const auto answer = [](std::string_view text) {
    return [text](const http_request& request, http_responder responder) {
      responder.respond(http_status::ok, "text/plain", std::string{text} + (request.is_admin ? " for admin" : " for all"));
    };
  };
  all.admin().add("GET", "/secret", answer("secret"));
  all.admin().add("GET", "/shown", answer("more"));
  all.admin().add("/spy", websocket_endpoint{});
  all.add("GET", "/shown", answer("less")); // reached by those who do not get the one above
  all.add("POST", "/secret", answer("told"));
  s.get("/who", [](request& req) { req.respond(status::ok, req.is_admin() ? "admin" : "anybody"); });
  BOOST_REQUIRE(s.start().has_value());
  BOOST_REQUIRE(s.admin_addresses().size() == 1);
  wire_client outside{s.addresses().front()}, inside{s.admin_addresses().front()};
  const auto ask = [](wire_client& from, std::string_view method, std::string_view path) {
    return from.http(std::string{method}.append(" ").append(path).append(" HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n"));
  };
  BOOST_TEST(ask(inside, "GET", "/secret").ends_with("secret for admin"));
  const std::string refused = ask(outside, "GET", "/secret");
  BOOST_TEST(refused.starts_with("HTTP/1.1 405"));
  BOOST_TEST(has(refused, "Allow: POST\r\n"));
  BOOST_TEST(ask(outside, "POST", "/secret").ends_with("told for all"));
  BOOST_TEST(ask(inside, "GET", "/shown").ends_with("more for admin"));
  BOOST_TEST(ask(outside, "GET", "/shown").ends_with("less for all"));
  BOOST_TEST(ask(inside, "GET", "/who").ends_with("admin"));
  BOOST_TEST(ask(outside, "GET", "/who").ends_with("anybody"));
  wire_client spy{s.admin_addresses().front()}, other{s.addresses().front()};
  BOOST_TEST(spy.upgrade("/spy").starts_with("HTTP/1.1 101"));
  BOOST_TEST(other.upgrade("/spy").starts_with("HTTP/1.1 404"));
}

BOOST_AUTO_TEST_CASE(a_route_for_all_in_front_of_one_for_admin_is_an_error_and_an_address_that_is_taken_is_said) {
  server hidden{{.listen = {"127.0.0.1:0"}, .shards = 1}};
  hidden.routes().add("GET", "/{any}", [](const http_request&, http_responder) {});
  hidden.routes().admin().add("GET", "/secret", [](const http_request&, http_responder) {});
  const auto started = hidden.start();
  BOOST_REQUIRE(!started.has_value());
  BOOST_TEST(has(started.error().why, "can never be reached"));
  server broken{{.listen = {"127.0.0.1:0"}, .listen_admin = {"unix:/nowhere/at/all"}, .shards = 1}};
  const auto opened = broken.start();
  BOOST_REQUIRE(!opened.has_value());
  BOOST_TEST(has(opened.error().why, "No such file"));
}

// DNS rebinding: a page of rebound.example asks for its own host, whose address is ours by now.
BOOST_AUTO_TEST_CASE(a_listener_for_admin_is_asked_for_by_its_address_or_by_a_name_that_it_has) {
  server s{{.listen = {"127.0.0.1:0"}, .listen_admin = {"127.0.0.1:0"}, .admin_hosts = {"Admin.Example"}, .shards = 1}};
  s.routes().add("GET", "/", [](const http_request&, http_responder responder) { responder.respond(http_status::ok, "text/plain", "here"); });
  s.routes().add("POST", "/", [](const http_request&, http_responder responder) { responder.respond(http_status::ok, "text/plain", "done"); });
  s.events("/ws", {});
  BOOST_REQUIRE(s.start().has_value());
  const auto status_of = [&](const std::string& address, const std::string& host, const std::string& method = "GET") {
    return wire_client{address}.http(method + " / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n").substr(9, 3);
  };
  const std::string inside = s.admin_addresses().front(), outside = s.addresses().front();
  for (const std::string host : {"127.0.0.1", "127.0.0.1:8081", "192.0.2.1", "[::1]", "[2001:db8::1]:80", "localhost", "LocalHost:8081",
                                 "admin.example", "admin.example:8081", ""})
    BOOST_TEST(status_of(inside, host) == "200", host);
  std::uint64_t refused = 0;
  for (const std::string host : {"rebound.example", "localhost.rebound.example", "127.0.0.1.rebound.example", "127.0.0.1.", "x.admin.example",
                                 "[v1.x]", "1", "0x7f.0.0.1", "127.1"}) {
    BOOST_TEST(status_of(inside, host) == "421", host);
    BOOST_TEST(status_of(inside, host, "POST") == "421", host);
    refused += 2;
    BOOST_TEST(status_of(outside, host) == "200", host); // this is everybody's
  }
  BOOST_TEST(wire_client{inside}.upgrade("/ws", "").substr(9, 3) == "421"); // Host: test
  BOOST_TEST(wire_client{inside}.http("POST / HTTP/1.1\r\nHost: rebound.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").substr(9, 3) ==
             "421");
  BOOST_TEST(wire_client{inside}.http("GET / HTTP/1.0\r\n\r\n").substr(9, 3) == "200");
  BOOST_TEST(s.statistics_future().get().total().refusals[static_cast<std::size_t>(refusal::host)] == refused + 2);
}

// As people write them. A test of a machine without IPv6 has nothing to say.
BOOST_AUTO_TEST_CASE(every_address_is_by_both_versions_of_ip_and_who_comes_by_ipv4_has_such_an_address) {
  for (const std::string listen : {":0", "*:0", "[::]:0"}) {
    server s{{.listen = {listen}, .shards = 2}};
    add_routes(s);
    BOOST_REQUIRE(s.start().has_value());
    const std::string port = s.addresses().front().substr(s.addresses().front().rfind(':'));
    BOOST_TEST(s.addresses().front() == "[::]" + port);
    wire_client by_4{"127.0.0.1" + port}, by_6{"[::1]" + port};
    BOOST_TEST(has(by_4.http("GET /who HTTP/1.1\r\nHost: t\r\n\r\n"), "\r\n\r\n127.0.0.1:"));
    BOOST_TEST(has(by_6.http("GET /who HTTP/1.1\r\nHost: t\r\n\r\n"), "\r\n\r\n[::1]:"));
    BOOST_TEST(has(why_not({"127.0.0.1" + port}), "in use"));
    BOOST_TEST(has(why_not({listen.substr(0, listen.size() - 2) + port}), "in use"));
  }
  // Where both are written, each is its own.
  std::string port;
  {
    server s{{.listen = {"127.0.0.1:0"}, .shards = 1}};
    BOOST_REQUIRE(s.start().has_value());
    port = s.addresses().front().substr(s.addresses().front().rfind(':'));
  }
  server both{{.listen = {"[::]" + port, "0.0.0.0" + port}, .shards = 2}};
  add_routes(both);
  BOOST_REQUIRE(both.start().has_value());
  wire_client by_4{"127.0.0.1" + port}, by_6{"[::1]" + port};
  BOOST_TEST(by_4.upgrade("/echo").starts_with("HTTP/1.1 101"));
  BOOST_TEST(by_6.upgrade("/echo").starts_with("HTTP/1.1 101"));
}

// As systemd hands one over: it goes on to listen when the server has ended.
BOOST_AUTO_TEST_CASE(a_socket_that_listens_already_is_taken_over) {
  const int given = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  BOOST_REQUIRE(::bind(given, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
  BOOST_REQUIRE(::listen(given, 16) == 0);
  std::string address;
  for (int restarts = 0; restarts < 2; ++restarts) {
    server s{{.listen = {"fd:" + std::to_string(given)}, .shards = 2}};
    add_routes(s);
    BOOST_REQUIRE(s.start().has_value());
    BOOST_TEST((address.empty() || address == s.addresses().front()));
    address = s.addresses().front();
    for (int i = 0; i < 8; ++i) {
      wire_client c{address};
      BOOST_TEST(c.upgrade("/echo").starts_with("HTTP/1.1 101"));
      c.send(opcode::text, "x");
      BOOST_TEST(c.text() == "x");
    }
  }
  wire_client waits{address}; // in the queue, for who comes next
  ::close(given);
}

BOOST_AUTO_TEST_SUITE_END()

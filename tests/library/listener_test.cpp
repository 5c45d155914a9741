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

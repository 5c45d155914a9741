// HTTP/1.1 around the handlers: what is said before an answer, with a refusal, and at the end of a connection.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <ringcast/sleep.hpp>

#include <chrono>
#include <string>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

task<void> say_everything(request& req) {
  co_await sleep_for(1ms); // beyond the turn in which the bytes stood
  req.respond(status::ok, std::string{req.method()} + ' ' + std::string{req.target()} + ' ' + std::string{req.header("X-Last")} + ' ' +
                              std::string{req.body_text()});
}

task<void> echo(request& req) {
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

// An event endpoint and coroutines.
struct with_routes {
  running server{[](auto& s) {
                   s.get("/say", say_everything);
                   s.post("/say", say_everything);
                   s.post("/named/{name}", say_everything);
                   s.get("/coroutine", echo);
                   s.events("/events", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
                 },
                 {.shards = 1, .allowed_origins = {"http://friend.example"}}};
  wire_client c{server.address()};
};

constexpr std::string_view upgrade_headers =
    "Host: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: ";

} // namespace

BOOST_FIXTURE_TEST_SUITE(http, with_routes)

// RFC 9112 2.2. The empty line is no part of the head that the coroutine keeps.
BOOST_AUTO_TEST_CASE(a_request_behind_an_empty_line_reaches_its_coroutine_whole) {
  for (const std::string_view before : {"", "\r\n"}) {
    const std::string get = std::string{before} + "GET /say HTTP/1.1\r\nHost: t\r\nX-Last: value\r\n\r\n";
    BOOST_TEST(c.http(get).ends_with("GET /say value "));
    const std::string post = std::string{before} + "POST /say HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nX-Last: value\r\n\r\nbody";
    BOOST_TEST(c.http(post).ends_with("POST /say value body"));
  }
  BOOST_TEST(c.http("\r\nGET /coroutine HTTP/1.1\r\n" + std::string{upgrade_headers} + "13\r\n\r\n").starts_with("HTTP/1.1 101"));
  c.send(opcode::text, "hello");
  BOOST_TEST(c.text() == "hello");
}

// RFC 9110 10.1.1
BOOST_AUTO_TEST_CASE(who_waits_for_100_is_told_to_go_on) {
  for (const std::string_view length : {"Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"}) {
    BOOST_TEST(c.http("POST /say HTTP/1.1\r\nHost: t\r\nExpect: 100-Continue\r\n" + std::string{length} + "\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    BOOST_TEST(c.http(length.starts_with("C") ? "body" : "4\r\nbody\r\n0\r\n\r\n").ends_with("POST /say  body"));
  }
}

BOOST_AUTO_TEST_CASE(who_does_not_wait_for_100_is_not_told) {
  const auto answer_of = [&](std::string_view request) {
    wire_client one{server.address()};
    const std::string answer = one.http(request);
    return answer.substr(0, answer.find("\r\n"));
  };
  // HTTP/1.0 does not know it.
  wire_client old{server.address()};
  old.send_bytes("POST /say HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  BOOST_TEST(!old.ended(50));
  BOOST_TEST(old.http("body").starts_with("HTTP/1.1 200"));
  // No body to wait with, and one of which a part has come.
  BOOST_TEST(answer_of("POST /say HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n") == "HTTP/1.1 200 OK");
  wire_client eager{server.address()};
  eager.send_bytes("POST /say HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbo");
  BOOST_TEST(!eager.ended(50));
  BOOST_TEST(eager.http("dy").starts_with("HTTP/1.1 200"));
}

BOOST_AUTO_TEST_CASE(who_is_refused_anyway_is_not_told_to_go_on_and_the_body_is_not_read) {
  struct row {
    std::string_view line, headers, status;
  };
  const row rows[] = {
      {"POST /nowhere", "", "HTTP/1.1 404"},
      {"PUT /say", "", "HTTP/1.1 405"},
      {"BREW /say", "", "HTTP/1.1 501"},
      {"POST /named/%zz", "", "HTTP/1.1 400"},
      {"POST /say", "Origin: http://stranger.example\r\n", "HTTP/1.1 403"},
      {"GET /events", "", "HTTP/1.1 400"},
      {"GET /events", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
       "HTTP/1.1 400"},
  };
  for (const row& r : rows)
    for (const std::string_view length : {"Content-Length: 1000000\r\n", "Transfer-Encoding: chunked\r\n"})
      BOOST_TEST_CONTEXT(r.line << ' ' << length) {
        wire_client one{server.address()};
        const std::string answer = one.http(std::string{r.line} + " HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n" + std::string{length} +
                                            std::string{r.headers} + "\r\n");
        BOOST_TEST(answer.starts_with(r.status), answer);
        BOOST_TEST(answer.contains("\r\nConnection: close\r\n"));
        BOOST_TEST(one.ended());
      }
}

// RFC 9110 15.5.22 and 7.8, RFC 6455 4.4
BOOST_AUTO_TEST_CASE(another_version_of_the_protocol_is_answered_426_with_what_is_required) {
  for (const char* path : {"/events", "/coroutine"}) {
    const std::string answer = c.http("GET " + std::string{path} + " HTTP/1.1\r\n" + std::string{upgrade_headers} + "8\r\n\r\n");
    BOOST_TEST(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    BOOST_TEST(answer.contains("\r\nUpgrade: websocket\r\n"));
    BOOST_TEST(answer.contains("\r\nConnection: Upgrade\r\n"));
    BOOST_TEST(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"));
  }
}

// RFC 9112 2.3
BOOST_AUTO_TEST_CASE(a_later_minor_version_is_answered_as_HTTP_1_1) {
  BOOST_TEST(c.http("GET /say HTTP/1.2\r\nHost: t\r\nX-Last: v\r\n\r\n").starts_with("HTTP/1.1 200"));
  BOOST_TEST(c.http("GET /events HTTP/1.9\r\n" + std::string{upgrade_headers} + "13\r\n\r\n").starts_with("HTTP/1.1 101"));
}

BOOST_AUTO_TEST_CASE(who_shuts_its_writing_side_gets_every_answer_and_then_the_end_at_once) {
  const std::string get = "GET /say HTTP/1.1\r\nHost: t\r\n\r\n", missing = "GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n";
  struct row {
    std::string_view name;
    std::string requests;
    int answers;
  };
  const row rows[] = {
      {"one that is answered later", get, 1},
      {"one that is answered at once", missing, 1},
      {"a pipeline of both", get + missing + get + get + missing, 5},
      {"one, and the beginning of another", missing + "GET /say HT", 1},
      {"one that is answered later, and the beginning of another", get + "GET /say HT", 1},
      {"the beginning of one", "GET /say HT", 0},
      {"nothing", "", 0},
  };
  for (const row& r : rows)
    for (const bool at_once : {true, false}) BOOST_TEST_CONTEXT(r.name << (at_once ? ", in the same packet" : ", after the last answer")) {
        wire_client one{server.address()};
        if (at_once) {
          one.send_bytes(r.requests);
          one.shut_down_writing();
        }
        for (int i = 0; i < r.answers; ++i) BOOST_TEST(one.http(at_once || i > 0 ? std::string{} : r.requests).starts_with("HTTP/1.1 "));
        if (!at_once) one.shut_down_writing();
        // An idle connection is kept for ten seconds.
        BOOST_TEST(one.ended(3000));
      }
}

BOOST_AUTO_TEST_SUITE_END()

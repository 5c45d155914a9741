// Whatever a program's own code throws ends its own connection and nothing else; and what it was given, or has given, comes back to it.
#include "engine/shard/shard.hpp"
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <unistd.h>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

// What the engine says on standard error while this lives.
class heard_log {
 public:
  heard_log() : before_(::dup(2)), path_("/tmp/ringcast-log-" + std::to_string(::getpid())) {
    FILE* const file = std::fopen(path_.c_str(), "w");
    ::dup2(::fileno(file), 2);
    std::fclose(file);
  }
  ~heard_log() {
    ::dup2(before_, 2);
    ::close(before_);
    ::unlink(path_.c_str());
  }
  // Waits until a line says it.
  [[nodiscard]] bool says(const std::string& words) const {
    for (int i = 0; i < 500; ++i) {
      std::ifstream file{path_};
      std::stringstream all;
      all << file.rdbuf();
      if (all.str().find(words) != std::string::npos) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

 private:
  int before_;
  std::string path_;
};

using thrower = std::function<void()>;

struct throwing_case {
  std::string name;
  std::function<void(server&, thrower)> routes;
  std::function<std::string(wire_client&)> drive; // what the peer sees in the end
  std::string expected;
  std::string logged; // who threw
  bool registered_here = true;
};

std::string until_close(wire_client& c) {
  std::string last;
  do last = c.text();
  while (!last.starts_with("<"));
  return last;
}

std::function<std::string(wire_client&)> upgraded(std::function<void(wire_client&)> then) {
  return [then = std::move(then)](wire_client& c) {
    const std::string answer = c.upgrade("/throws");
    if (!answer.starts_with("HTTP/1.1 101")) return answer.substr(9, 3);
    then(c);
    return until_close(c);
  };
}

std::string asked(wire_client& c) { return c.http("GET /throws HTTP/1.1\r\nHost: t\r\n\r\n").substr(9, 3); }

std::function<void(server&, thrower)> endpoint(std::function<websocket_endpoint(thrower)> make) {
  return [make = std::move(make)](server& s, const thrower& t) { s.events("/throws", make(t)); };
}

void flood(websocket_ref ws) { ws.send_text(std::string(24'000'000, 'x')); }

// Fills the room with more than the policy keeps for who does not read.
void flood_room(websocket_ref ws) {
  const std::string message(60'000, 'x');
  for (int i = 0; i < 400; ++i) ws.broadcast(opcode::text, std::as_bytes(std::span{message}));
}

const std::vector<throwing_case>& throwing_cases() {
  const auto nothing = [](wire_client&) {};
  const auto says_x = [](wire_client& c) { c.send(opcode::text, "x"); };
  const auto closes = [](wire_client& c) { c.close(1000); };
  static const std::vector<throwing_case> cases{
      {"on_upgrade", endpoint([](thrower t) { return websocket_endpoint{.on_upgrade = [t](upgrade_request_view&) { t(); }}; }), upgraded(nothing),
       "500", "on_upgrade"},
      {"on_open", endpoint([](thrower t) { return websocket_endpoint{.on_open = [t](websocket_ref) { t(); }}; }), upgraded(nothing), "<close 1011>",
       "on_open"},
      {"on_message", endpoint([](thrower t) { return websocket_endpoint{.on_message = [t](websocket_ref, const message_view&) { t(); }}; }),
       upgraded(says_x), "<close 1011>", "on_message"},
      {"on_control",
       endpoint([](thrower t) { return websocket_endpoint{.on_control = [t](websocket_ref, opcode, std::span<const std::byte>) { t(); }}; }),
       upgraded([](wire_client& c) { c.send(opcode::ping, "x"); }), "<close 1011>", "on_control"},
      {"on_drain", endpoint([](thrower t) {
         return websocket_endpoint{.on_message = [](websocket_ref ws, const message_view&) { flood(ws); }, .on_drain = [t](websocket_ref) { t(); }};
       }),
       upgraded([](wire_client& c) {
         c.send(opcode::text, "x");
         std::this_thread::sleep_for(50ms);
       }),
       "<close 1011>", "on_drain"},
      {"on_gap", endpoint([](thrower t) {
         return websocket_endpoint{.on_upgrade = [](upgrade_request_view& u) { u.take_seat("r"); },
                                   .on_message = [](websocket_ref ws, const message_view&) { flood_room(ws); },
                                   .on_gap = [t](websocket_ref, std::uint64_t, std::uint64_t) { t(); }};
       }),
       upgraded([](wire_client& c) {
         for (int i = 0; i < 4; ++i) {
           c.send(opcode::text, "x");
           std::this_thread::sleep_for(50ms);
         }
       }),
       "<close 1011>", "on_gap"},
      {"on_leave", endpoint([](thrower t) {
         return websocket_endpoint{.on_upgrade = [](upgrade_request_view& u) { u.take_seat("r"); }, .on_leave = [t](websocket_ref) { t(); }};
       }),
       upgraded(closes), "<close 1000>", "on_leave"},
      {"on_close", endpoint([](thrower t) { return websocket_endpoint{.on_close = [t](websocket_ref, std::uint16_t, std::string_view) { t(); }}; }),
       upgraded(closes), "<close 1000>", "on_close"},
      {"on_discard", endpoint([](thrower t) {
         return websocket_endpoint{.on_upgrade =
                                       [](upgrade_request_view& u) {
                                         u.set_user(&u);
                                         u.refuse(http_status::forbidden, "no");
                                       },
                                   .on_discard = [t](void*) { t(); }};
       }),
       upgraded(nothing), "403", "on_discard"},
      {"a handler of the event face",
       [](server& s, const thrower& t) { s.routes().add("GET", "/throws", [t](const http_request&, http_responder) { t(); }); }, asked, "500",
       "the handler"},
      {"the callback of a report",
       [](server& s, const thrower& t) {
         s.routes().add("GET", "/throws", [t, &s](const http_request&, http_responder) {
           s.room("room").broadcast_reported(opcode::text, {}, [t](const broadcast_report&) { t(); });
         });
       },
       asked, "500", "the callback of a question"},
      {"the callback of a question",
       [](server& s, const thrower& t) {
         s.routes().add("GET", "/throws", [t, &s](const http_request&, http_responder) { s.rooms({}, 10, [t](const room_page&) { t(); }); });
       },
       asked, "500", "the callback of a question"},
      {"a coroutine before the upgrade",
       [](server& s, const thrower& t) {
         s.get("/throws", [t](request&) -> task<void> {
           t();
           co_return;
         });
       },
       asked, "500", "the handler"},
      {"a coroutine behind the upgrade",
       [](server& s, const thrower& t) {
         s.get("/throws", [t](request& req) -> task<void> {
           websocket ws = co_await req.upgrade();
           (void)co_await ws.receive();
           t();
         });
       },
       upgraded(says_x), "<close 1011>", "the handler"},
      {"a spawned task",
       [](server& s, const thrower& t) {
         s.get("/throws", [t](request& req) -> task<void> {
           spawn([](thrower what) -> task<void> {
             what();
             co_return;
           }(t));
           req.respond(status::ok, "spawned");
           co_return;
         });
       },
       asked, "200", "the task"},
  };
  return cases;
}

} // namespace

BOOST_AUTO_TEST_SUITE(user_code)

BOOST_AUTO_TEST_CASE(whatever_is_thrown_from_anywhere_ends_its_own_connection_and_is_logged_with_its_place) {
  const std::vector<std::pair<std::string, thrower>> throwers{{"42", [] { throw 42; }},
                                                              {"runtime_error", [] { throw std::runtime_error("the reason"); }}};
  for (const throwing_case& each : throwing_cases())
    for (const auto& [what, throws] : throwers) {
      BOOST_TEST_CONTEXT(each.name << " throws " << what) {
        const heard_log log;
        running server{[&](auto& s) {
                         each.routes(s, throws);
                         s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
                       },
                       {.shards = 1, .limits = {.send_queue_bytes_max = 200'000}, .policy = slow_consumer::drop_oldest}};
        wire_client other{server.address()}, c{server.address()};
        BOOST_TEST(other.upgrade("/echo").starts_with("HTTP/1.1 101"));
        BOOST_TEST(each.drive(c) == each.expected);
        BOOST_TEST(log.says(each.logged + " registered at "), "not logged");
        BOOST_TEST(log.says("user_code_test.cpp:"));
        BOOST_TEST(log.says(what == "42" ? "something that is not a std::exception" : "the reason"));
        other.send(opcode::text, "still here");
        BOOST_TEST(other.text() == "still here");
      }
    }
}

// --- what set_user() was given ---

namespace {

struct owner_count {
  std::atomic<int> opened{0}, closed{0}, discarded{0};
  [[nodiscard]] bool all_back(int given) const {
    for (int i = 0; i < 500 && closed + discarded < given; ++i) std::this_thread::sleep_for(10ms);
    return closed + discarded == given;
  }
};

websocket_endpoint counting(owner_count& count, std::function<void(upgrade_request_view&)> decide) {
  return {.on_upgrade =
              [&count, decide = std::move(decide)](upgrade_request_view& u) {
                u.set_user(&count);
                decide(u);
              },
          .on_discard = [](void* user) { ++static_cast<owner_count*>(user)->discarded; },
          .on_open = [](websocket_ref ws) { ++static_cast<owner_count*>(ws.user())->opened; },
          .on_close = [](websocket_ref ws, std::uint16_t, std::string_view) { ++static_cast<owner_count*>(ws.user())->closed; }};
}

} // namespace

BOOST_AUTO_TEST_CASE(what_set_user_was_given_comes_back_once_whatever_becomes_of_the_upgrade) {
  set_log_level(log_level::off);
  owner_count count;
  int given = 0;
  {
    running server{[&](auto& s) {
      s.events("/opens", counting(count, [](upgrade_request_view&) {}));
      s.events("/refuses", counting(count, [](upgrade_request_view& u) { u.refuse(http_status::forbidden, "no"); }));
      s.events("/throws", counting(count, [](upgrade_request_view&) { throw 42; }));
      s.events("/named/{room}",
               counting(count, [](upgrade_request_view& u) { u.take_seat(u.request().parameter("room"), hearing::everyone, "name"); }));
    }};
    wire_client opens{server.address()}, refuses{server.address()}, throws{server.address()};
    BOOST_TEST(opens.upgrade("/opens").starts_with("HTTP/1.1 101"));
    opens.close(1000);
    BOOST_TEST(refuses.upgrade("/refuses").starts_with("HTTP/1.1 403"));
    BOOST_TEST(throws.upgrade("/throws").starts_with("HTTP/1.1 500"));
    given += 3;
    BOOST_TEST(count.all_back(given));
    BOOST_TEST(count.opened == 1);
    BOOST_TEST(count.closed == 1);
    // Of both shards some rooms are at home, so some answers take a turn.
    for (int i = 0; i < 16; ++i) {
      const std::string room = "/named/" + std::to_string(i);
      wire_client first{server.address()}, second{server.address()};
      BOOST_TEST(first.upgrade(room).starts_with("HTTP/1.1 101"));
      BOOST_TEST(second.upgrade(room).starts_with("HTTP/1.1 400"));
      // The name is asked for, and who asked has gone.
      wire_client gone{server.address()};
      gone.reset();
      gone.send_bytes("GET " + room +
                      " HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
      given += 3;
    }
    // The last one may have gone before its request was read.
    for (int i = 0; i < 200 && count.closed + count.discarded < given - 16; ++i) std::this_thread::sleep_for(10ms);
  }
  BOOST_TEST(count.opened == count.closed);
  BOOST_TEST(count.discarded >= 2 + 16);
  BOOST_TEST(count.closed + count.discarded <= given);
  set_log_level(log_level::info);
}

// --- coroutines whose peer goes ---

BOOST_AUTO_TEST_CASE(a_peer_that_goes_in_the_packet_of_its_upgrade_leaves_neither_a_coroutine_nor_a_descriptor) {
  std::atomic<int> begun{0}, ended{0};
  running server{[&](auto& s) {
                   s.get("/waits", [&](request& req) -> task<void> {
                     ++begun;
                     websocket ws = co_await req.upgrade({.ping_interval = 0ms});
                     while (auto message = co_await ws.receive()) co_await ws.send(*message);
                     ++ended;
                   });
                   s.get("/late", [&](request& req) -> task<void> {
                     ++begun;
                     co_await sleep_for(20ms);
                     websocket ws = co_await req.upgrade({.ping_interval = 0ms});
                     while (auto message = co_await ws.receive()) co_await ws.send(*message);
                     ++ended;
                   });
                 },
                 {.max_connections = 8}};
  const auto request_of = [](std::string_view path) {
    return "GET " + std::string{path} +
           " HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
           "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  };
  int expected = 0;
  for (const std::string_view path : {"/waits", "/late"}) {
    for (const std::string_view behind : {"", "close", "message"}) {
      wire_client c{server.address()};
      std::string bytes = request_of(path);
      if (behind == "close") bytes += masked_frame(opcode::close, "\x03\xe8");
      if (behind == "message") bytes += masked_frame(opcode::text, "x");
      c.send_bytes(bytes);
      if (behind != "close") c.shut_down_writing(); // else it waits for the server, as it should
      ++expected;
      for (int i = 0; i < 500 && ended < expected; ++i) std::this_thread::sleep_for(10ms);
      BOOST_TEST(ended == expected, path << " with '" << behind << "' behind it");
      std::string end;
      BOOST_TEST(c.http("").starts_with("HTTP/1.1 101"));
      while (c.receive()) {
      }
      BOOST_TEST(c.ended());
    }
  }
  BOOST_TEST(begun == ended);
}

// --- HTTP ---

BOOST_AUTO_TEST_CASE(an_answer_behind_one_to_head_has_its_body) {
  running server{
      [](auto& s) { s.routes().add("GET", "/", [](const http_request&, http_responder r) { r.respond(http_status::ok, "text/plain", "body"); }); }};
  wire_client c{server.address()};
  c.send_bytes("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n");
  const std::string broken = c.http("bad\r\n\r\n");
  BOOST_TEST(broken.starts_with("HTTP/1.1 200"));
  std::string rest = c.http("");
  if (rest.starts_with("HTTP/1.1 200")) rest = c.http("");
  BOOST_TEST(rest.find("{\"error\":") != std::string::npos, rest);
}

BOOST_AUTO_TEST_CASE(allow_names_head_where_get_is_taken) {
  running server{[](auto& s) {
    s.routes().add("GET", "/", [](const http_request&, http_responder r) { r.respond(http_status::ok, "text/plain", "body"); });
    s.events("/ws", {});
  }};
  wire_client c{server.address()};
  BOOST_TEST(c.http("DELETE / HTTP/1.1\r\nHost: t\r\n\r\n").find("Allow: GET, HEAD\r\n") != std::string::npos);
  BOOST_TEST(c.http("DELETE /ws HTTP/1.1\r\nHost: t\r\n\r\n").find("Allow: GET\r\n") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

// Endpoints with an object of the program's own for each connection: it is made once and destroyed once, whatever becomes of the upgrade.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <ringcast/typed_endpoint.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

struct player {
  explicit player(std::string called) : name(std::move(called)) { ++alive; }
  ~player() { --alive; }
  player(const player&) = delete;
  player& operator=(const player&) = delete;
  static inline std::atomic<int> alive{0};

  std::string name;
  int said = 0;
};

struct counter {
  int messages = 0;
};

bool all_gone() {
  for (int i = 0; i < 500 && player::alive != 0; ++i) std::this_thread::sleep_for(10ms);
  return player::alive == 0;
}

} // namespace

BOOST_AUTO_TEST_SUITE(typed)

BOOST_AUTO_TEST_CASE(each_connection_has_its_object_until_it_is_over) {
  static std::atomic<int> closed;
  closed = 0;
  {
    running server{[](auto& s) {
      s.events("/play", typed_endpoint<player>{
                            .on_upgrade = [](upgrade_request_view& up) { return std::make_unique<player>(up.request().query("name").value_or("?")); },
                            .on_open = [](websocket_ref ws, player& p) { ws.send("hello " + p.name); },
                            .on_message = [](websocket_ref ws, player& p, const message_view&) { ws.send(p.name + " " + std::to_string(++p.said)); },
                            .on_close =
                                [](websocket_ref, player& p, std::uint16_t, std::string_view) {
                                  ++closed;
                                  if (p.name == "eve") throw std::runtime_error("no");
                                },
                            .other = {.subprotocols = {"game"}}});
      s.events("/count", typed_endpoint<counter>{
                             .on_message = [](websocket_ref ws, counter& c, const message_view&) { ws.send(std::to_string(++c.messages)); }});
    }};
    set_log_level(log_level::off); // eve's end throws
    wire_client ann{server.address()}, eve{server.address()}, stays{server.address()}, counts{server.address()};
    BOOST_TEST(ann.upgrade("/play?name=ann", "Sec-WebSocket-Protocol: game\r\n").find("Sec-WebSocket-Protocol: game") != std::string::npos);
    (void)eve.upgrade("/play?name=eve");
    (void)stays.upgrade("/play");
    (void)counts.upgrade("/count");
    BOOST_TEST(ann.text() == "hello ann");
    BOOST_TEST(eve.text() == "hello eve");
    BOOST_TEST(stays.text() == "hello ?");
    BOOST_TEST(player::alive == 3);
    for (int i = 1; i <= 3; ++i) {
      ann.send(opcode::text, "x");
      BOOST_TEST(ann.text() == "ann " + std::to_string(i));
      counts.send(opcode::text, "x");
      BOOST_TEST(counts.text() == std::to_string(i));
    }
    eve.send(opcode::text, "x");
    BOOST_TEST(eve.text() == "eve 1");
    ann.close(1000);
    eve.close(1000);
    for (int i = 0; i < 500 && player::alive != 1; ++i) std::this_thread::sleep_for(10ms);
    BOOST_TEST(player::alive == 1);
  }
  set_log_level(log_level::info);
  BOOST_TEST(all_gone()); // the server has ended
  BOOST_TEST(closed == 3);
}

BOOST_AUTO_TEST_CASE(an_upgrade_that_comes_to_nothing_leaves_no_object) {
  running server{[](auto& s) {
    s.events("/{how}", typed_endpoint<player>{.on_upgrade = [](upgrade_request_view& up) -> std::unique_ptr<player> {
               auto made = std::make_unique<player>("x");
               const std::string_view how = up.request().parameter("how");
               if (how == "refused") up.refuse(http_status::forbidden, "no");
               if (how == "null") return up.refuse(http_status::forbidden, "no"), nullptr;
               if (how == "throws") throw std::runtime_error("no");
               if (how == "taken") up.take_seat("room", hearing::everyone, "name");
               return made;
             }});
  }};
  set_log_level(log_level::off);
  wire_client first{server.address()};
  BOOST_TEST(first.upgrade("/taken").starts_with("HTTP/1.1 101"));
  for (const auto& [how, status] :
       std::vector<std::pair<std::string, std::string>>{{"refused", "403"}, {"null", "403"}, {"throws", "500"}, {"taken", "400"}}) {
    wire_client c{server.address()};
    BOOST_TEST(c.upgrade("/" + how).starts_with("HTTP/1.1 " + status), how);
  }
  for (int i = 0; i < 500 && player::alive != 1; ++i) std::this_thread::sleep_for(10ms);
  BOOST_TEST(player::alive == 1);
  first.close(1000);
  BOOST_TEST(all_gone());
  set_log_level(log_level::info);
}

BOOST_AUTO_TEST_SUITE_END()

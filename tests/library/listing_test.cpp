// What a server tells of its rooms: in a coroutine, on another thread, and in a callback.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <vector>

using namespace ringcast;

namespace {

// As many rooms as were asked for, each with a member whose name is that of the room in capitals.
struct rooms_of_one {
  std::vector<std::unique_ptr<wire_client>> members;

  explicit rooms_of_one(const running& server, int count = 5) {
    for (char name = 'a'; name < 'a' + count; ++name) {
      members.push_back(std::make_unique<wire_client>(server.address()));
      (void)members.back()->upgrade(fmt::format("/room/{}?name={}", name, static_cast<char>(name - 'a' + 'A')));
      BOOST_REQUIRE(members.back()->text() == "here");
    }
  }
};

task<void> sit(request& req) {
  websocket ws = co_await req.upgrade();
  seat here = co_await req.server().room(req.path("room")).join(req.query("name"), ws);
  co_await ws.send_text("here");
  while (co_await ws.receive()) {
  }
}

std::string names_of(const room_page& page) {
  std::string names;
  for (const room_summary& each : page.rooms) names += fmt::format("{}{}", each.name, each.members);
  return names;
}

task<void> tell_all(request& req) {
  const room_page page = co_await req.server().rooms();
  const room_info one = co_await req.server().room("b").info();
  req.respond(status::ok, fmt::format("{} {} {}", names_of(page).size(), one.members, one.names.at(0)));
}

std::string sorted(std::string text) {
  std::ranges::sort(text);
  return text;
}

} // namespace

BOOST_AUTO_TEST_SUITE(listing)

BOOST_AUTO_TEST_CASE(a_coroutine_is_told_the_rooms_and_the_members_of_one) {
  running server{[](auto& s) {
    s.get("/room/{room}", sit);
    s.get("/tell", tell_all);
  }};
  const rooms_of_one all{server};
  wire_client asks{server.address()};
  BOOST_TEST(asks.http("GET /tell HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("10 1 B"));
}

BOOST_AUTO_TEST_CASE(another_thread_is_told_the_rooms_page_by_page_each_once) {
  running server{[](auto& s) { s.get("/room/{room}", sit); }};
  const rooms_of_one all{server};
  std::string names, after;
  for (int page_number = 0; page_number < 3; ++page_number) {
    const room_page page = server.s.rooms_future(after, 2).get();
    names += names_of(page);
    BOOST_TEST(page.next.has_value() == (page_number < 2));
    after = page.next.value_or("");
  }
  BOOST_TEST(sorted(names) == "11111abcde");
  BOOST_TEST(server.s.room("nobody's").info_future().get().members == 0u);
}

BOOST_AUTO_TEST_CASE(a_callback_is_told_the_members_and_what_became_of_a_broadcast) {
  running server{[](auto& s) {
    s.get("/room/{room}", sit);
    s.routes().add("GET", "/tell", [&s](const http_request&, http_responder responder) {
      s.room("c").info([&s, responder](const room_info& info) {
        s.room("c").broadcast_reported(opcode::text, {}, [responder, info](const broadcast_report& report) mutable {
          responder.respond(http_status::ok, "text/plain", fmt::format("{} {} {}", info.members, info.names.at(0), report.queued));
        });
      });
    });
  }};
  const rooms_of_one all{server};
  wire_client asks{server.address()};
  BOOST_TEST(asks.http("GET /tell HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("1 C 1"));
}

BOOST_AUTO_TEST_SUITE_END()

// What a program is told of those who came: server_options::on_access.
#include "engine/shard/access_book.hpp"
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

struct kept_entries {
  std::mutex lock;
  std::vector<access_entry> all;

  access_taker taker() {
    return [this](const access_entry& entry) {
      const std::scoped_lock locked{lock};
      all.push_back(entry);
    };
  }
  // Once there are so many: what ends a connection may be told turns later.
  std::vector<access_entry> when(std::size_t count) {
    for (int i = 0; i < 500; ++i) {
      {
        const std::scoped_lock locked{lock};
        if (all.size() >= count) return all;
      }
      std::this_thread::sleep_for(10ms);
    }
    const std::scoped_lock locked{lock};
    return all;
  }
};

void add_routes(server& s) {
  s.events("/echo", {.on_message = [](websocket_ref ws, const message_view& message) { ws.send(message); }});
  s.get("/page", [](request& req) { req.respond(status::ok, "page"); });
}

} // namespace

BOOST_AUTO_TEST_SUITE(visits)

BOOST_AUTO_TEST_CASE(each_visit_is_told_with_its_target_and_its_end) {
  kept_entries kept;
  running server{add_routes, {.on_access = kept.taker()}};
  {
    wire_client asks{server.address()};
    (void)asks.http("GET /page?a=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)asks.http("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    BOOST_REQUIRE(kept.when(2).size() == 2u);
    wire_client client{server.address()};
    (void)client.upgrade("/echo?token=abc");
    client.send(opcode::text, "hello");
    BOOST_REQUIRE(client.text() == "hello");
    BOOST_REQUIRE(kept.when(3).size() == 3u);
    client.close(4321);
    BOOST_REQUIRE(client.text() == "<close 4321>");
  }
  const auto told = kept.when(4);
  BOOST_REQUIRE(told.size() == 4u); // one that ends between two requests is told of by these
  const auto is = [&](std::size_t at, access_event what, const std::string& target, int code) {
    BOOST_TEST(name_of(told[at].what) == name_of(what));
    BOOST_TEST(told[at].target == target);
    BOOST_TEST(told[at].code == code);
    BOOST_TEST(told[at].address.starts_with("127.0.0.1:"));
    BOOST_TEST(told[at].bytes_in.value() > 0u);
  };
  is(0, access_event::answered, "/page?a=1", 200);
  is(1, access_event::answered, "/nothing", 404);
  is(2, access_event::opened, "/echo?token=***", 101);
  is(3, access_event::closed, "/echo?token=***", 4321);
  BOOST_TEST((told[0].id == told[1].id));
  BOOST_TEST((told[2].id == told[3].id));
  BOOST_TEST(told[2].address == told[3].address);
  BOOST_TEST(told[3].bytes_in.value() > told[2].bytes_in.value());
  BOOST_TEST(told[3].bytes_out.value() > 0u);
}

BOOST_AUTO_TEST_CASE(who_breaks_off_and_who_says_nonsense_are_told_too) {
  kept_entries kept;
  running server{add_routes, {.on_access = kept.taker()}};
  {
    wire_client client{server.address()};
    (void)client.upgrade("/echo");
    client.reset();
  }
  const auto told = kept.when(2);
  BOOST_REQUIRE(told.size() == 2u);
  BOOST_TEST(told[1].code == 1006);
  BOOST_TEST(told[1].target == "/echo");
  wire_client nonsense{server.address()};
  (void)nonsense.http("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  (void)nonsense.http("NONSENSE\r\n\r\n");
  const auto more = kept.when(4);
  BOOST_REQUIRE(more.size() == 4u);
  BOOST_TEST(more[2].target == "/page");
  BOOST_TEST(more[3].code == 400);
  BOOST_TEST(more[3].target.empty());
}

BOOST_AUTO_TEST_CASE(a_taker_that_throws_harms_nobody) {
  running server{add_routes, {.on_access = [](const access_entry&) { throw std::runtime_error("no"); }}};
  wire_client client{server.address()};
  (void)client.upgrade("/echo");
  client.send(opcode::text, "hello");
  BOOST_TEST(client.text() == "hello");
}

BOOST_AUTO_TEST_CASE(what_is_told_of_a_target_has_no_token) {
  using engine::told_target;
  BOOST_TEST(told_target("/a/b") == "/a/b");
  BOOST_TEST(told_target("/a?token=secret") == "/a?token=***");
  BOOST_TEST(told_target("/a?x=1&token=secret&y=2") == "/a?x=1&token=***&y=2");
  BOOST_TEST(told_target("/a?TOKEN=secret") == "/a?TOKEN=***");
  BOOST_TEST(told_target("/a?%74oke%6E=secret") == "/a?%74oke%6E=***");
  BOOST_TEST(told_target("/a?token=se=cret&&token=again") == "/a?token=***&&token=***");
  BOOST_TEST(told_target("/a?token&tokens=1&atoken=2") == "/a?token&tokens=1&atoken=2");
  BOOST_TEST(told_target("/a?") == "/a?");
  BOOST_TEST(told_target("/a b\n\xff\"") == "/a%20b%0A%FF\"");
  BOOST_TEST(told_target("/" + std::string(5000, 'x') + "?token=secret").size() == 1024u);
  const std::string late = told_target("/" + std::string(1019, 'x') + "?token=secret");
  BOOST_TEST(late.find("secret") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

// Users of a room, as a program asks for them.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;

namespace {

websocket_endpoint lobby() {
  return {.on_upgrade = [](upgrade_request_view& upgrade) {
    const std::string user = upgrade.request().query("user").value_or("");
    upgrade.take_seat("lobby", {.user = user, .watches_users = upgrade.request().query("watch").has_value()});
  }};
}

server_options with_presence(std::uint32_t members_max, std::uint32_t delay_ms) {
  server_options options;
  options.presence = {.members_max = members_max, .delay_ms = delay_ms};
  return options;
}

} // namespace

BOOST_AUTO_TEST_SUITE(presence)

BOOST_AUTO_TEST_CASE(a_user_is_there_once_however_many_connections_it_has) {
  running server{[](auto& s) { s.routes().add("/lobby", lobby()); }, with_presence(1000, 0)};
  wire_client watcher{server.address()};
  (void)watcher.upgrade("/lobby?watch");
  auto first = std::make_unique<wire_client>(server.address());
  (void)first->upgrade("/lobby?user=ada");
  BOOST_TEST(watcher.text() == R"({"joined":"ada"})");
  auto second = std::make_unique<wire_client>(server.address());
  (void)second->upgrade("/lobby?user=ada");
  wire_client other{server.address()};
  (void)other.upgrade("/lobby?user=%22b%22"); // a name that JSON has to escape
  BOOST_TEST(watcher.text() == R"({"joined":"\"b\""})");
  room_info info = server.s.room("lobby").info_future().get();
  std::ranges::sort(info.users, {}, &room_user::id);
  BOOST_TEST(info.members == 4u);
  BOOST_TEST(info.user_count == 2u);
  BOOST_REQUIRE(info.users.size() == 2u);
  BOOST_TEST(info.users[1].id == "ada");
  BOOST_TEST(info.users[1].connections == 2u);
  first.reset();
  BOOST_TEST(watcher.text(300) == "<end>"); // one is left
  second.reset();
  BOOST_TEST(watcher.text() == R"({"left":"ada"})");
}

BOOST_AUTO_TEST_CASE(who_is_back_in_time_has_not_left) {
  running server{[](auto& s) { s.routes().add("/lobby", lobby()); }, with_presence(1000, 1000)};
  wire_client watcher{server.address()};
  (void)watcher.upgrade("/lobby?watch");
  auto ada = std::make_unique<wire_client>(server.address());
  (void)ada->upgrade("/lobby?user=ada");
  BOOST_TEST(watcher.text() == R"({"joined":"ada"})");
  ada = std::make_unique<wire_client>(server.address());
  (void)ada->upgrade("/lobby?user=ada");
  BOOST_TEST(watcher.text(2500) == "<end>");
  BOOST_TEST(server.s.room("lobby").info_future().get().users.size() == 1u);
}

BOOST_AUTO_TEST_CASE(what_is_no_user_is_refused) {
  running server{[](auto& s) { s.routes().add("/lobby", lobby()); }};
  for (const std::string& user : {std::string(65, 'x'), std::string{"%00"}, std::string{"a%0ab"}, std::string{"%ff"}}) {
    wire_client refused{server.address()};
    BOOST_TEST(refused.upgrade("/lobby?user=" + user).starts_with("HTTP/1.1 400"));
  }
  wire_client longest{server.address()};
  BOOST_TEST(longest.upgrade("/lobby?user=" + std::string(64, 'x')).starts_with("HTTP/1.1 101"));
}

BOOST_AUTO_TEST_SUITE_END()

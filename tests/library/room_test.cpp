// Rooms from handlers and from other threads, over two shards.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

task<void> chat(request& req) {
  const std::string name = req.query("name");
  websocket ws = co_await req.upgrade();
  room lobby = req.server().room(req.path("room"));
  {
    seat here = co_await lobby.join(name, ws);
    lobby.broadcast(name + " joined");
    while (auto message = co_await ws.receive()) lobby.broadcast(name + ": " + std::string{message->text()});
  }
  lobby.broadcast(name + " left");
}

// Members on both shards, whichever the kernel gives each.
std::vector<std::unique_ptr<wire_client>> members(const running& server, int count) {
  std::vector<std::unique_ptr<wire_client>> all;
  for (int i = 0; i < count; ++i) {
    all.push_back(std::make_unique<wire_client>(server.address()));
    (void)all.back()->upgrade("/chat/lobby?name=n" + std::to_string(i));
    for (const auto& each : all) BOOST_REQUIRE(each->text() == "n" + std::to_string(i) + " joined");
  }
  return all;
}

} // namespace

BOOST_AUTO_TEST_SUITE(rooms)

BOOST_AUTO_TEST_CASE(a_chat_in_which_everybody_hears_everything) {
  running server{[](auto& s) { s.get("/chat/{room}", chat); }};
  auto all = members(server, 6);
  all[2]->send(opcode::text, "hello");
  for (const auto& each : all) BOOST_TEST(each->text() == "n2: hello");
  all[5]->close(1000);
  for (int i = 0; i < 5; ++i) BOOST_TEST(all[static_cast<std::size_t>(i)]->text() == "n5 left");
}

BOOST_AUTO_TEST_CASE(other_threads_publish_send_count_and_remove) {
  running server{[](auto& s) { s.get("/chat/{room}", chat); }};
  auto all = members(server, 6);
  room lobby = server.s.room("lobby");
  BOOST_TEST(lobby.count_future().get() == 6u);
  BOOST_TEST((lobby.broadcast("to all") == send_status::queued));
  for (const auto& each : all) BOOST_TEST(each->text() == "to all");
  BOOST_TEST((lobby.send_to("n3", "to one") == send_status::queued));
  BOOST_TEST(all[3]->text() == "to one");
  lobby.send_to("nobody", "lost"); // a counted no-op
  const auto report = lobby.broadcast_future(opcode::text, std::as_bytes(std::span{std::string_view{"reported"}})).get();
  BOOST_TEST(report.members == 6u);
  BOOST_TEST(report.queued == 6u);
  for (const auto& each : all) BOOST_TEST(each->text() == "reported");
  lobby.leave("n1");
  for (int i = 0; i < 100 && lobby.count_future().get() != 5; ++i) std::this_thread::sleep_for(5ms);
  lobby.broadcast("without n1");
  for (std::size_t i = 0; i < all.size(); ++i)
    if (i != 1) BOOST_TEST(all[i]->text() == "without n1");
  BOOST_TEST(all[1]->text(200) == "<end>");
  lobby.send_to("n1", "gone");
  BOOST_TEST(all[1]->text(200) == "<end>");
}

BOOST_AUTO_TEST_CASE(messages_of_many_threads_arrive_in_one_order) {
  running server{[](auto& s) { s.get("/chat/{room}", chat); }};
  auto all = members(server, 4);
  constexpr int threads = 3, each_sends = 300;
  std::vector<std::thread> publishers;
  for (int t = 0; t < threads; ++t)
    publishers.emplace_back([&server, t] {
      room lobby = server.s.room("lobby");
      for (int i = 0; i < each_sends; ++i)
        while (lobby.broadcast(std::to_string(t) + " " + std::to_string(i)) == send_status::dropped) std::this_thread::yield();
    });
  for (auto& p : publishers) p.join();
  std::vector<std::string> first;
  for (int i = 0; i < threads * each_sends; ++i) first.push_back(all[0]->text());
  for (std::size_t m = 1; m < all.size(); ++m)
    for (const std::string& text : first) BOOST_REQUIRE(all[m]->text() == text);
  int next[threads] = {};
  for (const std::string& text : first) BOOST_REQUIRE(std::stoi(text.substr(2)) == next[text[0] - '0']++);
}

BOOST_AUTO_TEST_CASE(a_large_message_and_reports_from_a_coroutine) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      room lobby = req.server().room("large");
      seat here = co_await lobby.join("a", ws, hearing::others);
      while (auto message = co_await ws.receive()) {
        const auto report = co_await lobby.broadcast_reported(message->op, message->payload);
        const auto count = co_await lobby.count();
        here.broadcast_text("not heard by its author");
        co_await ws.send_text(std::to_string(report.queued) + " of " + std::to_string(count));
      }
    });
  }};
  wire_client c{server.address()};
  (void)c.upgrade("/");
  const std::string large(900'000, 'z');
  c.send(opcode::text, large);
  BOOST_TEST((c.text() == large));
  BOOST_TEST(c.text() == "1 of 1");
}

BOOST_AUTO_TEST_SUITE_END()

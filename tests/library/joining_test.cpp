// Connections of the event face that take seats and give them up while they live.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

std::string_view name_of(send_status status) {
  switch (status) {
  case send_status::queued: return "queued";
  case send_status::closed: return "closed";
  case send_status::full: return "full";
  case send_status::invalid_name: return "invalid";
  default: return "?";
  }
}

// "join ROOM [NAME]" is answered "+ROOM" or "-ROOM why", "old ROOM" as well, with its last two messages in between; "leave ROOM"; "say ROOM TEXT";
// "rooms".
void commands(server& s) {
  s.events("/", {.on_message = [](websocket_ref ws, const message_view& m) {
             const std::string text{m.text()};
             const std::size_t space = text.find(' '), second = text.find(' ', space + 1);
             const std::string what = text.substr(0, space), room = space == std::string::npos ? "" : text.substr(space + 1, second - space - 1);
             const std::string rest = second == std::string::npos ? "" : text.substr(second + 1);
             const auto answer = [](websocket_ref joined, const join_result& result) {
               if (result.room == "throws") throw std::runtime_error("no");
               std::string told = (result.granted ? "+" : "-") + std::string{result.room};
               if (!result.granted) told += ' ' + std::string{result.why_not};
               if (result.joined.at.epoch != 0) told += '@' + std::to_string(result.joined.at.sequence);
               joined.send(told);
             };
             if (what == "join") {
               const send_status status = ws.join(room, {.name = rest}, answer);
               if (status != send_status::queued) ws.send(std::string{name_of(status)});
             } else if (what == "flee") { // gone when the home answers
               (void)ws.join(room, {.name = rest}, answer);
               ws.close(4000, "");
             } else if (what == "old") {
               (void)ws.join(room, {.replay = replay_options{.last = 2}}, answer);
             } else if (what == "user") {
               (void)ws.join(room, {.user = rest, .watches_users = true}, answer);
             } else if (what == "leave") {
               ws.leave(room);
               ws.send("left");
             } else if (what == "say") {
               const std::span<const std::byte> payload = std::as_bytes(std::span{rest});
               if (const send_status status = ws.broadcast(room, opcode::text, payload); status != send_status::queued)
                 ws.send(std::string{name_of(status)});
             } else {
               std::string all;
               for (const std::string_view each : ws.rooms()) all.append(each).append(1, ' ');
               ws.send(all);
             }
           }});
}

struct member : wire_client {
  explicit member(const running& server) : wire_client(server.address()) { (void)upgrade("/"); }
  std::string ask(std::string_view command) {
    send(opcode::text, command);
    return text();
  }
};

} // namespace

BOOST_AUTO_TEST_SUITE(joining)

BOOST_AUTO_TEST_CASE(a_connection_joins_and_leaves_any_number_of_rooms_whenever_it_likes) {
  running server{commands, {.shards = 2}};
  std::vector<std::unique_ptr<member>> all;
  for (int i = 0; i < 6; ++i) all.push_back(std::make_unique<member>(server));
  for (int round = 0; round < 3; ++round) {
    for (auto& each : all)
      for (int room = 0; room < 20; ++room) BOOST_TEST(each->ask("join " + std::to_string(room)) == "+" + std::to_string(room));
    for (int room = 0; room < 20; ++room) {
      const std::string said = "round " + std::to_string(round) + " room " + std::to_string(room);
      all[static_cast<std::size_t>(room) % all.size()]->send(opcode::text, "say " + std::to_string(room) + " " + said);
      for (auto& each : all) BOOST_TEST(each->text() == said);
      BOOST_TEST(server.s.room(std::to_string(room)).count_future().get() == all.size());
    }
    BOOST_TEST(all[0]->ask("rooms") == "19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0 ");
    for (int room = 0; room < 20; ++room) BOOST_TEST(all[0]->ask("leave " + std::to_string(room)) == "left");
    BOOST_TEST(all[0]->ask("rooms") == "");
    BOOST_TEST(all[0]->ask("say 3 nobody hears this") == "closed");
    for (int room = 0; room < 20; ++room) {
      all[1]->send(opcode::text, "say " + std::to_string(room) + " without it");
      for (std::size_t i = 1; i < all.size(); ++i) BOOST_TEST(all[i]->text() == "without it");
    }
    for (std::size_t i = 1; i < all.size(); ++i)
      for (int room = 0; room < 20; ++room) BOOST_TEST(all[i]->ask("leave " + std::to_string(room)) == "left");
  }
}

BOOST_AUTO_TEST_CASE(a_join_is_answered_in_words_and_a_name_belongs_to_one) {
  running server{commands, {.shards = 2}};
  member ann{server}, bob{server};
  BOOST_TEST(ann.ask("join chat ann") == "+chat");
  BOOST_TEST(bob.ask("join chat ann") == "-chat this name is taken in this room");
  BOOST_TEST(ann.ask("join chat other") == "-chat it sits in this room already");
  BOOST_TEST(bob.ask("join chat other") == "+chat"); // it was not kept for ann
  BOOST_TEST(ann.ask("leave chat") == "left");
  BOOST_TEST(ann.ask("join chat") == "+chat");
  member eve{server};
  BOOST_TEST(eve.ask("join chat ann") == "+chat"); // it is free again
  BOOST_TEST(ann.ask("join " + std::string(129, 'x')) == "invalid");
  BOOST_TEST(ann.ask("join chat2 " + std::string(65, 'x')) == "invalid");
  BOOST_TEST(ann.ask("join a\tb") == "invalid");
  BOOST_TEST(ann.ask("join ") == "invalid");
}

BOOST_AUTO_TEST_CASE(what_was_said_before_stands_behind_the_answer_and_in_front_of_what_is_said) {
  server_options options;
  options.shards = 2;
  options.history.messages = 10;
  running server{commands, options};
  for (int room = 0; room < 6; ++room) {
    const std::string name = "kept" + std::to_string(room);
    for (const std::string text : {"one", "two", "three"})
      (void)server.s.room(name).broadcast_future(opcode::text, std::as_bytes(std::span{text})).get();
    member late{server};
    BOOST_TEST(late.ask("old " + name) == "+" + name + "@3");
    (void)server.s.room(name).broadcast_text("four");
    for (const char* expected : {"two", "three", "four"}) BOOST_TEST(late.text() == expected);
  }
}

BOOST_AUTO_TEST_CASE(whoever_joins_as_a_user_is_told_of_users_behind_its_answer) {
  running server{commands, {.shards = 2, .presence = {.delay_ms = 0}}};
  member ann{server}, bob{server};
  BOOST_TEST(ann.ask("user chat ann") == "+chat");
  BOOST_TEST(ann.text() == R"({"joined":"ann"})");
  BOOST_TEST(bob.ask("user chat bob") == "+chat");
  BOOST_TEST(bob.text() == R"({"joined":"bob"})");
  BOOST_TEST(ann.text() == R"({"joined":"bob"})");
  BOOST_TEST(bob.ask("leave chat") == "left");
  BOOST_TEST(ann.text() == R"({"left":"bob"})");
}

BOOST_AUTO_TEST_CASE(rooms_of_one_connection_have_a_bound_and_peers_that_vanish_while_they_join_leave_nothing) {
  running server{commands, {.shards = 2}};
  {
    // Asked for all at once, before any is answered.
    member greedy{server};
    constexpr std::size_t wanted = websocket_ref::rooms_per_connection_max + 176;
    std::string all;
    for (std::size_t i = 0; i < wanted; ++i) all += masked_frame(opcode::text, "join g" + std::to_string(i));
    greedy.send_bytes(all);
    std::size_t granted = 0;
    for (std::size_t i = 0; i < wanted; ++i) granted += greedy.text().starts_with('+') ? 1 : 0;
    BOOST_TEST(granted == websocket_ref::rooms_per_connection_max);
  }
  {
    member many{server};
    for (std::size_t i = 0; i < websocket_ref::rooms_per_connection_max; ++i) many.send(opcode::text, "join r" + std::to_string(i));
    for (std::size_t i = 0; i < websocket_ref::rooms_per_connection_max; ++i) BOOST_TEST(many.text().starts_with("+r"));
    BOOST_TEST(many.ask("join onemore") == "full");
    BOOST_TEST(many.ask("leave r7") == "left");
    BOOST_TEST(many.ask("join onemore") == "+onemore");
  }
  for (int i = 0; i < 200; ++i) {
    member gone{server};
    gone.send(opcode::text, "join vanishing ann");
    gone.reset();
  }
  for (int room = 0; room < 8; ++room) { // some of them at home on the other shard
    const std::string command = std::to_string(room) + " ann";
    member holds{server}, flees{server}, stays{server};
    BOOST_TEST(holds.ask("join " + std::to_string(room)).starts_with('+')); // the room lives on
    flees.send(opcode::text, "flee " + command);
    BOOST_TEST(flees.text() == "<close 4000>");
    std::string answer;
    for (int i = 0; i < 200 && !answer.starts_with('+'); ++i) answer = stays.ask("join " + command);
    BOOST_TEST(answer == "+" + std::to_string(room));
  }
  // The last of them may still hold the name for a moment.
  member ann{server};
  std::string answer;
  for (int i = 0; i < 200 && answer != "+vanishing"; ++i) {
    answer = ann.ask("join vanishing ann");
    if (answer != "+vanishing") std::this_thread::sleep_for(10ms);
  }
  BOOST_TEST(answer == "+vanishing");
  for (int i = 0; i < 200 && server.s.rooms_future().get().rooms.size() > 1; ++i) std::this_thread::sleep_for(10ms);
  BOOST_TEST(server.s.rooms_future().get().rooms.size() == 1u);
  BOOST_TEST(server.s.room("vanishing").count_future().get() == 1u);
}

BOOST_AUTO_TEST_CASE(an_answer_that_throws_closes_its_connection_alone) {
  running server{commands, {.shards = 1}};
  set_log_level(log_level::off);
  member bad{server}, good{server};
  bad.send(opcode::text, "join throws");
  BOOST_TEST(bad.text() == "<close 1011>");
  BOOST_TEST(good.ask("join fine") == "+fine");
  set_log_level(log_level::info);
}

BOOST_AUTO_TEST_SUITE_END()

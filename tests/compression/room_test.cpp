// Rooms whose members negotiated different things: one order, one deflate for each broadcast, and numbers that count everybody.
#include "tests/compression/deflating_client.hpp"
#include "tests/library/running.hpp"

#include <future>
#include <memory>
#include <thread>

using namespace ringcast;

namespace {

constexpr std::string_view both_windows = "permessage-deflate; client_max_window_bits";

void rooms(server& s) {
  s.events("/broadcast/{room}", {.on_upgrade =
                                     [](upgrade_request_view& upgrade) {
                                       upgrade.take_seat(upgrade.request().parameter("room"),
                                                         upgrade.request().query("self") == "0" ? hearing::others : hearing::everyone);
                                     },
                                 .on_message = [](websocket_ref ws, const message_view& m) { ws.broadcast(m.op, m.payload); }});
  s.events("/chat/{room}", {.on_upgrade =
                                [](upgrade_request_view& upgrade) {
                                  upgrade.take_seat(upgrade.request().parameter("room"), hearing::everyone,
                                                    upgrade.request().query("name").value_or(""));
                                },
                            .on_message = [](websocket_ref ws, const message_view& m) { ws.broadcast(m.op, m.payload); }});
  // Echoes what begins with "echo"; joins and leaves a room when told to; publishes the rest.
  s.get("/member", [](request& req) -> task<void> {
    websocket ws = co_await req.upgrade();
    room all = req.server().room("all");
    seat here;
    while (auto message = co_await ws.receive()) {
      if (message->text() == "join")
        here = co_await all.join(req.query("name"), ws);
      else if (message->text() == "leave")
        here.leave();
      else if (!message->text().starts_with("echo"))
        all.broadcast(message->op, message->payload);
      co_await ws.send(*message);
    }
  });
}

std::vector<std::unique_ptr<deflating_client>> members_of(const running& server, std::string_view target,
                                                          std::initializer_list<std::string_view> offers) {
  std::vector<std::unique_ptr<deflating_client>> members;
  for (const std::string_view offer : offers) members.push_back(std::make_unique<deflating_client>(server.address(), target, offer));
  return members;
}

// The home must have heard of everybody.
void wait_for_members(running& server, std::string_view name, std::uint32_t members) {
  for (int i = 0; i < 500 && server.s.room(name).count_future().get() != members; ++i) std::this_thread::sleep_for(std::chrono::milliseconds{2});
  BOOST_REQUIRE_EQUAL(server.s.room(name).count_future().get(), members);
}

} // namespace

BOOST_AUTO_TEST_SUITE(rooms_of_both_encodings)

BOOST_AUTO_TEST_CASE(everybody_hears_the_same_in_the_same_order) {
  for (const auto mode : {compression_mode::shared, compression_mode::dedicated})
    for (const std::uint32_t shards : {1u, 2u, 3u}) {
      running server{rooms, {.shards = shards, .compression = {.mode = mode}}};
      auto members = members_of(server, "/broadcast/all",
                                {"", both_windows, "permessage-deflate; server_max_window_bits=10", both_windows, "", both_windows,
                                 "permessage-deflate; server_no_context_takeover", ""});
      wait_for_members(server, "all", 8);
      for (unsigned i = 0; i < 60; ++i) members[i % 8]->send_plain(opcode::text, json_text(1 + i * 40, i));
      std::vector<std::string> first;
      for (unsigned i = 0; i < 60; ++i) first.push_back(members[0]->text());
      for (std::size_t m = 1; m < members.size(); ++m)
        for (unsigned i = 0; i < 60; ++i) BOOST_TEST(members[m]->text() == first[i], "member " << m << " message " << i);
    }
}

BOOST_AUTO_TEST_CASE(large_ones_are_compressed_for_those_who_can_and_small_ones_for_nobody) {
  running server{rooms};
  auto members = members_of(server, "/broadcast/all", {"", both_windows, "permessage-deflate; server_max_window_bits=9"});
  wait_for_members(server, "all", 3);
  for (const std::size_t size : {0u, 1u, 255u, 256u, 1000u, 100'000u, 1u << 20}) {
    const std::string message = json_text(size);
    BOOST_TEST((server.s.room("all").broadcast_text(message) == send_status::queued));
    for (std::size_t m = 0; m < 3; ++m) {
      const auto got = members[m]->receive();
      BOOST_TEST((got.text == message), size << " bytes at member " << m);
      BOOST_TEST(got.compressed == (m == 1 && size >= 256), size << " bytes at member " << m);
    }
  }
  const std::string noise = noise_bytes(5000);
  server.s.room("all").broadcast_binary(std::as_bytes(std::span{noise}));
  for (auto& member : members) {
    const auto got = member->receive();
    BOOST_TEST((got.text == noise && !got.compressed));
  }
}

BOOST_AUTO_TEST_CASE(a_window_that_the_server_itself_limits_is_one_for_all) {
  running server{rooms, {.compression = {.window_bits = 11}}};
  auto members = members_of(server, "/broadcast/all",
                            {both_windows, "permessage-deflate; server_max_window_bits=11", "permessage-deflate; server_max_window_bits=10"});
  wait_for_members(server, "all", 3);
  const std::string once = noise_bytes(3000);
  const std::string message = once + once + std::string(1000, ' ') + once;
  server.s.room("all").broadcast_binary(std::as_bytes(std::span{message}));
  for (std::size_t m = 0; m < 3; ++m) {
    const auto got = members[m]->receive();
    BOOST_TEST((got.text == message));
    BOOST_TEST(got.compressed == (m < 2));
  }
}

BOOST_AUTO_TEST_CASE(an_author_that_does_not_hear_itself_is_left_out_in_either_lane) {
  for (const std::uint32_t shards : {1u, 2u}) {
    running server{rooms, {.shards = shards}};
    auto quiet = members_of(server, "/broadcast/all?self=0", {"", both_windows, "", both_windows});
    auto loud = members_of(server, "/broadcast/all", {"", both_windows});
    wait_for_members(server, "all", 6);
    for (unsigned round = 0; round < 10; ++round)
      for (std::size_t author = 0; author < quiet.size(); ++author) {
        const std::string message = json_text(500, round * 10 + static_cast<unsigned>(author));
        quiet[author]->send(opcode::text, message);
        for (std::size_t m = 0; m < quiet.size(); ++m)
          if (m != author) BOOST_REQUIRE_EQUAL(quiet[m]->text(), message);
        for (auto& member : loud) BOOST_REQUIRE_EQUAL(member->text(), message);
      }
    server.s.room("all").broadcast_text("last");
    for (auto& member : quiet) BOOST_TEST(member->text() == "last");
  }
}

BOOST_AUTO_TEST_CASE(counts_and_reports_are_of_both_lanes_together) {
  running server{rooms};
  auto members = members_of(server, "/broadcast/all", {"", both_windows, both_windows, "", both_windows});
  wait_for_members(server, "all", 5);
  const std::string message = json_text(1000);
  const auto report = [&] { return server.s.room("all").broadcast_future(opcode::text, std::as_bytes(std::span{message})).get(); };
  auto told = report();
  BOOST_TEST(told.members == 5u);
  BOOST_TEST(told.queued == 5u);
  // One lane after the other runs empty.
  members.erase(members.begin());
  members.erase(members.begin() + 2);
  wait_for_members(server, "all", 3);
  BOOST_TEST(report().members == 3u);
  for (auto& member : members) {
    BOOST_TEST(member->text() == message);
    BOOST_TEST(member->text() == message);
  }
  members.clear();
  wait_for_members(server, "all", 0);
  BOOST_TEST(report().members == 0u);
  members = members_of(server, "/broadcast/all", {""});
  wait_for_members(server, "all", 1);
  BOOST_TEST(report().members == 1u);
}

BOOST_AUTO_TEST_CASE(a_name_belongs_to_one_member_of_the_room_in_whichever_lane) {
  running server{rooms};
  deflating_client ada{server.address(), "/chat/all?name=Ada", both_windows};
  deflating_client bob{server.address(), "/chat/all?name=Bob", ""};
  wait_for_members(server, "all", 2);
  for (const std::string_view offer : {std::string_view{}, both_windows})
    for (const char* name : {"Ada", "Bob"})
      BOOST_CHECK_THROW((deflating_client{server.address(), std::string{"/chat/all?name="} + name, offer}), std::runtime_error);
  // To one member, and out of the room by its name.
  room all = server.s.room("all");
  const std::string message = json_text(700);
  BOOST_TEST((all.send_to("Ada", message) == send_status::queued));
  BOOST_TEST((all.send_to("Bob", message) == send_status::queued));
  const auto to_ada = ada.receive(), to_bob = bob.receive();
  BOOST_TEST((to_ada.text == message && to_ada.compressed));
  BOOST_TEST((to_bob.text == message && !to_bob.compressed));
  BOOST_TEST((all.leave("Ada") == send_status::queued));
  wait_for_members(server, "all", 1);
  deflating_client again{server.address(), "/chat/all?name=Ada", ""};
  wait_for_members(server, "all", 2);
}

BOOST_AUTO_TEST_CASE(with_contexts_a_member_is_sent_nothing_that_its_window_does_not_hold) {
  for (const std::uint32_t shards : {1u, 2u}) {
    running server{rooms, {.shards = shards, .compression = {.mode = compression_mode::dedicated}}};
    deflating_client member{server.address(), "/member"};
    deflating_client talker{server.address(), "/member", ""};
    talker.send_plain(opcode::text, "join");
    BOOST_TEST(talker.text() == "join");
    for (unsigned round = 0; round < 5; ++round) {
      // Own messages that refer to each other, then the room's between own ones, then own ones again.
      const std::string own = "echo" + json_text(900, 1);
      for (unsigned i = 0; i < 3; ++i) {
        member.send(opcode::text, own);
        const auto got = member.receive();
        BOOST_TEST(got.text == own);
        if (i > 0) BOOST_TEST(got.wire_bytes < 100u);
      }
      member.send(opcode::text, "join");
      BOOST_TEST(member.text() == "join");
      wait_for_members(server, "all", 2);
      for (unsigned i = 0; i < 5; ++i) {
        const std::string said = json_text(33'000, 50 + i); // more than the window
        talker.send_plain(opcode::text, said);
        BOOST_TEST((talker.text() == said));
        BOOST_TEST((talker.text() == said));
        BOOST_TEST((member.text() == said));
        member.send(opcode::text, own);
        BOOST_TEST(member.text() == own);
      }
      member.send(opcode::text, "leave");
      BOOST_TEST(member.text() == "leave");
      wait_for_members(server, "all", 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(members_come_and_go_in_both_lanes_while_others_talk) {
  running server{rooms};
  deflating_client plain{server.address(), "/broadcast/all", ""}, deflating{server.address(), "/broadcast/all"};
  wait_for_members(server, "all", 2);
  for (unsigned i = 0; i < 100; ++i) {
    {
      deflating_client guest{server.address(), "/broadcast/all", i % 2 == 0 ? both_windows : std::string_view{}};
      guest.send_plain(opcode::text, json_text(400, i));
      BOOST_TEST(guest.text() == json_text(400, i));
    }
    BOOST_TEST(plain.text() == json_text(400, i));
    BOOST_TEST(deflating.text() == json_text(400, i));
  }
}

BOOST_AUTO_TEST_SUITE_END()

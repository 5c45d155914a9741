// A room that says more in one turn than one send can carry: the kernel takes 1,024 pieces of a message and not one more. Whoever keeps up
// is served part by part, is sent everything in order, and no policy counts that against it.
#include "engine/connection/handle_access.hpp"
#include "tests/sim/checkers/client_journal.hpp"
#include "tests/sim/rigs/client_world.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/payload.hpp"
#include "tests/sim/rigs/peer.hpp"
#include "tests/sim/rigs/secure.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <list>

namespace ringcast::sim {

using namespace engine;

namespace {

constexpr std::size_t message_bytes = 65'000; // one for each chunk
constexpr std::uint32_t messages = 1'100;
constexpr slow_consumer policies[] = {slow_consumer::close, slow_consumer::drop_newest, slow_consumer::drop_oldest, slow_consumer::latest};

struct hearer {
  peer p;
  std::uint32_t heard = 0, out_of_order = 0, own = 0;
  explicit hearer(kernel& world) : p(world) {
    p.on_message = [this](const peer_message& m) {
      const auto what = check_payload(m.payload);
      if (!what) {
        ++own; // an answer that it was sent alone
        return;
      }
      if (what->number != ++heard) ++out_of_order;
    };
  }
};

struct full_room {
  kernel world{1, {}, {.send_bytes_min = 1u << 20, .send_bytes_max = 1u << 20, .receive_bytes_min = 1u << 20, .receive_bytes_max = 1u << 20}};
  engine_world engine;
  std::list<hearer> members;

  explicit full_room(slow_consumer policy) : engine(world, {.each = {.policy = policy}}) {}
  hearer& seat(const std::string& target) {
    hearer& member = members.emplace_back(world);
    BOOST_REQUIRE(member.p.connect(engine_world::port));
    member.p.ask_for_websocket(target);
    run(50);
    BOOST_REQUIRE((member.p.now() == peer::state::open));
    return member;
  }
  void run(int turns, const hearer* silent = nullptr) {
    for (int i = 0; i < turns; ++i) {
      for (hearer& member : members)
        if (&member != silent) member.p.act(true);
      engine.step();
      world.advance_by(100'000);
    }
  }
  void say(std::uint32_t number, std::size_t bytes = message_bytes) {
    const std::string payload = make_payload({1, number}, bytes);
    BOOST_REQUIRE(engine.at(0).home().publish_to("large", opcode::text, std::as_bytes(std::span{payload})));
  }
  void end() {
    for (hearer& member : members) member.p.close();
    run(50);
    BOOST_TEST(engine.remains().empty());
    engine.begin_stop();
    for (int i = 0; i < 5000 && !engine.has_stopped(); ++i) {
      engine.step();
      (void)world.sleep();
    }
    BOOST_TEST(engine.has_stopped());
  }
};

} // namespace

BOOST_AUTO_TEST_SUITE(large_turns)

void judge_large_turn(slow_consumer policy) {
  full_room room{policy};
  room.seat("/broadcast/large");
  room.seat("/broadcast/large");
  hearer& talker = room.seat("/broadcast/large?self=0");
  hearer& pinger = room.seat("/broadcast/large");
  for (std::uint32_t i = 1; i <= messages / 2; ++i) room.say(i);
  // It hears neither of its two, so its part has holes; the other has an answer of its own in the same turn.
  talker.p.send_message(opcode::text, "not a numbered message");
  pinger.p.send_ping("are you there");
  talker.p.act(true);
  pinger.p.act(true);
  room.world.advance_by(200'000);
  for (std::uint32_t i = messages / 2 + 1; i <= messages; ++i) room.say(i);
  // Nobody is behind for being served in parts, so what comes next drops and closes nothing.
  for (std::uint32_t i = 1; i <= 40; ++i) {
    room.run(1);
    room.say(messages + i, 1000);
  }
  for (int i = 0; i < 200; ++i) room.run(50);
  for (hearer& member : room.members) {
    BOOST_TEST(member.heard == messages + 40);
    BOOST_TEST(member.out_of_order == 0u);
    BOOST_TEST(member.own == (&member == &talker ? 0u : 1u));
    BOOST_TEST(member.p.complaint() == "");
    BOOST_TEST((member.p.now() == peer::state::open));
  }
  BOOST_TEST(pinger.p.pongs_missing() == 0u);
  BOOST_TEST(room.engine.messages_lost_to_policy() == 0u);
  BOOST_TEST(room.engine.at(0).rooms().counters().members_closed_slow == 0u);
  room.end();
}

BOOST_AUTO_TEST_CASE(more_pieces_in_a_turn_than_a_send_takes_reach_every_member_in_order_under_every_policy) {
  for (const slow_consumer policy : policies) judge_large_turn(policy);
}

// Being excused is for that turn alone.
BOOST_AUTO_TEST_CASE(a_member_that_does_not_read_is_judged_by_what_comes_behind_the_large_turn) {
  full_room room{slow_consumer::close};
  room.seat("/broadcast/large");
  hearer& silent = room.seat("/broadcast/large");
  for (std::uint32_t i = 1; i <= messages; ++i) room.say(i);
  room.run(100, &silent);
  BOOST_TEST(room.engine.at(0).rooms().counters().members_closed_slow == 0u);
  for (std::uint32_t i = 1; i <= 20; ++i) {
    room.say(messages + i);
    room.run(20, &silent);
  }
  BOOST_TEST(room.engine.at(0).rooms().counters().members_closed_slow == 1u);
  for (int i = 0; i < 100; ++i) room.run(50, &silent);
  BOOST_TEST(room.members.front().heard == messages + 20);
  room.end();
}

// What is encrypted is joined into records, whatever number of pieces it stood in.
BOOST_AUTO_TEST_CASE(more_pieces_in_a_turn_than_a_send_takes_reach_every_member_over_tls_in_order) {
  using namespace std::chrono_literals;
  constexpr std::size_t members = 2;
  (void)secure_identity();
  for (const slow_consumer policy : policies)
    for (const std::size_t bytes : {100uz, message_bytes}) {
      BOOST_TEST_CONTEXT("policy " << static_cast<int>(policy) << ", messages of " << bytes << " bytes") {
        kernel world{1, {}, {.send_bytes_min = 1u << 20, .send_bytes_max = 1u << 20, .receive_bytes_min = 1u << 20, .receive_bytes_max = 1u << 20}};
        auto clients = std::make_unique<client_world>(world);
        engine_world server(world, {.each = {.policy = policy}, .identity = secure_identity()});
        const client_options options{.tls = {.verification = tls_verification::off_and_insecure}};
        std::list<client_journal> journals;
        std::list<hosted_client> all;
        for (std::size_t i = 0; i < members; ++i) {
          client_journal& journal = journals.emplace_back(world, options.reconnect);
          client& c = all.emplace_back(fmt::format("wss://10.0.0.1:{}/broadcast/large", engine_world::secure_port), options, clients->host());
          journal.attach(c);
          journal.will_connect();
          c.start();
        }
        const auto run_until = [&](auto&& done) {
          for (int i = 0; i < 50'000 && !done(); ++i) {
            clients->turn();
            server.step();
            (void)world.sleep(1'000'000);
          }
          return done();
        };
        const auto say = [&](std::uint32_t number, std::size_t with) {
          const std::string payload = make_payload({1, number}, with);
          BOOST_REQUIRE(server.at(0).home().publish_to("large", opcode::text, std::as_bytes(std::span{payload})));
        };
        BOOST_REQUIRE(run_until([&] { return std::ranges::all_of(journals, [](const client_journal& j) { return j.is_open(); }); }));
        for (std::uint32_t i = 1; i <= messages; ++i) say(i, bytes);
        // Nobody is behind for being served in parts.
        for (std::uint32_t i = 1; i <= 40; ++i) {
          server.step();
          clients->turn();
          say(messages + i, 1000);
        }
        BOOST_TEST(run_until([&] { return std::ranges::all_of(journals, [](const client_journal& j) { return j.heard.size() == messages + 40; }); }));
        for (const client_journal& journal : journals) {
          std::uint32_t last = 0, out_of_order = 0;
          for (const said what : journal.heard) out_of_order += what.number == ++last ? 0 : 1;
          BOOST_TEST(out_of_order == 0u);
          BOOST_TEST(journal.is_open());
          for (const std::string& failure : journal.failures) BOOST_TEST(failure == "");
        }
        BOOST_TEST(server.messages_lost_to_policy() == 0u);
        BOOST_TEST(server.at(0).rooms().counters().members_closed_slow == 0u);
        for (client_journal& journal : journals) journal.will_disconnect();
        for (client& c : all) (void)c.disconnect();
        BOOST_TEST(run_until([&] { return server.connections() + clients->at().connection_count() == 0; }));
        clients->begin_stop();
        server.begin_stop();
        BOOST_TEST(run_until([&] { return clients->has_stopped() && server.has_stopped(); }));
        for (const std::string& left : server.remains()) BOOST_TEST(left == "");
        all.clear();
        clients.reset();
      }
    }
}

// Every other message of the turn is its own, which it does not hear: each of the rest is a piece by itself, however small.
BOOST_AUTO_TEST_CASE(a_member_that_hears_every_other_message_of_a_turn_is_sent_all_of_them_in_order) {
  (void)secure_identity();
  for (const bool is_secure : {false, true})
    for (const std::size_t bytes : {20uz, 200uz, 4'000uz}) {
      BOOST_TEST_CONTEXT((is_secure ? "wss" : "ws") << ", messages of " << bytes << " bytes") {
        kernel world{1, {}, {.send_bytes_min = 1u << 20, .send_bytes_max = 1u << 20, .receive_bytes_min = 1u << 20, .receive_bytes_max = 1u << 20}};
        auto clients = std::make_unique<client_world>(world);
        websocket_endpoint alternates{.on_upgrade = [](upgrade_request_view& u) { u.take_seat("large", hearing::others); },
                                      .on_message =
                                          [bytes](websocket_ref ws, const message_view&) {
                                            for (std::uint32_t i = 1; i <= 2 * messages; ++i) {
                                              const std::string payload = make_payload({1, i}, bytes);
                                              (void)ws.broadcast(opcode::text, std::as_bytes(std::span{payload}));
                                              (void)handle_access::shard_of(ws).home().publish_to("large", opcode::text,
                                                                                                  std::as_bytes(std::span{payload}));
                                            }
                                          }};
        engine_world server(world, {.identity = secure_identity(), .routes = [&](ringcast::server& s) { s.events("/alternates", alternates); }});
        const client_options options{.tls = {.verification = tls_verification::off_and_insecure}};
        client_journal journal(world, options.reconnect);
        hosted_client c(
            fmt::format("{}://10.0.0.1:{}/alternates", is_secure ? "wss" : "ws", is_secure ? engine_world::secure_port : engine_world::port), options,
            clients->host());
        journal.attach(c);
        journal.will_connect();
        c.start();
        const auto run_until = [&](auto&& done) {
          for (int i = 0; i < 50'000 && !done(); ++i) {
            clients->turn();
            server.step();
            (void)world.sleep(1'000'000);
          }
          return done();
        };
        BOOST_REQUIRE(run_until([&] { return journal.is_open(); }));
        (void)c.send_text("go");
        BOOST_TEST(run_until([&] { return journal.heard.size() == 2 * messages; }));
        std::uint32_t last = 0, out_of_order = 0;
        for (const said what : journal.heard) out_of_order += what.number == ++last ? 0 : 1;
        BOOST_TEST(out_of_order == 0u);
        BOOST_TEST(journal.is_open());
        journal.will_disconnect();
        (void)c.disconnect();
        BOOST_TEST(run_until([&] { return server.connections() + clients->at().connection_count() == 0; }));
        for (const std::string& left : server.remains()) BOOST_TEST(left == "");
        clients->begin_stop();
        server.begin_stop();
        BOOST_TEST(run_until([&] { return clients->has_stopped() && server.has_stopped(); }));
        c.stop();
        clients.reset();
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

// A server that is stopped: whatever its shards are doing, the stop reaches them, what was called queued comes before Close 1001, and it
// ends within the close timeout. Time is the simulated clock's.
#include "engine/room/records.hpp"
#include "tests/sim/kernel/ring_state.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/payload.hpp"
#include "tests/sim/rigs/peer.hpp"
#include "tests/support/sanitizer.hpp"
#include <ringcast/ringcast.hpp>

#include <boost/test/unit_test.hpp>
#include <list>
#include <map>
#include <stdexcept>

namespace ringcast::sim {

using namespace engine;

namespace {

// A turn may be left out by the seed, and a timer wheel has a tick.
constexpr std::uint64_t slack_ns = 100'000'000;

constexpr machine roomy{.send_bytes_min = 1u << 22, .send_bytes_max = 1u << 22, .receive_bytes_min = 1u << 22, .receive_bytes_max = 1u << 22};
constexpr machine narrow{.send_bytes_min = 8192, .send_bytes_max = 8192, .receive_bytes_min = 4096, .receive_bytes_max = 4096};

struct stopping_world {
  kernel world;
  engine_world engine;
  std::list<peer> peers;

  stopping_world(std::uint64_t seed, const machine& host, const engine_options& options) : world(seed, {}, host), engine(world, options) {}

  peer& member(const std::string& target) {
    peer& p = peers.emplace_back(world);
    BOOST_REQUIRE(p.connect(engine_world::port));
    p.ask_for_websocket(target);
    step_until([&] { return p.now() == peer::state::open; }, [](peer&) { return true; });
    BOOST_REQUIRE((p.now() == peer::state::open));
    return p;
  }
  template <class Done, class Reads> bool step_until(Done&& done, Reads&& reads, int rounds = 20'000) {
    for (int i = 0; i < rounds && !done(); ++i) {
      for (peer& p : peers) p.act(reads(p));
      engine.step();
      // Where nothing happens that soon, time passes nevertheless: somebody may wait for it.
      if (world.sleep(1'000'000)) world.advance_by(1'000'000);
    }
    return done();
  }
  // The stop, to its end; how long it took.
  template <class Reads> std::uint64_t stop(Reads&& reads) {
    const std::uint64_t begin = world.now_ns();
    engine.begin_stop();
    BOOST_TEST(step_until([&] { return engine.has_stopped(); }, reads));
    return world.now_ns() - begin;
  }
  // What the kernel still holds for the peers comes to them.
  void hear_the_rest() {
    for (int i = 0; i < 2000; ++i) {
      for (peer& p : peers) p.act(true);
      world.advance_by(1'000'000);
    }
  }
};

const auto everybody_reads = [](peer&) { return true; };
constexpr std::uint64_t close_timeout_ns = std::uint64_t{server_limits{}.close_timeout_ms} * 1'000'000;

} // namespace

BOOST_AUTO_TEST_SUITE(stopping)

BOOST_AUTO_TEST_CASE(a_shard_that_waits_for_the_lane_of_a_neighbour_sees_its_own_stop) {
  stopping_world w(1, roomy, {.shards = 2, .lane_bytes = 64 * 1024});
  // A member on shard 0 of a room whose home is shard 1.
  peer* member = nullptr;
  for (int i = 0; member == nullptr && i < 50; ++i) {
    const std::uint32_t on_first = w.engine.at(0).connection_count();
    const std::size_t homes = w.engine.at(1).home().size();
    peer& p = w.member(fmt::format("/broadcast/room-{}", i));
    if (w.engine.at(0).connection_count() > on_first && w.engine.at(1).home().size() > homes) member = &p;
  }
  BOOST_REQUIRE(member != nullptr);
  std::uint32_t yields = 0;
  // The neighbour never takes anything: it has ended, or its thread does not run.
  w.world.on_yield = [&] {
    if (++yields == 1) w.engine.begin_stop();
    if (yields > 10'000) throw std::runtime_error("the shard waits for ever");
  };
  for (std::uint32_t i = 1; i <= 1200; ++i) member->send_message(opcode::text, make_payload({1, i}, 10'000));
  for (int i = 0; i < 3000 && yields == 0; ++i) {
    member->act(true);
    w.world.advance_by(100'000);
    w.engine.turn_of(0);
  }
  BOOST_TEST(yields == 1u);
  const std::uint64_t begin = w.world.now_ns();
  BOOST_TEST(w.step_until([&] { return w.engine.has_stopped(); }, everybody_reads));
  BOOST_TEST(w.world.now_ns() - begin <= close_timeout_ns + slack_ns);
  w.hear_the_rest();
  BOOST_TEST(member->close_code() == 1001);
}

BOOST_AUTO_TEST_CASE(a_neighbour_that_never_turns_again_holds_nobody_longer_than_the_close_timeout) {
  stopping_world w(2, roomy, {.shards = 2, .lane_bytes = 4096});
  w.member("/broadcast/a");
  w.engine.begin_stop();
  const std::uint64_t begin = w.world.now_ns();
  const std::uint64_t turns = w.engine.at(0).counters().turns;
  while (w.world.now_ns() - begin < close_timeout_ns + slack_ns) {
    for (peer& p : w.peers) p.act(true);
    w.engine.turn_of(0);
    (void)w.world.advance_by(1'000'000);
  }
  // It has ended: another turn is none.
  const std::uint64_t turns_to_its_end = w.engine.at(0).counters().turns;
  w.engine.turn_of(0);
  BOOST_TEST(turns_to_its_end > turns);
  BOOST_TEST(w.engine.at(0).counters().turns == turns_to_its_end);
  BOOST_TEST(w.step_until([&] { return w.engine.has_stopped(); }, everybody_reads));
}

BOOST_AUTO_TEST_CASE(a_shard_that_is_asked_in_its_own_turn_does_not_sleep_first) {
  stopping_world w(7, roomy, {.shards = 1});
  w.step_until([] { return false; }, everybody_reads, 20);
  bool asked = false;
  w.engine.at(0).coroutines().spawn([](stopping_world& here, bool& done) -> task<void> {
    here.engine.begin_stop();
    done = true;
    co_return;
  }(w, asked));
  while (!asked) w.engine.turn_of(0);
  // The flag was set behind this turn's look at it. Nothing rings for it: whoever sets it sees a shard that is awake.
  w.engine.turn_of(0);
  BOOST_TEST(!w.world.entered_last->would_sleep());
  BOOST_TEST(w.step_until([&] { return w.engine.has_stopped(); }, everybody_reads));
}

BOOST_AUTO_TEST_CASE(a_full_inbox_does_not_keep_the_stop_from_a_shard) {
  stopping_world w(3, roomy, {.shards = 2});
  inbox& from_threads = w.engine.at(0).from_threads();
  const std::vector<std::byte> payload(1000);
  const deliver_record to_nobody{};
  const auto push = [&] { return from_threads.push(static_cast<std::uint32_t>(record_kind::deliver), bytes_of(to_nobody), payload); };
  std::uint64_t queued = 0;
  while (push() == inbox_result::queued) ++queued;
  BOOST_TEST((push() == inbox_result::full));
  BOOST_TEST(w.stop(everybody_reads) <= slack_ns);
  // What was called queued was taken, and nothing more is.
  BOOST_TEST(w.engine.at(0).counters().sent_to_nobody == queued);
  BOOST_TEST((push() == inbox_result::closed));
}

// Publishes over HTTP as long as the member's backlog is within its bound; what the server called queued.
std::uint32_t publish_to_one_who_does_not_read(stopping_world& w, peer& slow) {
  std::uint32_t queued = 0, answers = 0;
  peer& publisher = w.peers.emplace_back(w.world);
  BOOST_REQUIRE(publisher.connect(engine_world::port));
  publisher.on_answer = [&](int status, std::string_view body) {
    ++answers;
    if (status == 200 && body.find("\"queued\":1") != std::string_view::npos) ++queued;
  };
  for (std::uint32_t i = 1; i <= 400; ++i) {
    publisher.ask("POST", "/rooms/slow/messages", make_payload({1, i}, 2000));
    BOOST_REQUIRE(w.step_until([&] { return answers == i; }, [&](peer& p) { return &p != &slow; }));
  }
  publisher.on_answer = nullptr;
  return queued;
}

BOOST_AUTO_TEST_CASE(what_was_called_queued_comes_before_the_1001_to_one_who_reads_late) {
  for (const std::uint32_t shards : {1u, 2u, 3u}) {
    stopping_world w(4, narrow, {.shards = shards});
    peer& slow = w.member("/broadcast/slow");
    std::uint32_t heard = 0;
    slow.on_message = [&](const peer_message& m) {
      const auto what = check_payload(m.payload);
      BOOST_TEST((what && what->number == ++heard));
    };
    const std::uint32_t queued = publish_to_one_who_does_not_read(w, slow);
    BOOST_TEST(queued == 400u);
    BOOST_TEST(heard < 20u);
    // It begins to read a second after the stop.
    const std::uint64_t begin = w.world.now_ns();
    const std::uint64_t took = w.stop([&](peer& p) { return &p != &slow || w.world.now_ns() - begin > 1'000'000'000; });
    BOOST_TEST(took <= close_timeout_ns + slack_ns);
    w.hear_the_rest();
    BOOST_TEST(heard == queued);
    BOOST_TEST(slow.close_code() == 1001);
    for (std::uint32_t i = 0; i < shards; ++i) BOOST_TEST(w.engine.at(i).counters().unsent_connections == 0u);
  }
}

BOOST_AUTO_TEST_CASE(who_never_reads_is_cut_off_when_the_close_timeout_is_over_and_what_was_not_sent_is_counted) {
  stopping_world w(5, narrow, {.shards = 2});
  peer& slow = w.member("/broadcast/slow");
  std::uint32_t heard = 0;
  slow.on_message = [&](const peer_message&) { ++heard; };
  const std::uint32_t queued = publish_to_one_who_does_not_read(w, slow);
  const std::uint64_t took = w.stop([&](peer& p) { return &p != &slow; });
  BOOST_TEST(took >= close_timeout_ns);
  BOOST_TEST(took <= close_timeout_ns + slack_ns);
  std::uint64_t messages = 0, connections = 0;
  for (std::uint32_t i = 0; i < 2; ++i) {
    messages += w.engine.at(i).counters().unsent_messages;
    connections += w.engine.at(i).counters().unsent_connections;
  }
  BOOST_TEST(connections == 1u);
  BOOST_TEST(messages > 0u);
  w.hear_the_rest();
  BOOST_TEST(messages + heard <= queued);
  // What is in neither was in the one send that the kernel had begun.
  BOOST_TEST((queued - messages - heard) * 2000 <= backlog_send_bytes_max + 4096);
}

BOOST_AUTO_TEST_CASE(stops_under_load_with_full_lanes_end_in_time_and_all_members_hear_the_same) {
  for (std::uint64_t seed = 1; seed <= rounds(40); ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      stopping_world w(seed, roomy, {.shards = 2 + static_cast<std::uint32_t>(seed % 2), .lane_bytes = 4096u << (seed % 4)});
      std::map<peer*, std::vector<said>> heard;
      for (int i = 0; i < 8; ++i) {
        peer& p = w.member(fmt::format("/broadcast/room-{}", i % 2));
        p.on_message = [&heard, who = &p](const peer_message& m) {
          const auto what = check_payload(m.payload);
          BOOST_REQUIRE(what.has_value());
          heard[who].push_back(*what);
        };
      }
      std::uint32_t number = 0;
      const auto rounds = 1 + w.world.chance.below(40);
      for (std::uint64_t round = 0; round < rounds; ++round) {
        std::uint32_t sender = 0;
        for (peer& p : w.peers) {
          ++sender;
          if (w.world.chance.below(2) == 0) p.send_message(opcode::text, make_payload({sender, ++number}, 1 + w.world.chance.below(20'000)));
          p.act(true);
        }
        w.engine.step();
      }
      BOOST_TEST(w.stop(everybody_reads) <= close_timeout_ns + slack_ns);
      w.hear_the_rest();
      std::map<int, peer*> first_of_room;
      int i = 0;
      for (peer& p : w.peers) {
        BOOST_TEST(p.complaint() == "");
        BOOST_TEST(p.close_code() == 1001);
        const auto [first, is_first] = first_of_room.try_emplace(i++ % 2, &p);
        if (!is_first) BOOST_TEST((heard[&p] == heard[first->second]));
      }
    }
  }
}

// A name is asked for at the home of the room, and the answer may come in any turn of the stop, or the seat just before it.
BOOST_AUTO_TEST_CASE(a_seat_that_is_granted_around_the_stop_is_a_503_or_a_1001_and_no_shard_keeps_it) {
  std::uint32_t refused = 0, said_goodbye = 0;
  for (std::uint64_t seed = 1; seed <= rounds(150); ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      stopping_world w(seed, roomy, {.shards = 2 + static_cast<std::uint32_t>(seed % 2)});
      struct outcome {
        peer* who;
        int status = 0;
        bool opened = false, was_read = false;
      };
      std::list<outcome> outcomes;
      for (int i = 0; i < 12; ++i) {
        peer& p = w.peers.emplace_back(w.world);
        BOOST_REQUIRE(p.connect(engine_world::port));
        outcome& told = outcomes.emplace_back(&p);
        p.on_answer = [&told](int status, std::string_view) { told.status = status; };
        p.on_open = [&told] { told.opened = true; };
      }
      BOOST_REQUIRE(w.step_until([&] { return w.engine.connections() == 12; }, everybody_reads));
      int i = 0;
      for (peer& p : w.peers) p.ask_for_websocket(fmt::format("/chat/room-{}?name=n{}", i % 5, i)), ++i;
      for (std::uint64_t turns = w.world.chance.below(8); turns > 0; --turns) {
        for (peer& p : w.peers) p.act(true);
        w.engine.step();
        w.world.advance_by(w.world.chance.below(60'000));
      }
      for (outcome& told : outcomes) {
        const endpoint& end = told.who->socket().end();
        told.was_read = !told.who->has_unsent() && end.outgoing.empty() && end.other().incoming.empty();
      }
      BOOST_TEST(w.stop(everybody_reads) <= close_timeout_ns + slack_ns);
      w.hear_the_rest();
      for (const outcome& told : outcomes) {
        BOOST_TEST(told.who->complaint() == "");
        // Whose request stands in the socket when the server stops is told nothing.
        if (told.was_read) BOOST_TEST((told.opened || told.status != 0));
        if (told.opened) BOOST_TEST(told.who->close_code() == 1001);
        if (told.status != 0) BOOST_TEST(told.status == 503);
        refused += told.status != 0 ? 1 : 0;
        said_goodbye += told.opened ? 1 : 0;
      }
      for (std::uint32_t s = 0; s < w.engine.shard_count(); ++s) {
        BOOST_TEST(w.engine.at(s).connection_count() == 0u);
        BOOST_TEST(w.engine.at(s).rooms().size() == 0u);
      }
    }
  }
  BOOST_TEST_MESSAGE(refused << " refused, " << said_goodbye << " closed with 1001");
  BOOST_TEST(refused > rounds(50));
  BOOST_TEST(said_goodbye > rounds(50));
}

struct joining_program {
  int begun = 0, seats = 0, going_away = 0, over = 0, ended = 0;

  // Joins, before and behind the stop, and asks for what only the home of the room knows when everything is over.
  task<void> run(request& req) {
    ++begun;
    websocket ws = co_await req.upgrade();
    room r = req.server().room(req.path("room"));
    const std::string name{req.query("name")};
    for (int i = 0; i < 3 && ws.is_open(); ++i) {
      const seat taken = co_await r.join(name, ws);
      if (taken)
        ++seats;
      else if (taken.why_not() == "the server is going away")
        ++going_away;
      else
        ++over;
      // Ends with the stop, at once from then on.
      (void)co_await sleep_for(std::chrono::milliseconds{1});
    }
    while (co_await ws.receive()) {
    }
    (void)co_await r.count();
    (void)co_await r.broadcast_reported(opcode::text, {});
    const seat late = co_await r.join(name, ws);
    if (!late) ++ended;
  }
};

BOOST_AUTO_TEST_CASE(whoever_awaits_a_seat_or_an_answer_when_the_server_stops_goes_on_and_the_stop_waits_for_nobody) {
  joining_program all;
  for (std::uint64_t seed = 1; seed <= rounds(150); ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      joining_program program;
      stopping_world w(seed, roomy, {.shards = 1 + static_cast<std::uint32_t>(seed % 3), .routes = [&](server& s) {
                                       s.get("/join/{room}", [&program](request& req) { return program.run(req); });
                                     }});
      const std::uint64_t count = 1 + w.world.chance.below(6);
      for (std::uint64_t i = 0; i < count; ++i) {
        peer& p = w.peers.emplace_back(w.world);
        BOOST_REQUIRE(p.connect(engine_world::port));
        p.ask_for_websocket(fmt::format("/join/room-{}?name=n{}", i % 4, w.world.chance.below(2) == 0 ? 0 : i));
      }
      for (std::uint64_t turns = w.world.chance.below(25); turns > 0; --turns) {
        for (peer& p : w.peers) p.act(true);
        w.engine.step();
        w.world.advance_by(w.world.chance.below(60'000));
      }
      // Everybody answers the Close frame, so nothing has to wait for the close timeout.
      BOOST_TEST(w.stop(everybody_reads) <= slack_ns);
      BOOST_TEST(program.ended == program.begun);
      for (const std::string& left : w.engine.remains()) BOOST_TEST(left == "");
      all.begun += program.begun;
      all.seats += program.seats;
      all.going_away += program.going_away;
      all.over += program.over;
    }
  }
  BOOST_TEST_MESSAGE(all.begun << " handlers, " << all.seats << " seats, " << all.going_away << " going away, " << all.over << " over");
  BOOST_TEST(all.seats > 100);
  BOOST_TEST(all.going_away > 50);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

// A program whose every callback does whatever the library lets it do, to its own connection and to others: it closes them, sends, publishes,
// takes seats away, asks, holds input, and throws; while the network resets connections and sends fall short in the same turns.
//
// Judged: nothing is asserted; each connection hears of its beginning and its end once and in order; what set_user() was given comes back
// once; no peer is sent a frame behind a Close frame; nothing is left.
#include "engine/base/log.hpp"
#include "engine/connection/handle_access.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"
#include "tests/sim/rigs/wild_peers.hpp"
#include "tests/support/sanitizer.hpp"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <list>
#include <stdexcept>

namespace ringcast::sim {

using namespace engine;

namespace {

struct told {
  int opened = 0, left = 0, closed = 0, discarded = 0;
};

class wild_program {
 public:
  explicit wild_program(std::uint64_t seed) : draw_(seed) {}

  void add_routes(server& s) {
    websocket_endpoint e;
    e.on_upgrade = [this](upgrade_request_view& u) {
      told& given = given_.emplace_back();
      u.set_user(&given);
      const std::string room = room_name(), name = draw_.below(2) == 0 ? member_name() : std::string{};
      if (draw_.below(4) != 0) u.take_seat(room, draw_.below(2) == 0 ? hearing::everyone : hearing::others, name);
      if (draw_.below(20) == 0) u.refuse(http_status::forbidden, "not today");
      if (draw_.below(20) == 0) throw 42;
    };
    e.on_discard = [this](void* user) {
      ++static_cast<told*>(user)->discarded;
      if (draw_.below(10) == 0) throw 42;
    };
    e.on_open = [this](websocket_ref ws) {
      check(of(ws).opened++ == 0 && of(ws).closed == 0, "on_open twice, or behind on_close");
      known_.push_back(ws.handle());
      act(ws);
    };
    e.on_message = [this](websocket_ref ws, const message_view&) { alive(ws, "on_message"); };
    e.on_control = [this](websocket_ref ws, opcode, std::span<const std::byte>) { alive(ws, "on_control"); };
    e.on_drain = [this](websocket_ref ws) { alive(ws, "on_drain"); };
    e.on_gap = [this](websocket_ref ws, std::uint64_t first, std::uint64_t last) {
      check(first <= last, "a gap of nothing");
      ++gaps;
      alive(ws, "on_gap");
    };
    e.on_leave = [this](websocket_ref ws) {
      check(of(ws).opened == 1 && of(ws).left++ == 0 && of(ws).closed == 0, "on_leave twice, or out of order");
      ++leaves;
      act(ws);
    };
    e.on_close = [this](websocket_ref ws, std::uint16_t, std::string_view) {
      check(of(ws).opened == 1 && of(ws).closed++ == 0, "on_close twice, or without on_open");
      act(ws);
    };
    s.events("/wild", std::move(e));
    s.routes().add("POST", "/ask", [this](const http_request&, http_responder r) {
      handle_access::shard_of(r).questions().publish_with_report(room_name(), opcode::text, {}, [this, r](const broadcast_report&) mutable {
        act(handle_access::shard_of(r));
        r.respond_json(http_status::ok, "{}");
      });
      act(handle_access::shard_of(r));
    });
  }

  // Whatever was given has come back, and nothing was said twice.
  void judge() {
    for (const told& each : given_) {
      check(each.closed + each.discarded == 1, "what set_user() was given came back more or less than once");
      check(each.opened == each.closed, "a connection was opened and not closed, or the other way round");
    }
  }

  std::vector<std::string> failures;
  std::uint64_t acts = 0, gaps = 0, leaves = 0, answers = 0;

 private:
  static told& of(websocket_ref ws) { return *static_cast<told*>(ws.user()); }
  std::string room_name() { return fmt::format("room-{}", draw_.below(3)); }
  std::string member_name() { return fmt::format("n{}", draw_.below(6)); }
  void check(bool holds, std::string_view what) {
    if (!holds) failures.emplace_back(what);
  }
  void alive(websocket_ref ws, std::string_view what) {
    check(of(ws).opened == 1 && of(ws).closed == 0, fmt::format("{} outside of a connection's life", what));
    act(ws);
  }

  // A connection of this shard that was once open: perhaps the one that is told now, perhaps one that is ending.
  engine::connection* some_connection(shard& here) {
    if (known_.empty()) return nullptr;
    return here.find(known_[draw_.below(known_.size())]);
  }

  void call_room(shard& here, room_call_kind what) {
    const std::string room = room_name(), id = member_name(), text(draw_.below(4000), 'c');
    const room_call_record head{what, opcode::text, static_cast<std::uint16_t>(room.size()), static_cast<std::uint16_t>(id.size())};
    std::vector<std::byte> bytes;
    const auto add = [&bytes](std::span<const std::byte> more) { bytes.insert(bytes.end(), more.begin(), more.end()); };
    add(bytes_of(head));
    add(std::as_bytes(std::span{room}));
    add(std::as_bytes(std::span{id}));
    if (what != room_call_kind::leave) add(std::as_bytes(std::span{text}));
    here.deliver(here.rooms().home_of(room), record_kind::room_call, bytes, {});
  }

  void act(websocket_ref own) {
    const std::string text(draw_.below(3000), 'o');
    switch (draw_.below(8)) {
    case 0: own.send_text(text); break;
    case 1:
    case 2: own.broadcast(opcode::text, std::as_bytes(std::span{text})); break;
    case 3:
      if (draw_.below(6) == 0) own.close(4001, "enough");
      break;
    default: break;
    }
    (void)own.peer();
    (void)own.name_in_room();
    act(handle_access::shard_of(own));
  }

  void act(shard& here) {
    ++acts;
    engine::connection* const other = some_connection(here);
    const std::string text(draw_.below(10) == 0 ? 40'000 : draw_.below(500), 'x');
    switch (draw_.below(14)) {
    case 0:
      if (other != nullptr) here.websockets().send(*other, opcode::text, std::as_bytes(std::span{text}));
      break;
    case 1:
      if (other != nullptr && draw_.below(3) == 0) here.close_websocket(*other, 4002, "by another");
      break;
    case 2: call_room(here, room_call_kind::publish); break;
    case 3: call_room(here, room_call_kind::send_to); break;
    case 4:
      if (draw_.below(4) == 0) call_room(here, room_call_kind::leave);
      break;
    case 5:
      here.questions().publish_with_report(room_name(), opcode::text, std::as_bytes(std::span{text}), [this](const broadcast_report&) {
        ++answers;
        if (draw_.below(8) == 0) throw std::runtime_error("an answer");
      });
      break;
    case 6: {
      const auto on_answer = [this](const room_listing&) {
        ++answers;
        if (draw_.below(8) == 0) throw 42;
      };
      if (draw_.below(2) == 0)
        here.questions().query_rooms({}, 10, on_answer);
      else
        here.questions().query_room(room_name(), on_answer);
      break;
    }
    case 7:
      if (other != nullptr && other->phase == connection_phase::websocket) {
        here.input().hold(*other);
        here.input().release(*other);
      }
      break;
    case 8:
      if (other != nullptr && other->memberships != nullptr && draw_.below(3) == 0) {
        const room_part& r = *other->memberships->where;
        here.leave_room(here.handle_of(*other), {r.index, r.generation});
      }
      break;
    case 9:
      if (other != nullptr) {
        const deliver_record head{.connection = here.handle_of(*other).value, .op = opcode::binary, .close_code = 0};
        here.deliver(here.index(), record_kind::deliver, bytes_of(head), std::as_bytes(std::span{text}));
      }
      break;
    case 10:
      if (draw_.below(6) == 0) throw 42;
      break;
    case 11:
      if (draw_.below(6) == 0) throw std::runtime_error("wild");
      break;
    default: break;
    }
  }

  random_source draw_;
  std::deque<told> given_;
  std::vector<connection_handle> known_;
};

struct outcome {
  std::uint64_t acts = 0, gaps = 0, leaves = 0, answers = 0;
};

outcome run_wild(std::uint64_t seed) {
  wild_program program(seed);
  run_wild_peers(seed, [&](server& s) { program.add_routes(s); });
  program.judge();
  for (const std::string& failure : program.failures) BOOST_ERROR("seed " << seed << ": " << failure);
  return {program.acts, program.gaps, program.leaves, program.answers};
}

} // namespace

BOOST_AUTO_TEST_SUITE(user_code)

BOOST_AUTO_TEST_CASE(every_callback_may_call_everything_while_connections_fail_in_the_same_turn) {
  set_log_level(log_level::off);
  outcome sum;
  for (std::uint64_t seed = 1; seed <= rounds(60); ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      const outcome one = run_wild(seed);
      sum.acts += one.acts;
      sum.gaps += one.gaps;
      sum.leaves += one.leaves;
      sum.answers += one.answers;
    }
  }
  set_log_level(log_level::info);
  BOOST_TEST_MESSAGE(sum.acts << " acts, " << sum.gaps << " gaps, " << sum.leaves << " leaves, " << sum.answers << " answers");
  BOOST_TEST(sum.acts > rounds(20'000));
  BOOST_TEST(sum.gaps > 0u);
  BOOST_TEST(sum.leaves > rounds(500));
  BOOST_TEST(sum.answers > rounds(500));
}

// The name is asked for at another shard; the server begins to stop before that has answered.
BOOST_AUTO_TEST_CASE(a_seat_that_is_granted_behind_the_stop_is_answered_503) {
  set_log_level(log_level::off);
  kernel world(3, {}, {});
  engine_world engine(world, {.shards = 2});
  std::list<peer> peers;
  peer* waiting = nullptr;
  std::string room;
  for (int i = 0; waiting == nullptr && i < 60; ++i) {
    peer& p = peers.emplace_back(world);
    room = fmt::format("room-{}", i);
    BOOST_REQUIRE(p.connect(engine_world::port));
    p.ask_for_websocket("/chat/" + room + "?name=n");
    const std::uint32_t before = engine.at(0).connection_count();
    for (int turns = 0; turns < 40; ++turns) {
      p.act(true);
      world.advance_by(100'000);
      engine.turn_of(0);
    }
    if (engine.at(0).connection_count() > before && p.now() == peer::state::asking) waiting = &p;
    if (waiting == nullptr) p.reset();
  }
  BOOST_REQUIRE(waiting != nullptr);
  int status = 0;
  waiting->on_answer = [&](int answered, std::string_view) { status = answered; };
  engine.begin_stop();
  engine.turn_of(0);
  for (int i = 0; i < 5000 && !engine.has_stopped(); ++i) {
    for (peer& p : peers)
      if (!p.is_over()) p.act(true);
    engine.step();
    // A shard that has ended never says that it sleeps.
    if (!world.sleep()) world.advance_by(1'000'000);
  }
  BOOST_TEST(engine.has_stopped());
  BOOST_TEST(status == 503);
  BOOST_TEST(waiting->complaint() == "");
  set_log_level(log_level::info);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

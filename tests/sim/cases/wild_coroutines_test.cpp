// Coroutine handlers that call everything that a request, a websocket, a seat, a room, a sender and a client of their shard have, in any order
// and with every kind of limit, before the upgrade, on an open connection and on one that is over; and that throw, return and are stopped
// anywhere, while the network resets connections and sends fall short in the same turns.
//
// Judged: nothing is asserted; every handler and every spawned task ends; nothing hangs and nothing is left.
#include "engine/base/log.hpp"
#include "tests/sim/rigs/wild_peers.hpp"
#include "tests/support/sanitizer.hpp"
#include <ringcast/ringcast.hpp>

#include <stdexcept>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

using namespace std::chrono_literals;

class wild_handlers {
 public:
  explicit wild_handlers(std::uint64_t seed) : draw_(seed) {}

  void add_routes(server& s) {
    s.get("/wild", [this](request& req) { return talks(req); });
    s.post("/ask", [this](request& req) { return answers(req); });
  }

  std::uint64_t begun = 0, ended = 0, acts = 0, seats_taken = 0, upgraded = 0, timed_out = 0, stopped = 0;

 private:
  struct living {
    explicit living(wild_handlers& of) : all(of) { ++all.begun; }
    ~living() { ++all.ended; }
    living(const living&) = delete;
    wild_handlers& all;
  };

  bool one_in(std::uint64_t of) { return draw_.below(of) == 0; }
  std::string room_name() { return fmt::format("room-{}", draw_.below(3)); }
  std::string member_name() { return one_in(2) ? fmt::format("n{}", draw_.below(6)) : std::string{}; }
  std::string words() { return std::string(one_in(10) ? 40'000 : draw_.below(800), 'w'); }
  wait_limits limits() {
    switch (draw_.below(4)) {
    case 0: return {.stop = stop_.get_token()};
    case 1: return {.deadline = 0ms};
    default: return {.deadline = std::chrono::milliseconds{draw_.below(200)}};
    }
  }
  void stop_some() {
    stop_.request_stop();
    stop_ = {};
  }
  void perhaps_throw() {
    if (one_in(150)) throw 42;
    if (one_in(150)) throw std::runtime_error("wild");
  }
  template <class Result> void note(const Result& result) {
    if (result) return;
    timed_out += result.error().why == websocket_end::timed_out ? 1 : 0;
    stopped += result.error().why == websocket_end::stopped ? 1 : 0;
  }

  void looks_at(request& req) {
    (void)req.method(), (void)req.target(), (void)req.header("Host"), (void)req.query("q"), (void)req.path("none");
    (void)req.body(), (void)req.body_text(), (void)req.peer(), (void)req.is_answered(), (void)req.is_websocket_upgrade();
    const server& s = req.server();
    (void)s.is_ready(), (void)s.addresses(), (void)s.tls_addresses(), (void)s.shard_count();
  }

  task<void> answers(request& req) {
    const living here{*this};
    looks_at(req);
    for (std::uint64_t i = draw_.below(4); i > 0; --i) {
      co_await asks_a_room(req.server());
      perhaps_throw();
    }
    if (one_in(10)) co_return;
    req.respond(status::ok, words());
    req.respond(status::ok, "again");
    perhaps_throw();
    websocket none = co_await req.upgrade();
    (void)co_await none.receive();
  }

  task<void> talks(request& req) {
    const living here{*this};
    looks_at(req);
    if (one_in(4)) (void)co_await sleep_for(std::chrono::milliseconds{draw_.below(20)}, stop_.get_token());
    perhaps_throw();
    if (one_in(30)) co_return req.respond(status::forbidden, "not today");
    const bool answers_pings = one_in(3);
    websocket ws = co_await req.upgrade({.answer_pings = !answers_pings, .ping_interval = one_in(3) ? 0ms : 50ms, .pong_timeout = 50ms});
    ++upgraded;
    if (one_in(8)) co_return co_await talks_in_halves(std::move(ws), req.server());
    std::vector<seat> seats;
    // For a while beyond its end: every call says then that it is over.
    for (std::uint64_t steps = draw_.below(60), late = 0; late < 5 && steps > 0; --steps) {
      late += ws.is_open() ? 0 : 1;
      co_await sends(ws, answers_pings);
      co_await sits(ws, seats, req.server());
      co_await receives(ws);
      perhaps_throw();
    }
    if (one_in(3)) ws = websocket{};
    (void)co_await ws.receive();
    (void)ws.try_send_text("moved from");
    if (!seats.empty()) (void)seats.front().broadcast_text("without a connection");
  }

  task<void> talks_in_halves(websocket whole, server& s) {
    auto [out, in] = std::move(whole).split();
    if (one_in(2)) spawn(sends_from_elsewhere(out));
    std::vector<seat> seats;
    for (std::uint64_t steps = draw_.below(40), late = 0; late < 5 && steps > 0; --steps) {
      late += in.is_open() ? 0 : 1;
      sends_once(out);
      co_await sits(in, seats, s);
      co_await receives(in);
      perhaps_throw();
    }
    if (one_in(2)) {
      const receiver gone = std::move(in);
      (void)gone.is_open(), (void)in.is_open();
    }
  }

  task<void> sends_from_elsewhere(sender out) {
    const living here{*this};
    for (int i = 0; i < 20; ++i) {
      sends_once(out);
      const auto guard = co_await locks_[shard::current()->index()].scoped_lock(limits());
      (void)co_await sleep_for(std::chrono::milliseconds{draw_.below(10)}, stop_.get_token());
      perhaps_throw();
    }
  }

  void sends_once(sender& out) {
    ++acts;
    const std::string text = words();
    switch (draw_.below(8)) {
    case 0: (void)out.send(opcode::text, std::as_bytes(std::span{text})); break;
    case 1: (void)out.send_text(text); break;
    case 2: (void)out.send_binary(std::as_bytes(std::span{text})); break;
    case 3: (void)out.ping(text); break;
    case 4:
      if (one_in(10)) (void)out.close(4003, "a half");
      break;
    default: (void)out.is_open(), (void)out.handle(); break;
    }
  }

  task<void> sends(websocket& ws, bool answers_pings) {
    ++acts;
    const std::string text = words();
    const auto bytes = std::as_bytes(std::span{text});
    switch (draw_.below(13)) {
    case 0: (void)co_await ws.send_text(text, limits()); break;
    case 1: (void)co_await ws.send_binary(bytes, limits()); break;
    case 2: (void)co_await ws.send_prepared(shared_frame::text(text), limits()); break;
    case 3: (void)co_await ws.send_prepared(shared_frame::binary(bytes), limits()); break;
    case 4: (void)ws.try_send_text(text); break;
    case 5: (void)ws.try_send_binary(bytes); break;
    case 6: (void)co_await ws.ping(text); break;
    case 7: {
      const auto frame = co_await ws.receive_frame(limits());
      if (!ws.is_open() || (frame && frame->op == opcode::ping && answers_pings)) (void)co_await ws.pong(frame ? frame->text() : text);
      break;
    }
    case 8: (void)ws.buffered_bytes(); break;
    case 9:
      if (one_in(8)) (void)co_await ws.close(4001, text);
      break;
    case 10: stop_some(); break;
    default: break;
    }
  }

  task<void> receives(receiver& ws) {
    ++acts;
    std::byte part[300];
    switch (draw_.below(8)) {
    case 0: note(co_await ws.receive(limits())); break;
    case 1: note(co_await ws.receive_into(std::span{part}.first(draw_.below(300)), limits())); break;
    case 2: note(co_await ws.receive_frame(limits())); break;
    case 3: (void)ws.next_gap(); break;
    case 4: (void)ws.subprotocol(), (void)ws.handle(), (void)ws.peer(); break;
    case 5:
      if (one_in(20)) (void)co_await ws.close();
      break;
    case 6: note(co_await ws.receive({.deadline = 20ms})); break;
    default: break;
    }
  }

  task<void> sits(receiver& ws, std::vector<seat>& seats, server& s) {
    ++acts;
    const std::string text = words(), id = member_name();
    switch (draw_.below(8)) {
    case 0:
    case 1: {
      seat taken = co_await s.room(room_name()).join(id, ws, one_in(2) ? hearing::everyone : hearing::others);
      if (taken) ++seats_taken;
      (void)taken.why_not();
      if (seats.size() < 4) seats.push_back(std::move(taken));
      break;
    }
    case 2:
      if (!seats.empty()) (void)seats[draw_.below(seats.size())].broadcast(opcode::binary, std::as_bytes(std::span{text}));
      break;
    case 3:
      if (!seats.empty()) seats[draw_.below(seats.size())].leave();
      break;
    case 4:
      if (seats.size() > 1) seats.front() = std::move(seats.back());
      break;
    case 5: seats.clear(); break;
    default: co_await asks_a_room(s);
    }
  }

  task<void> asks_a_room(server& s) {
    ++acts;
    room r = s.room(one_in(20) ? std::string{} : room_name());
    const std::string text = words(), id = member_name();
    (void)r.name(), (void)r.valid();
    switch (draw_.below(6)) {
    case 0: (void)co_await r.broadcast_reported(opcode::text, std::as_bytes(std::span{text})); break;
    case 1: (void)co_await r.count(); break;
    // No other thread is there, so these say that this server was not started.
    case 2: (void)r.broadcast(text), (void)r.broadcast_binary(std::as_bytes(std::span{text})); break;
    case 3: (void)r.send_to(id, text); break;
    case 4: (void)r.leave(id); break;
    default: (void)r.count_future(), (void)r.broadcast_future(opcode::text, {});
    }
  }

  random_source draw_;
  std::stop_source stop_;
  mutex locks_[3]; // a lock belongs to the shard that uses it first
};

} // namespace

BOOST_AUTO_TEST_SUITE(user_code_of_coroutines)

BOOST_AUTO_TEST_CASE(a_handler_may_call_everything_at_any_time_while_connections_fail_in_the_same_turn) {
  set_log_level(log_level::off);
  wild_handlers sum(0);
  for (std::uint64_t seed = 1; seed <= rounds(60); ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      wild_handlers program(seed * 31 + 7);
      run_wild_peers(seed, [&](server& s) { program.add_routes(s); });
      BOOST_TEST(program.begun == program.ended);
      sum.begun += program.begun;
      sum.acts += program.acts;
      sum.seats_taken += program.seats_taken;
      sum.upgraded += program.upgraded;
      sum.timed_out += program.timed_out;
      sum.stopped += program.stopped;
    }
  }
  set_log_level(log_level::info);
  BOOST_TEST_MESSAGE(sum.begun << " handlers, " << sum.upgraded << " upgrades, " << sum.acts << " acts, " << sum.seats_taken << " seats, "
                               << sum.timed_out << " timed out, " << sum.stopped << " stopped");
  BOOST_TEST(sum.acts > rounds(20'000));
  BOOST_TEST(sum.seats_taken > rounds(500));
  BOOST_TEST(sum.timed_out > rounds(100));
  BOOST_TEST(sum.stopped > rounds(100));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

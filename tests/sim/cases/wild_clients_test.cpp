// Clients whose every callback does whatever client.hpp allows, to its own client and to others: it sends, pings, disconnects, starts again,
// holds input, stops, destroys, makes new ones, and throws; beside coroutines that do the same to coroutine_client; against a server that
// refuses, closes and breaks off, over a network that resets connections.
//
// Judged: nothing is asserted; no event begins within another one of the same client, nor behind stop() or the destructor; every coroutine
// ends; nothing is left.
#include "engine/base/log.hpp"
#include "tests/sim/rigs/client_world.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/support/sanitizer.hpp"
#include <ringcast/ringcast.hpp>

#include <boost/test/unit_test.hpp>
#include <memory>
#include <stdexcept>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

using namespace std::chrono_literals;

class wild_clients {
 public:
  wild_clients(std::uint64_t seed, client_world& where) : draw_(seed), where_(where) {}

  // A callback holds the entry, which holds a sender, which holds the callbacks.
  ~wild_clients() {
    for (const auto& e : made_)
      if (const std::shared_ptr<entry> still = e.lock()) still->end(), still->out = {};
  }
  wild_clients(const wild_clients&) = delete;
  wild_clients& operator=(const wild_clients&) = delete;

  void make() {
    entry& e = *all_.emplace_back(std::make_shared<entry>());
    made_.push_back(all_.back());
    e.own = std::make_unique<hosted_client>(url(), options(), where_.host());
    listen_to(all_.back());
    e.out = e.own->sender();
    if (!one_in(10)) e.own->start();
  }
  // What a program does outside of any event.
  void act_from_outside() {
    if (all_.size() < 8) make();
    if (one_in(10)) act(all_[draw_.below(all_.size())]);
  }
  void spawn_coroutine() { where_.at().coroutines().spawn(wanders()); }
  void end() {
    over_ = true;
    for (const auto& e : all_) e->end();
  }

  std::vector<std::string> failures;
  std::uint64_t acts = 0, begun = 0, ended = 0, received = 0, connected = 0, told[9] = {};

 private:
  struct entry {
    std::unique_ptr<client> own;
    client_sender out;
    bool ended = false, inside = false;

    void end() {
      ended = true;
      own.reset();
    }
  };
  struct living {
    explicit living(wild_clients& of) : all(of) { ++all.begun; }
    ~living() { ++all.ended; }
    living(const living&) = delete;
    wild_clients& all;
  };

  bool one_in(std::uint64_t of) { return draw_.below(of) == 0; }
  std::string words() { return std::string(one_in(10) ? 40'000 : draw_.below(800), 'w'); }
  std::string url() { return fmt::format("ws://10.0.0.1:{}{}", one_in(12) ? 9 : engine_world::port, one_in(12) ? "/none" : "/wild"); }
  client_options options() {
    return {.reconnect = {.max_attempts = one_in(2) ? reconnect_policy::unlimited : 3, .initial_delay = 5ms, .max_delay = 50ms},
            .offline = one_in(2) ? offline_policy::keep : offline_policy::drop,
            .connect_timeout = 500ms,
            .ping_interval = 30ms,
            .pong_timeout = 50ms,
            .close_timeout = 50ms,
            .queue_bytes_max = 50'000};
  }
  wait_limits limits() {
    switch (draw_.below(4)) {
    case 0: return {.deadline = 500ms, .stop = stop_.get_token()};
    case 1: return {.deadline = 0ms};
    default: return {.deadline = std::chrono::milliseconds{draw_.below(200)}};
    }
  }

  void listen_to(const std::shared_ptr<entry>& e) {
    client& c = *e->own;
    c.on_open([this, e] { on_event(e, 0); });
    c.on_message([this, e](const message_view&) { on_event(e, 1); });
    c.on_control([this, e](opcode, std::span<const std::byte>) { on_event(e, 2); });
    c.on_error([this, e](const client_error&) { on_event(e, 3); });
    c.on_disconnected([this, e](std::uint16_t, std::string_view) { on_event(e, 4); });
    c.on_close([this, e](std::uint16_t, std::string_view, bool) { on_event(e, 5); });
    c.on_reconnecting([this, e](unsigned, std::chrono::milliseconds) { on_event(e, 6); });
    c.on_reconnected([this, e] { on_event(e, 7); });
    c.on_drain([this, e] { on_event(e, 8); });
  }

  void on_event(const std::shared_ptr<entry>& e, std::size_t what) {
    ++told[what];
    if (e->ended) failures.emplace_back("an event behind stop() or the destructor");
    if (e->inside) failures.emplace_back("an event within another one");
    struct scope {
      explicit scope(bool& flag) : inside(flag) { inside = true; }
      ~scope() { inside = false; }
      bool& inside;
    } const here{e->inside};
    if (over_) return;
    for (std::uint64_t i = draw_.below(3); i > 0; --i) act(one_in(3) ? all_[draw_.below(all_.size())] : e);
    if (one_in(40)) throw 42;
    if (one_in(40)) throw std::runtime_error("wild");
  }

  void act(std::shared_ptr<entry> e) {
    ++acts;
    const std::string text = words();
    const auto bytes = std::as_bytes(std::span{text});
    (void)e->out.state();
    switch (draw_.below(4)) {
    case 0: (void)e->out.send_text(text); break;
    case 1: (void)e->out.send_binary(bytes); break;
    case 2: (void)e->out.ping(text); break;
    default: break;
    }
    if (e->own == nullptr) return;
    client& c = *e->own;
    (void)c.state(), (void)c.subprotocol(), (void)c.counts();
    switch (draw_.below(16)) {
    case 0:
    case 1: (void)c.send_text(text); break;
    case 2: (void)c.send_binary(bytes); break;
    case 3: (void)c.ping(text); break;
    case 4:
      if (one_in(4)) (void)c.disconnect(one_in(2) ? 1000 : 3999, text);
      break;
    case 5: c.connect(); break;
    case 6: c.hold_input(true); break;
    case 7:
    case 8: c.hold_input(false); break;
    case 9:
      if (!one_in(6)) break;
      e->ended = true;
      c.stop();
      break;
    case 10:
      if (one_in(6)) e->end();
      break;
    case 11:
      if (all_.size() < 30) make();
      break;
    case 12: e->out = c.sender(); break;
    default: break;
    }
  }

  task<void> wanders() {
    const living here{*this};
    while (!over_) {
      coroutine_client c{url(), options()};
      connected += (co_await c.connect(limits())).has_value() ? 1 : 0;
      for (std::uint64_t steps = draw_.below(40); steps > 0; --steps) co_await wanders_on(c);
      if (one_in(3)) co_await c.close(1000, words());
      if (const auto slept = co_await sleep_for(1ms); slept == sleep_result::stopped) co_return;
    }
  }

  task<void> wanders_on(coroutine_client& c) {
    ++acts;
    const std::string text = words();
    const auto bytes = std::as_bytes(std::span{text});
    std::byte part[300];
    (void)c.state(), (void)c.is_open(), (void)c.buffered_bytes(), (void)c.subprotocol(), (void)c.counts();
    switch (draw_.below(14)) {
    case 0: received += (co_await c.receive(limits())).has_value() ? 1 : 0; break;
    case 1: received += (co_await c.receive_into(std::span{part}.first(1 + draw_.below(299)), limits())).has_value() ? 1 : 0; break;
    case 2: received += (co_await c.receive_frame(limits())).has_value() ? 1 : 0; break;
    case 3: (void)co_await c.send(opcode::text, bytes, limits()); break;
    case 4: (void)co_await c.send_text(text, limits()); break;
    case 5: (void)co_await c.send_binary(bytes, limits()); break;
    case 6: (void)c.try_send(opcode::binary, bytes), (void)c.try_send_text(text), (void)c.try_send_binary(bytes); break;
    case 7: (void)c.ping(text); break;
    case 8: {
      const client_sender out = c.sender();
      (void)out.send_text(text), (void)out.ping(text), (void)out.state();
      break;
    }
    case 9:
      if (one_in(6)) co_await c.close(one_in(2) ? 1000 : 4000, text);
      break;
    case 10: (void)co_await c.connect(limits()); break;
    case 11:
      stop_.request_stop();
      stop_ = {};
      break;
    default: (void)co_await sleep_for(std::chrono::milliseconds{draw_.below(10)});
    }
  }

  random_source draw_;
  client_world& where_;
  std::vector<std::shared_ptr<entry>> all_;
  std::vector<std::weak_ptr<entry>> made_; // ever
  std::stop_source stop_;
  bool over_ = false;
};

// It echoes, and now and then does what a server may.
void add_moody_route(server& s, random_source& draw) {
  s.events("/wild", {.on_upgrade =
                         [&draw](upgrade_request_view& u) {
                           if (draw.below(15) == 0) u.refuse(http_status::service_unavailable, "not now");
                         },
                     .on_message =
                         [&draw](websocket_ref ws, const message_view& m) {
                           ws.send(m);
                           if (draw.below(30) == 0) ws.send(opcode::ping, {});
                           if (draw.below(40) == 0) ws.close(draw.below(2) == 0 ? 1000 : 1012, "moody");
                           if (draw.below(60) == 0) throw 42;
                         }});
}

struct outcome {
  std::uint64_t acts = 0, received = 0, connected = 0, told[9] = {};
};

outcome run_wild_clients(std::uint64_t seed) {
  random_source draw(seed * 91 + 3), moods(seed);
  kernel world(seed, {}, draw_machine(draw));
  world.close_in_flight_is_misuse = true;
  outcome sum;
  {
    auto clients = std::make_unique<client_world>(world);
    wild_clients program(seed, *clients);
    engine_world server_side(world,
                             {.shards = static_cast<std::uint32_t>(draw.between(1, 2)), .routes = [&](server& s) { add_moody_route(s, moods); }});
    world.faults = draw_faults(draw);
    world.faults.reset = 0.01;
    for (int i = 0; i < 3; ++i) program.spawn_coroutine();
    for (int step = 0; step < 1500; ++step) {
      program.act_from_outside();
      clients->turn();
      server_side.step();
      if (draw.below(3) == 0) (void)world.sleep(100'000'000);
    }
    const bool ends_by_its_loop = draw.below(2) == 0;
    if (!ends_by_its_loop) program.end();
    clients->begin_stop();
    for (int i = 0; i < 20'000 && !clients->has_stopped(); ++i) {
      clients->turn();
      server_side.step();
      if (!world.sleep()) world.advance_by(1'000'000);
    }
    BOOST_TEST(clients->has_stopped());
    BOOST_TEST(clients->at().coroutines().task_count() == 0u);
    BOOST_TEST(clients->at().connection_count() == 0u);
    clients.reset();
    BOOST_TEST(program.begun == program.ended);
    program.end();
    for (const std::string& failure : program.failures) BOOST_TEST(failure == "");
    server_side.begin_stop();
    for (int i = 0; i < 20'000 && !server_side.has_stopped(); ++i) {
      server_side.step();
      if (!world.sleep()) world.advance_by(1'000'000);
    }
    BOOST_TEST(server_side.has_stopped());
    BOOST_TEST(server_side.connections() == 0u);
    sum.acts = program.acts;
    sum.received = program.received;
    sum.connected = program.connected;
    std::ranges::copy(program.told, sum.told);
  }
  for (const std::string& leak : world.leaks()) BOOST_TEST(leak == "");
  return sum;
}

} // namespace

BOOST_AUTO_TEST_SUITE(user_code_of_clients)

BOOST_AUTO_TEST_CASE(every_callback_of_a_client_may_call_everything_while_connections_fail_in_the_same_turn) {
  set_log_level(log_level::off);
  outcome sum;
  for (std::uint64_t seed = 1; seed <= rounds(60); ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      const outcome one = run_wild_clients(seed);
      sum.acts += one.acts;
      sum.received += one.received;
      sum.connected += one.connected;
      for (std::size_t i = 0; i < std::size(sum.told); ++i) sum.told[i] += one.told[i];
    }
  }
  set_log_level(log_level::info);
  BOOST_TEST_MESSAGE(sum.acts << " acts, " << sum.connected << " connects and " << sum.received << " messages of coroutines");
  BOOST_TEST(sum.acts > rounds(20'000));
  BOOST_TEST(sum.connected > rounds(100));
  BOOST_TEST(sum.received > rounds(100));
  for (std::size_t i = 0; i < std::size(sum.told); ++i)
    BOOST_TEST(sum.told[i] > rounds(10), "event " << i << " was told " << sum.told[i] << " times");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

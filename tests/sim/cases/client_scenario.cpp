#include "tests/sim/cases/client_scenario.hpp"

#include "tests/sim/checkers/client_journal.hpp"
#include "tests/sim/rigs/client_world.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/secure.hpp"
#include <ringcast/client.hpp>

#include <algorithm>
#include <list>
#include <memory>
#include <optional>

namespace ringcast::sim {

using namespace engine;

namespace {

// One user with its client, and what it remembers for the judgement.
struct user {
  user(kernel& world, client_host& host, std::uint32_t number, const client_options& with, const std::string& url)
      : id(number), options(with), journal(world, with.reconnect), c(url, with, host) {
    journal.attach(c);
    journal.on_event = [this](const client_event& e) {
      if (e.what == client_event::kind::disconnected) sent_before = c.counts().sent;
    };
  }

  std::uint32_t id;
  client_options options;
  client_journal journal;
  hosted_client c;
  std::uint32_t said_count = 0, queued = 0, dropped = 0, full = 0;
  std::uint64_t sent_before = 0; // on earlier connections
  bool holds = false;

  void connect() {
    journal.will_connect();
    c.start();
  }
  void disconnect() {
    journal.will_disconnect();
    (void)c.disconnect();
  }
  void hold(bool on) {
    holds = on;
    c.hold_input(on);
  }
  void say(std::size_t bytes) {
    const std::string payload = make_payload({id, ++said_count}, bytes);
    switch (said_count % 2 == 0 ? c.send_text(payload) : c.send_binary(std::as_bytes(std::span{payload}))) {
    case send_status::queued: ++queued; break;
    case send_status::dropped: ++dropped; break;
    case send_status::full: ++full; break;
    default: break;
    }
  }
  bool is_open() const { return journal.is_open() && c.state() == client_state::open; }
  // What it has said and neither lost nor dropped has reached TCP, and was echoed where that was on this connection.
  bool has_heard_all() const {
    const client_counts counts = c.counts();
    return counts.sent + counts.lost + counts.dropped == queued + dropped && journal.heard_since_open == counts.sent - sent_before;
  }
};

class client_scenario {
 public:
  explicit client_scenario(const scenario_options& options) : options_(options), draw_(options.seed * 0xD1B54A32u + 7) {}

  scenario_result run() {
    set_up();
    talk();
    come_back();
    if (result_.failures.empty()) leave();
    judge();
    finish();
    return std::move(result_);
  }

 private:
  void set_up();
  user& add_user();
  void talk();
  void act(user& u);
  void shake_server();
  void start_server();
  void kill_server();
  void come_back();
  void leave();
  void judge();
  void finish();
  void step();
  template <class Done> bool run_until(Done&& done, std::string_view what);
  void fail(const std::string& why) { result_.failures.push_back(why); }

  scenario_options options_;
  random_source draw_;
  scenario_result result_;
  std::unique_ptr<kernel> world_;
  fault_plan faults_;
  engine_options engine_options_;
  bool secure_ = false;
  std::unique_ptr<engine_world> engine_;
  std::list<std::unique_ptr<engine_world>> dead_; // cut off; they end by themselves, unseen
  std::unique_ptr<client_world> clients_;
  std::list<user> users_;
  std::uint64_t server_returns_ns_ = 0;
  bool stopping_ = false;
};

void client_scenario::set_up() {
  faults_ = options_.calm ? fault_plan{} : draw_faults(draw_);
  faults_.no_descriptors = 0; // of the accepting side; tested with the rooms
  const machine host = draw_machine(draw_);
  world_ = std::make_unique<kernel>(draw_.next(), faults_, host);
  world_->tracing = options_.trace;
  world_->close_in_flight_is_misuse = true;
  secure_ = options_.secure.value_or(draw_.below(3) == 0);
  engine_options_.shards = options_.shards.value_or(static_cast<std::uint32_t>(draw_.between(1, 2)));
  engine_options_.ring.submission_entries = 1u << draw_.between(2, 8);
  engine_options_.ring.completion_entries = std::max(engine_options_.ring.submission_entries, 1u << draw_.between(4, 9));
  engine_options_.each.limits.close_timeout_ms = 1000;
  engine_options_.each.spin_us = draw_.below(2) == 0 ? 0 : 10;
  engine_options_.identity = secure_ ? secure_identity() : nullptr;
  const ring_options ring{.submission_entries = 1u << draw_.between(2, 8), .completion_entries = 1u << draw_.between(8, 9)};
  clients_ = std::make_unique<client_world>(*world_, ring);
  // Up to two addresses in front of the right one that lead nowhere.
  std::vector<std::string>& addresses = world_->names["server.sim"];
  for (std::uint64_t wrong = draw_.below(3); wrong > 0; --wrong) {
    addresses.push_back(fmt::format("10.0.0.{}", 1 + wrong));
    world_->routes[addresses.back()] = static_cast<route>(draw_.between(1, 4));
  }
  addresses.push_back("10.0.0.1");
  start_server();
  for (std::uint64_t count = draw_.between(1, 6); count > 0; --count) add_user();
  result_.drawn = fmt::format("{} clients, {} server shards, {}, {} addresses, buffers {}-{}, faults: short {:.2f} no buffers "
                              "{:.2f} reset {:.4f} "
                              "ends {:.2f} late cancel {:.2f} slow {:.2f} split {:.2f}",
                              users_.size(), engine_options_.shards, secure_ ? "wss" : "ws", addresses.size(), host.send_bytes_min,
                              host.send_bytes_max, faults_.short_send, faults_.no_buffers, faults_.reset, faults_.multishot_ends, faults_.late_cancel,
                              faults_.slow_delivery, faults_.split_delivery);
}

user& client_scenario::add_user() {
  using std::chrono::milliseconds;
  client_options with;
  with.reconnect.initial_delay = milliseconds(draw_.between(10, 200));
  with.reconnect.max_delay = milliseconds(draw_.between(200, 2000));
  with.offline = draw_.below(3) == 0 ? offline_policy::drop : offline_policy::keep;
  with.connect_timeout = milliseconds(5000);
  with.attempt_delay = milliseconds(draw_.between(10, 400));
  with.ping_interval = milliseconds(draw_.between(1000, 5000));
  with.pong_timeout = milliseconds(3000);
  with.close_timeout = milliseconds(2000);
  with.queue_bytes_max = std::size_t{1} << draw_.between(10, 17);
  with.tls.verification = tls_verification::off_and_insecure;
  const std::string url =
      secure_ ? fmt::format("wss://server.sim:{}/echo", engine_world::secure_port) : fmt::format("ws://server.sim:{}/echo", engine_world::port);
  const auto number = static_cast<std::uint32_t>(users_.size() + 1);
  user& u = users_.emplace_back(*world_, clients_->host(), number, with, url);
  u.connect();
  return u;
}

void client_scenario::talk() {
  for (std::uint32_t i = 0; i < options_.steps && result_.failures.empty(); ++i) {
    for (user& u : users_)
      if (draw_.below(3) == 0) act(u);
    shake_server();
    step();
    if (draw_.below(2) == 0) (void)world_->sleep(1'000'000'000);
  }
}

void client_scenario::act(user& u) {
  const std::uint64_t die = draw_.below(200);
  if (die == 0) return u.disconnect();
  if (die < 4) return u.connect();
  if (die < 8) return u.hold(!u.holds);
  if (die < 100)
    for (std::uint64_t burst = draw_.below(8) == 0 ? draw_.between(2, 9) : 1; burst > 0; --burst)
      u.say(draw_.below(10) == 0 ? draw_.below(9000) : draw_.below(200));
}

void client_scenario::shake_server() {
  if (engine_ == nullptr) {
    if (world_->now_ns() >= server_returns_ns_) start_server();
    return;
  }
  if (stopping_ && engine_->has_stopped()) return kill_server();
  const std::uint64_t die = draw_.below(300);
  if (die == 0) return kill_server();
  if (die == 1 && !stopping_) {
    stopping_ = true;
    engine_->begin_stop();
  }
}

void client_scenario::start_server() {
  engine_ = std::make_unique<engine_world>(*world_, engine_options_);
  stopping_ = false;
}

void client_scenario::kill_server() {
  ++world_->happened["server ends"];
  world_->cut_off(engine_->process());
  engine_->begin_stop();
  dead_.push_back(std::move(engine_));
  stopping_ = false;
  server_returns_ns_ = world_->now_ns() + draw_.below(3'000) * 1'000'000;
}

void client_scenario::step() {
  if (draw_.below(8) != 0) clients_->turn();
  for (const auto& dead : dead_) dead->step();
  std::erase_if(dead_, [](const auto& dead) { return dead->has_stopped(); });
  if (engine_ != nullptr)
    engine_->step();
  else
    world_->advance_by(draw_.below(30'000));
}

template <class Done> bool client_scenario::run_until(Done&& done, std::string_view what) {
  const std::uint64_t end_ns = world_->now_ns() + 100'000'000'000;
  for (int i = 0; i < 400'000 && world_->now_ns() < end_ns; ++i) {
    if (done()) return true;
    step();
    (void)world_->sleep();
  }
  fail(fmt::format("it never happens: {}", what));
  world_->describe_connections();
  for (const user& u : users_)
    fail(fmt::format("  client {}: state {}, sent {} ({} before), heard since open {}, queued bytes {}, {}", u.id, static_cast<int>(u.c.state()),
                     u.c.counts().sent, u.sent_before, u.journal.heard_since_open, u.c.counts().queued_bytes, u.journal.story()));
  return false;
}

void client_scenario::come_back() {
  if (!result_.failures.empty()) return;
  world_->faults.reset = 0;
  world_->faults.slow_delivery = 0;
  if (stopping_) {
    (void)run_until([&] { return engine_->has_stopped(); }, "the server has stopped");
    kill_server();
  }
  if (engine_ == nullptr) start_server();
  for (user& u : users_)
    if (u.holds) u.hold(false);
  // A close that is under way ends first; then whoever is closed begins again.
  if (!run_until([&] { return std::ranges::all_of(users_, [](const user& u) { return u.c.state() != client_state::closing; }); },
                 "every closing handshake is over"))
    return;
  for (user& u : users_)
    if (u.c.state() == client_state::closed) u.connect();
  if (!run_until([&] { return std::ranges::all_of(users_, [](const user& u) { return u.is_open() && u.has_heard_all(); }); },
                 "every client is open and has heard everything"))
    return;
  for (user& u : users_) u.say(50);
  (void)run_until([&] { return std::ranges::all_of(users_, [](const user& u) { return u.is_open() && u.has_heard_all(); }); },
                  "the last words are echoed");
  for (const user& u : users_)
    if (u.journal.heard.empty() || u.journal.heard.back().number != u.said_count) fail(fmt::format("client {} did not hear its last word", u.id));
}

void client_scenario::leave() {
  for (user& u : users_) {
    if (draw_.below(3) != 0) {
      u.disconnect();
      continue;
    }
    u.journal.has_stopped();
    u.c.stop();
  }
  if (!run_until([&] { return clients_->at().connection_count() == 0 && engine_->connections() == 0; }, "all connections are gone")) return;
  for (const user& u : users_) {
    if (u.c.state() != client_state::closed) fail(fmt::format("client {} has left and is in state {}", u.id, static_cast<int>(u.c.state())));
    if (u.journal.is_closed() && !u.journal.events.back().clean) fail(fmt::format("client {} was not closed cleanly: {}", u.id, u.journal.story()));
  }
  for (int i = 0; i < 100; ++i) step();
  for (const std::string& what : clients_->remains()) fail("everybody has left, but " + what);
  for (const std::string& what : engine_->remains()) fail("everybody has left, but " + what);
}

void client_scenario::judge() {
  for (const user& u : users_) {
    for (const std::string& f : u.journal.failures) fail(fmt::format("client {}: {}", u.id, f));
    std::uint32_t last = 0;
    for (const said what : u.journal.heard) {
      if (what.sender != u.id || what.number <= last) fail(fmt::format("client {} heard {}/{} behind {}", u.id, what.sender, what.number, last));
      last = what.number;
    }
    result_.messages_echoed += u.journal.heard.size();
    const client_counts counts = u.c.counts();
    if (counts.received != u.journal.heard.size())
      fail(fmt::format("client {} heard {} and counts {}", u.id, u.journal.heard.size(), counts.received));
    if (counts.reconnected != u.journal.count(client_event::kind::reconnected))
      fail(fmt::format("client {} counts {} reconnections", u.id, counts.reconnected));
    if (counts.queued_bytes == 0 && counts.sent + counts.lost + counts.dropped != u.queued + u.dropped)
      fail(fmt::format("client {}: {} queued and {} refused as dropped, but {} sent, {} lost and {} dropped", u.id, u.queued, u.dropped, counts.sent,
                       counts.lost, counts.dropped));
    world_->happened["reconnected"] += counts.reconnected;
    world_->happened["dropped by a client"] += counts.dropped;
    world_->happened["lost with a connection"] += counts.lost;
    world_->happened["refused by a full queue"] += u.full;
  }
}

void client_scenario::finish() {
  if (result_.failures.empty()) {
    clients_->begin_stop();
    engine_->begin_stop();
    (void)run_until([&] { return clients_->has_stopped() && engine_->has_stopped() && dead_.empty(); }, "clients and server stop");
  }
  result_.happened = world_->happened;
  clients_.reset();
  users_.clear();
  engine_.reset();
  dead_.clear();
  if (result_.failures.empty())
    for (const std::string& leak : world_->leaks()) fail("at the end " + leak);
  world_.reset();
}

} // namespace

scenario_result run_client_scenario(const scenario_options& options) { return client_scenario(options).run(); }

} // namespace ringcast::sim

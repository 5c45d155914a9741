#include "tests/sim/cases/scenario.hpp"

#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/scenario_client.hpp"

#include <algorithm>
#include <cstdio>
#include <list>
#include <memory>

namespace ringcast::sim {

using namespace engine;

namespace {

class scenario {
 public:
  explicit scenario(const scenario_options& options) : options_(options), draw_(options.seed * 0x9E3779B9u + 1) {}

  scenario_result run();

 private:
  // What the steps of a run are: see scenario.hpp.
  void set_up();
  void talk();
  void fall_silent();
  void count_and_probe();
  void judge();
  void leave();
  void stop();

  scenario_client& add_client(client_kind kind, std::uint32_t room);
  scenario_client& add_witness(client_kind kind, std::uint32_t room);
  void connect(scenario_client& c);
  void act(scenario_client& c);
  void act_in_room(scenario_client& c);
  void vandalise(scenario_client& c);
  void let_all_act();
  // Until nothing moves any more; a failure if that takes too long.
  void settle(std::string_view what);
  bool nothing_moves() const;
  void pass_time(std::uint64_t most_ns = UINT64_MAX);
  void ask_once(std::string_view method, const std::string& target, const std::string& body, std::function<void(int, std::string_view)> on_answer);
  std::size_t size_of_message();
  std::string name_of(std::uint32_t room) const { return fmt::format("room-{}", room); }
  void fail(const std::string& why) { result_.failures.push_back(why); }

  scenario_options options_;
  random_source draw_;
  scenario_result result_;
  slow_consumer policy_ = slow_consumer::close;
  std::unique_ptr<kernel> world_;
  std::unique_ptr<engine_world> engine_;
  std::list<scenario_client> clients_;
  std::vector<scenario_client*> witnesses_;
  scenario_client* chat_witness_ = nullptr;
  std::vector<room_checker> rooms_;
  std::uint32_t next_id_ = 1;
  std::uint64_t events_ = 0;
  std::uint64_t gaps_told_ = 0;
  std::uint32_t clients_max_ = 0;
  bool clients_large_ = false;
  bool stop_with_clients_ = false;
};

// The number behind "KEY": in a flat JSON object.
std::int64_t number_in(std::string_view json, std::string_view key) {
  const std::size_t at = json.find(fmt::format("\"{}\":", key));
  if (at == std::string_view::npos) return -1;
  return std::atoll(json.data() + at + key.size() + 3);
}

scenario_result scenario::run() {
  set_up();
  talk();
  fall_silent();
  if (result_.failures.empty()) count_and_probe();
  judge();
  if (result_.failures.empty()) leave();
  if (result_.failures.empty()) stop();
  result_.happened = world_->happened;
  // On a failure what is left is dropped as it is; the report of the first thing that went wrong is worth more.
  clients_.clear();
  engine_.reset();
  if (result_.failures.empty())
    for (const std::string& leak : world_->leaks()) fail("at the end " + leak);
  world_.reset();
  return result_;
}

void scenario::set_up() {
  const fault_plan faults = options_.calm ? fault_plan{} : draw_faults(draw_);
  const machine host = draw_machine(draw_);
  world_ = std::make_unique<kernel>(draw_.next(), fault_plan{}, host);
  world_->tracing = options_.trace;
  world_->close_in_flight_is_misuse = true;
  engine_options engine;
  engine.shards = options_.shards.value_or(static_cast<std::uint32_t>(draw_.between(1, 3)));
  policy_ = options_.policy.value_or(static_cast<slow_consumer>(draw_.below(4)));
  engine.each.policy = policy_;
  engine.each.coalesce_wait_us = draw_.below(2) == 0 ? 0 : 50;
  engine.each.limits.send_queue_bytes_max = std::uint64_t{1} << draw_.between(11, 20);
  compression_options& compression = engine.each.compression;
  compression.mode = static_cast<compression_mode>(draw_.below(3));
  if (draw_.below(2) == 0) compression.threshold_bytes = draw_.between(1, 300);
  if (draw_.below(2) == 0) compression.level = static_cast<unsigned>(draw_.below(deflate_level_max + 1));
  if (draw_.below(4) == 0) compression.window_bits = static_cast<unsigned>(draw_.between(8, 15));
  // Lanes that a few messages fill: the rest waits with its sender.
  if (draw_.below(2) == 0) engine.lane_bytes = 1u << draw_.between(12, 15);
  engine.ring.submission_entries = 1u << draw_.between(2, 8);
  engine.ring.completion_entries = std::max(engine.ring.submission_entries, 1u << draw_.between(4, 9));
  clients_max_ = static_cast<std::uint32_t>(draw_.between(2, 24));
  clients_large_ = draw_.below(2) == 0 && host.send_bytes_min > 1000;
  stop_with_clients_ = draw_.below(3) == 0;
  const auto rooms = static_cast<std::uint32_t>(draw_.between(1, 3));
  result_.drawn = fmt::format(
      "{} shards, lanes of {}, compression {}, policy {}, queue {} bytes, rings {}/{}, {} clients, {} rooms, buffers {}-{}, incremental {}, faults: "
      "short {:.2f} "
      "no buffers {:.2f} reset {:.4f} ends {:.2f} late cancel {:.2f} no fd {:.2f} slow {:.2f} split {:.2f} bell {:.2f} work {:.2f}",
      engine.shards, engine.lane_bytes, static_cast<int>(compression.mode), static_cast<int>(policy_), engine.each.limits.send_queue_bytes_max,
      engine.ring.submission_entries, engine.ring.completion_entries, clients_max_, rooms, host.send_bytes_min, host.send_bytes_max,
      host.incremental_buffers, faults.short_send, faults.no_buffers, faults.reset, faults.multishot_ends, faults.late_cancel, faults.no_descriptors,
      faults.slow_delivery, faults.split_delivery, faults.late_doorbell, faults.little_task_work);
  engine_ = std::make_unique<engine_world>(*world_, engine);
  for (std::uint32_t room = 0; room < rooms; ++room) rooms_.emplace_back(name_of(room));
  // The witnesses come before the faults, so that each of them gets its seat.
  for (std::uint32_t room = 0; room < rooms; ++room) witnesses_.push_back(&add_witness(client_kind::talker, room));
  chat_witness_ = &add_witness(client_kind::chatter, 0);
  settle("the witnesses are seated");
  world_->faults = faults;
}

scenario_client& scenario::add_witness(client_kind kind, std::uint32_t room) {
  scenario_client& c = add_client(kind, room);
  c.witness = true;
  c.record.wants_gaps = false;
  c.slow = false;
  c.record.hears_itself = true;
  connect(c);
  return c;
}

scenario_client& scenario::add_client(client_kind kind, std::uint32_t room) {
  scenario_client& c = clients_.emplace_back(*world_, kind);
  c.room = room;
  c.record.id = next_id_++;
  c.record.hears_itself = draw_.below(3) != 0;
  c.slow = draw_.below(4) == 0;
  c.record.wants_gaps = draw_.below(3) == 0;
  if (draw_.below(2) == 0)
    c.p.offers = deflate_offer{.server_no_context_takeover = draw_.below(3) == 0, .client_no_context_takeover = draw_.below(3) == 0};
  c.chat.name = fmt::format("n{}", draw_.below(6));
  return c;
}

void scenario::connect(scenario_client& c) {
  if (!c.p.connect(engine_world::port)) return fail("nobody listens");
  if (c.witness) {
    // It must keep up whatever happens, so that there is a log to judge by.
    c.p.socket().end().immune = c.p.socket().end().other().immune = true;
    c.p.socket().end().receive_limit = 1u << 24;
    c.p.socket().end().other().send_limit = 1u << 24;
  }
  switch (c.kind) {
  case client_kind::echo:
    c.p.ask_for_websocket("/echo");
    c.p.on_message = [this, &c](const peer_message& heard) {
      if (c.echoes.empty() || heard.op != c.echoes.front().op || heard.payload != c.echoes.front().payload)
        fail(fmt::format("echo client {} heard '{}' ({} bytes) and expected '{}'", c.record.id, heard.payload.substr(0, 40), heard.payload.size(),
                         c.echoes.empty() ? "nothing" : c.echoes.front().payload.substr(0, 40)));
      else
        c.echoes.pop_front();
      ++result_.messages_echoed;
    };
    break;
  case client_kind::talker:
    c.p.ask_for_websocket(fmt::format("/broadcast/{}?self={}&gaps={}", name_of(c.room), c.record.hears_itself ? 1 : 0, c.record.wants_gaps ? 1 : 0));
    c.p.on_open = [this, &c] {
      c.record.opened = true;
      c.record.opened_at = ++events_;
    };
    c.p.on_message = [this, &c](const peer_message& heard) {
      if (c.record.wants_gaps && heard.payload.starts_with("{\"gap\":")) {
        const std::int64_t from = number_in(heard.payload, "from"), to = number_in(heard.payload, "to");
        if (from < 0 || to < from) fail(fmt::format("member {} was told of a gap that is none: {}", c.record.id, heard.payload));
        c.record.told_lost += static_cast<std::uint64_t>(to - from + 1);
        ++gaps_told_;
        return;
      }
      const auto what = check_payload(heard.payload);
      if (!what) return fail(fmt::format("member {} heard nonsense: '{}'", c.record.id, heard.payload.substr(0, 60)));
      c.record.heard.push_back(*what);
      ++result_.messages_heard;
    };
    break;
  case client_kind::chatter:
    if (c.witness) c.chat.name = "witness";
    c.p.ask_for_websocket("/chat/chat-room?name=" + c.chat.name);
    c.p.on_open = [&c] { c.record.opened = true; };
    c.p.on_message = [this, &c](const peer_message& heard) {
      c.chat.lines.push_back(heard.payload);
      ++result_.messages_heard;
    };
    // The name is in the room already.
    c.p.on_answer = [this, &c](int status, std::string_view) {
      if (status != 400 || c.witness) fail(fmt::format("a chatter was answered {}", status));
      ++world_->happened["a name was taken"];
      c.p.half_close();
    };
    break;
  case client_kind::publisher: break;
  case client_kind::vandal: c.p.ask_for_websocket("/broadcast/" + name_of(c.room)); break;
  }
}

std::size_t scenario::size_of_message() {
  const std::uint64_t die = draw_.below(100);
  if (die < 60) return draw_.below(130);
  if (die < 90 || !clients_large_) return draw_.below(3000);
  if (die < 98) return draw_.below(20'000);
  return draw_.below(300'000);
}

void scenario::talk() {
  for (std::uint32_t step = 0; step < options_.steps && result_.failures.empty(); ++step) {
    const auto active = std::ranges::count_if(clients_, [](const scenario_client& c) { return !c.p.is_over(); });
    if (static_cast<std::uint32_t>(active) < clients_max_ + witnesses_.size() && draw_.below(3) == 0) {
      const std::uint64_t die = draw_.below(20);
      const client_kind kind = die < 5    ? client_kind::echo
                               : die < 13 ? client_kind::talker
                               : die < 16 ? client_kind::chatter
                               : die < 18 ? client_kind::publisher
                                          : client_kind::vandal;
      connect(add_client(kind, static_cast<std::uint32_t>(draw_.below(rooms_.size()))));
    }
    for (scenario_client& c : clients_) {
      if (c.p.is_over()) continue;
      if (c.witness) {
        c.p.act(true);
        continue;
      }
      if (draw_.below(3) == 0) act(c);
      if (draw_.below(2) == 0) c.p.act(c.slow ? draw_.below(60) == 0 : draw_.below(4) != 0);
    }
    engine_->step();
    if (draw_.below(3) == 0) (void)world_->sleep(300'000'000);
  }
}

void scenario::act(scenario_client& c) {
  if (c.kind == client_kind::publisher) {
    if (c.asks) return;
    c.asks = true;
    const said what{c.record.id, c.next_number++};
    rooms_[c.room].was_sent(what, ++events_);
    c.p.on_answer = [this, &c](int status, std::string_view body) {
      c.asks = false;
      const auto members = number_in(body, "members");
      if (status == 200 && (members < 0 || members != number_in(body, "queued") + number_in(body, "dropped") ||
                            // Messages, and only where the policy replaces them.
                            number_in(body, "conflated") < 0 ||
                            (number_in(body, "conflated") > 0 && policy_ != slow_consumer::drop_oldest && policy_ != slow_consumer::latest)))
        fail(fmt::format("a report does not add up: {} {}", status, body));
    };
    return c.p.ask("POST", fmt::format("/rooms/{}/messages", name_of(c.room)), make_payload(what, size_of_message()));
  }
  if (c.kind == client_kind::vandal) return vandalise(c);
  if (c.p.now() != peer::state::open) return;
  const std::uint64_t die = draw_.below(1000);
  if (die < 4) return c.p.send_close(1000);
  if (die < 6) return c.p.reset();
  if (die < 8) return c.p.close();
  if (die < 9) return c.p.half_close();
  if (die < 60) return c.p.send_ping(fmt::format("ping {}", ++events_));
  if (die < 100) return;
  act_in_room(c);
}

void scenario::act_in_room(scenario_client& c) {
  // A burst now and then: several messages that arrive together.
  const std::uint64_t count = draw_.below(10) == 0 ? draw_.between(2, 12) : 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    const opcode op = c.kind == client_kind::chatter || draw_.below(2) == 0 ? opcode::text : opcode::binary;
    const said what{c.record.id, c.next_number++};
    const std::string payload = make_payload(what, size_of_message());
    if (c.kind == client_kind::echo)
      c.echoes.push_back({op, payload});
    else if (c.kind == client_kind::talker)
      rooms_[c.room].was_sent(what, ++events_);
    c.p.send_message(op, payload, draw_.below(5) == 0 ? static_cast<unsigned>(draw_.between(2, 3)) : 1);
  }
}

void scenario::vandalise(scenario_client& c) {
  switch (draw_.below(8)) {
  case 0: return c.p.send_bytes(std::string{"\x81\x05hello", 7});                        // not masked
  case 1: return c.p.send_bytes(std::string{"\xF1\x80\x00\x00\x00\x00", 6});             // reserved bits
  case 2:
    return c.p.send_bytes(std::string{"\x01\x84\x00\x00\x00\x00"
                                      "half",
                                      10});     // a fragment, and silence
  case 3: return c.p.send_bytes(std::string{"\x81\x82\x00\x00\x00\x00\xC0\x80", 8});     // not UTF-8
  case 4: return c.p.send_bytes("GARBAGE\r\n\r\n");
  case 5: return c.p.half_close();
  case 6: return c.p.close();
  default: return c.p.reset();
  }
}

void scenario::let_all_act() {
  for (scenario_client& c : clients_) c.p.act(true);
}

bool scenario::nothing_moves() const {
  if (world_->has_events()) return false;
  return std::ranges::all_of(clients_, [](const scenario_client& c) { return c.is_quiet() && !c.p.can_act(); });
}

// Time passes only while nobody can do anything.
void scenario::pass_time(std::uint64_t most_ns) {
  if (std::ranges::none_of(clients_, [](const scenario_client& c) { return c.p.can_act(); })) (void)world_->sleep(most_ns);
}

void scenario::settle(std::string_view what) {
  constexpr int rounds_max = 60'000;
  constexpr std::uint64_t time_max_ns = 50'000'000'000; // below the interval of pings
  const std::uint64_t begin = world_->now_ns();
  int calm_rounds = 0;
  for (int round = 0; round < rounds_max && world_->now_ns() - begin < time_max_ns; ++round) {
    let_all_act();
    engine_->step();
    const bool calm = nothing_moves();
    calm_rounds = calm ? calm_rounds + 1 : 0;
    // What waits for a timer of less than a second has had its turn, too.
    if (calm_rounds > 100) return;
    pass_time(calm ? 1'000'000'000 : UINT64_MAX);
  }
  fail(fmt::format("it never comes to rest: {}", what));
  world_->describe_connections();
  for (const scenario_client& c : clients_)
    if (!c.is_quiet())
      fail(fmt::format("  client {} (kind {}): port {}, state {}, unsent {}, asks {}, pongs missing {}, unparsed '{}'", c.record.id,
                       static_cast<int>(c.kind), c.p.socket().end().local_port, static_cast<int>(c.p.now()), c.p.has_unsent(), c.asks,
                       c.p.pongs_missing(), c.p.unparsed().substr(0, 300)));
}

void scenario::fall_silent() {
  if (!result_.failures.empty()) return;
  world_->faults.reset = 0;
  world_->faults.no_descriptors = 0;
  world_->faults.slow_delivery = 0; // A backlog that leaves in pieces of 20 bytes, 100 ms each, would take an hour.
  settle("everybody has fallen silent");
}

void scenario::ask_once(std::string_view method, const std::string& target, const std::string& body,
                        std::function<void(int, std::string_view)> on_answer) {
  scenario_client& c = add_client(client_kind::publisher, 0);
  connect(c);
  c.asks = true;
  bool answered = false;
  c.p.on_answer = [&](int status, std::string_view text) {
    c.asks = false;
    answered = true;
    on_answer(status, text);
  };
  c.p.ask(method, target, body);
  settle(fmt::format("{} {} is answered", method, target));
  if (!answered) fail(fmt::format("{} {} was not answered", method, target));
  c.p.on_answer = nullptr;
}

void scenario::count_and_probe() {
  for (std::uint32_t room = 0; room < rooms_.size(); ++room) {
    const auto members = std::ranges::count_if(clients_, [&](const scenario_client& c) { return c.is_member() && c.room == room; });
    // Vandals that have not broken anything yet sit there, too.
    const auto vandals =
        std::ranges::count_if(clients_, [&](const scenario_client& c) { return c.kind == client_kind::vandal && c.room == room && !c.p.is_over(); });
    const auto is_right = [&](std::int64_t counted) { return counted >= members && counted <= members + vandals; };
    ask_once("GET", "/rooms/" + name_of(room), {}, [&](int status, std::string_view body) {
      const std::int64_t counted = status == 404 ? 0 : number_in(body, "members");
      if (!is_right(counted)) fail(fmt::format("{} members are in {}, and the listing says: {} {}", members, name_of(room), status, body));
    });
    const said last{next_id_++, 0};
    rooms_[room].was_sent(last, ++events_);
    ask_once("POST", fmt::format("/rooms/{}/messages", name_of(room)), make_payload(last, 20), [&](int status, std::string_view body) {
      const std::int64_t counted = number_in(body, "members");
      if (status != 200 || !is_right(counted) || number_in(body, "queued") != counted || number_in(body, "conflated") > vandals)
        fail(fmt::format("{} members are in {} and keep up, and the report says: {} {}", members, name_of(room), status, body));
    });
    if (!result_.failures.empty()) return;
    for (const scenario_client& c : clients_)
      if (c.is_member() && c.room == room && (c.record.heard.empty() || c.record.heard.back() != last))
        fail(fmt::format("member {} of {} did not hear the last message", c.record.id, name_of(room)));
  }
}

void scenario::judge() {
  for (const scenario_client& c : clients_) {
    if (!c.p.complaint().empty()) fail(fmt::format("client {}: {}", c.record.id, c.p.complaint()));
    if (c.kind == client_kind::echo && c.p.now() == peer::state::open && !c.echoes.empty())
      fail(fmt::format("echo client {} still waits for {} messages", c.record.id, c.echoes.size()));
    if (c.p.close_code() == 1013 && policy_ != slow_consumer::close)
      fail(fmt::format("client {} was closed as too slow, and that is not the policy", c.record.id));
    if (c.kind != client_kind::vandal && c.p.close_code() != 0 && c.p.close_code() != 1000 && c.p.close_code() != 1013)
      fail(fmt::format("client {} was closed with {}", c.record.id, c.p.close_code()));
  }
  std::uint64_t gaps = 0;
  for (std::uint32_t room = 0; room < rooms_.size(); ++room) {
    std::vector<const member_record*> members;
    for (scenario_client& c : clients_) {
      if (c.kind != client_kind::talker || c.room != room) continue;
      c.record.healthy = c.p.now() == peer::state::open;
      members.push_back(&c.record);
    }
    gaps += rooms_[room].judge(members, witnesses_[room]->record, policy_ != slow_consumer::close, result_.failures);
  }
  std::vector<const chat_record*> chatters;
  for (scenario_client& c : clients_) {
    if (c.kind != client_kind::chatter) continue;
    c.chat.healthy = c.p.now() == peer::state::open;
    if (!c.witness && c.record.opened) chatters.push_back(&c.chat);
  }
  judge_chat(chat_witness_->chat, chatters, policy_ != slow_consumer::close, result_.failures);
  result_.gaps = gaps;
  world_->happened["gaps told"] += gaps_told_;
  if (gaps > engine_->messages_lost_to_policy())
    fail(fmt::format("members miss {} messages, and the policy took only {}", gaps, engine_->messages_lost_to_policy()));
}

void scenario::leave() {
  if (stop_with_clients_) return;
  for (scenario_client& c : clients_) {
    if (c.p.is_over()) continue;
    switch (draw_.below(4)) {
    case 0: c.p.reset(); break;
    case 1: c.p.close(); break;
    default:
      if (c.p.now() == peer::state::open && c.kind != client_kind::vandal)
        c.p.send_close(1000);
      else
        c.p.close();
    }
  }
  for (int round = 0; round < 20'000 && engine_->connections() > 0; ++round) {
    let_all_act();
    engine_->step();
    pass_time();
  }
  // A room without members may stay for some turns.
  for (int round = 0; round < 200; ++round) {
    engine_->step();
    if (const auto next = world_->next_event_ns(); next && *next - world_->now_ns() < 5'000'000) (void)world_->sleep();
  }
  for (const std::string& what : engine_->remains()) fail("everybody has left, but " + what);
  if (!result_.failures.empty()) world_->describe_connections();
  if (!world_->sleep()) fail("everybody has left, but a shard does not sleep");
  for (const scenario_client& c : clients_)
    if (c.kind != client_kind::vandal && c.p.now() == peer::state::closing) fail(fmt::format("client {} waits for a Close frame", c.record.id));
}

void scenario::stop() {
  engine_->begin_stop();
  const std::uint64_t begin = world_->now_ns();
  for (int round = 0; round < 50'000 && !engine_->has_stopped(); ++round) {
    let_all_act();
    engine_->step();
    pass_time();
  }
  if (!engine_->has_stopped()) fail("the engine does not stop");
  if (world_->now_ns() - begin > 10'000'000'000) fail("stopping takes more than ten seconds");
  for (int round = 0; round < 200; ++round) {
    let_all_act();
    world_->advance_by(100'000'000);
  }
  if (!stop_with_clients_) return;
  for (const scenario_client& c : clients_)
    if (c.kind != client_kind::vandal && c.record.healthy && c.p.close_code() != 1001)
      fail(fmt::format("the server stopped, and client {} was not told 1001 but {} (state {})", c.record.id, c.p.close_code(),
                       static_cast<int>(c.p.now())));
}

} // namespace

scenario_result run_scenario(const scenario_options& options) { return scenario(options).run(); }

} // namespace ringcast::sim

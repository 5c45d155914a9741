// Rooms that remember, from a seed: members that come, read slowly, go and come back with their position, over several shards, in every encoding,
// while others talk. Each number means one message, to everybody and for ever; nobody hears a number twice or misses one without being told.
#include "tests/sim/kernel/random_source.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"
#include <ringcast/base64.hpp>
#include <ringcast/position.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

// What everybody agrees on: the message of each number, found out by whoever hears it first.
struct agreed_log {
  std::string epoch;
  std::map<std::uint64_t, std::string> messages;
  std::uint64_t newest = 0;

  void hear(std::uint64_t sequence, const std::string& payload) {
    const auto [found, is_new] = messages.emplace(sequence, payload);
    BOOST_REQUIRE_EQUAL(found->second, payload);
    newest = std::max(newest, sequence);
  }
  // What a member without numbers has heard: each message stands behind the one before it, and none is left out. Of what was kept it may have
  // heard what is older than everything with a number.
  void judge_run(const std::vector<std::string>& heard) const {
    std::size_t older = 0;
    auto first = messages.end();
    while (older < heard.size() && first == messages.end())
      if (first = std::ranges::find_if(messages, [&](const auto& entry) { return entry.second == heard[older]; }); first == messages.end()) ++older;
    if (older == heard.size()) return;
    BOOST_REQUIRE_MESSAGE(older == 0 || (first == messages.begin() && older < first->first),
                          "a message that nobody else has heard: " << heard[older]);
    for (std::size_t i = older; i < heard.size(); ++i) {
      const auto found = messages.find(first->first + i - older);
      BOOST_REQUIRE(found != messages.end());
      BOOST_REQUIRE_EQUAL(found->second, heard[i]);
    }
  }
};

struct ask {
  enum class face : std::uint8_t { plain, numbered, events } as = face::numbered;
  std::optional<std::uint32_t> last;
  std::optional<std::uint64_t> since;
  bool wrong_epoch = false; // it has come back with a position of another run
};

// A member, one connection long.
class listener {
 public:
  listener(kernel& world, agreed_log& log, const ask& wanted, std::uint64_t kept_max) : p(world), log_(log), asked_(wanted), kept_max_(kept_max) {
    p.on_message = [this](const peer_message& m) { hear(m); };
    p.on_event = [this](const event_reader::event& e) { hear_event(e); };
  }

  void join(random_source& draw) {
    std::string target = asked_.as == ask::face::numbered ? "/broadcast/room?gaps=1&seq=1" : "/broadcast/room?gaps=0";
    if (asked_.last) target += fmt::format("&history={}", *asked_.last);
    const std::string since = asked_.since ? fmt::format("{}:{}", log_.epoch, *asked_.since) : "";
    if (asked_.as != ask::face::events) return p.ask_for_websocket(asked_.since ? target + "&since=" + since : target);
    // A page's own place is older than what its browser has heard since.
    if (draw.below(2) == 0) return p.ask_for_events(asked_.since ? target + "&since=" + since : target, {});
    p.ask_for_events(target + fmt::format("&since={:016x}:0", 1), since.empty() ? fmt::format("{:016x}:0", 1) : since);
    if (!asked_.since) asked_.wrong_epoch = true;
  }
  [[nodiscard]] std::uint64_t next() const { return next_; }
  // Whether it knows which number comes next.
  [[nodiscard]] bool is_numbered() const { return asked_.as != ask::face::plain; }
  [[nodiscard]] std::uint64_t heard() const { return heard_; }
  [[nodiscard]] std::uint64_t gaps() const { return gaps_; }
  // What it has heard without numbers.
  [[nodiscard]] const std::vector<std::string>& plain() const { return plain_; }

  peer p;

 private:
  void hear(const peer_message& m) {
    if (!is_numbered()) return hear_plain(m.payload);
    if (next_ == 0) return hear_hello(nlohmann::json::parse(m.payload));
    if (m.payload.starts_with(R"({"gap")")) return hear_gap(nlohmann::json::parse(m.payload)["gap"]);
    std::uint64_t sequence = 0;
    std::string payload;
    if (m.op == opcode::text) {
      const std::size_t end = m.payload.find('\n');
      BOOST_REQUIRE(end != std::string::npos);
      sequence = std::stoull(m.payload.substr(0, end));
      payload = m.payload.substr(end + 1);
    } else {
      BOOST_REQUIRE(m.payload.size() >= 8);
      for (std::size_t i = 0; i < 8; ++i) sequence = sequence << 8 | static_cast<unsigned char>(m.payload[i]);
      payload = m.payload.substr(8);
    }
    hear(sequence, payload);
  }

  void hear(std::uint64_t sequence, const std::string& payload) {
    BOOST_REQUIRE_EQUAL(sequence, next_);
    log_.hear(sequence, payload);
    ++next_;
    ++heard_;
  }

  // Whoever comes back with the id of any event misses nothing.
  void hear_event(const event_reader::event& e) {
    if (next_ == 0) {
      BOOST_REQUIRE_EQUAL(e.name, "joined");
      hear_hello(nlohmann::json::parse(e.data));
    } else if (e.name == "gap") {
      return hear_gap(nlohmann::json::parse(e.data));
    } else if (e.name == "close") {
      return;
    } else if (e.name == "binary") {
      std::vector<std::byte> bytes(e.data.size());
      const auto count = base64_decode(e.data, bytes);
      BOOST_REQUIRE(count.has_value());
      hear(next_, {reinterpret_cast<const char*>(bytes.data()), *count});
    } else {
      BOOST_REQUIRE_EQUAL(e.name, "message");
      hear(next_, e.data);
    }
    BOOST_REQUIRE_EQUAL(e.id, fmt::format("{}:{}", log_.epoch, next_ - 1));
  }

  // What the policy took from it is told in its place, whole.
  void hear_gap(const nlohmann::json& gap) {
    BOOST_REQUIRE_EQUAL(gap["from"].get<std::uint64_t>(), next_);
    BOOST_REQUIRE(gap["to"].get<std::uint64_t>() >= next_);
    next_ = gap["to"].get<std::uint64_t>() + 1;
    ++gaps_;
  }

  void hear_hello(const nlohmann::json& hello) {
    BOOST_REQUIRE_EQUAL(hello["room"], "room");
    if (log_.epoch.empty()) log_.epoch = hello["epoch"];
    BOOST_REQUIRE_EQUAL(hello["epoch"], log_.epoch);
    const std::uint64_t newest = hello["seq"];
    const std::uint64_t oldest = newest + 1 - std::min(newest, kept_max_);
    const bool can_resume = asked_.since && *asked_.since <= newest && *asked_.since + 1 >= oldest;
    BOOST_REQUIRE_EQUAL(hello["resumed"].get<bool>(), can_resume);
    std::uint64_t last = asked_.last.value_or(0);
    if ((asked_.since || asked_.wrong_epoch) && last == 0) last = kept_max_;
    next_ = can_resume ? *asked_.since + 1 : std::max(oldest, newest + 1 - std::min(newest, last));
  }

  void hear_plain(const std::string& payload) {
    plain_.push_back(payload);
    ++heard_;
  }

  agreed_log& log_;
  ask asked_;
  std::uint64_t kept_max_;
  std::uint64_t next_ = 0; // the number that must come next; 0: the first message has not come
  std::uint64_t heard_ = 0;
  std::uint64_t gaps_ = 0;
  std::vector<std::string> plain_;
};

// A message names itself, and is text or bytes; some are large, some compress.
struct speaker {
  peer p;
  std::uint32_t said = 0;
  std::string name;
  speaker(kernel& world, std::string called) : p(world), name(std::move(called)) {}
  void speak(random_source& draw) {
    std::string text = fmt::format("{} says {}", name, ++said);
    const std::uint64_t size = draw.below(20);
    if (size < 4) text += std::string(size * 700, 'a');
    if (size == 4) text += std::string(60'000, 'b');
    if (size == 5) text += "\nin two lines\n";
    p.send_message(draw.below(3) == 0 ? opcode::binary : opcode::text, text);
  }
};

struct outcome {
  std::uint64_t heard = 0, resumed = 0, gaps = 0, closed = 0, streams = 0;

  void add(const outcome& more) { heard += more.heard, resumed += more.resumed, gaps += more.gaps, closed += more.closed, streams += more.streams; }
};

// With a policy members may be too slow, and lose what it takes from them.
outcome run_seed(std::uint64_t seed, std::uint32_t shards, bool with_faults, std::optional<slow_consumer> policy) {
  random_source draw(seed);
  fault_plan faults = with_faults ? draw_faults(draw) : fault_plan{};
  faults.reset = 0; // who is away is decided here
  faults.no_descriptors = 0;
  kernel world(seed, faults, draw_machine(draw));
  const std::uint64_t kept = draw.below(2) == 0 ? 20 : 200;
  engine_options options{.shards = shards};
  options.each.history.messages = kept;
  options.each.policy = policy.value_or(slow_consumer::close);
  options.each.limits.send_queue_bytes_max = policy ? 4096 : 64u << 20;
  engine_world engine(world, options);
  agreed_log log;
  outcome all;
  std::list<speaker> speakers;
  for (int i = 0; i < 3; ++i) {
    speaker& s = speakers.emplace_back(world, fmt::format("speaker-{}", i));
    BOOST_REQUIRE(s.p.connect(engine_world::port));
    s.p.ask_for_websocket("/broadcast/room?self=0");
  }
  std::list<listener> listeners;
  std::vector<std::uint64_t> left_at; // where somebody stopped hearing
  std::vector<std::vector<std::string>> plain;
  const auto arrive = [&] {
    ask wanted;
    const std::uint64_t face = draw.below(5);
    wanted.as = log.epoch.empty() || face >= 3 ? ask::face::numbered : face == 0 ? ask::face::plain : ask::face::events;
    if (draw.below(2) == 0) wanted.last = static_cast<std::uint32_t>(draw.below(30));
    if (!left_at.empty() && draw.below(3) != 0) {
      wanted.since = left_at.back();
      left_at.pop_back();
      ++all.resumed;
    } else if (!log.epoch.empty() && draw.below(6) == 0) {
      wanted.since = draw.below(2) == 0 ? 0 : log.newest + 1000; // all of it, or from the future
    }
    listener& l = listeners.emplace_back(world, log, wanted, kept);
    if (draw.below(2) == 0) l.p.offers.emplace();
    if (!l.p.connect(engine_world::port)) return listeners.pop_back();
    l.join(draw);
    if (wanted.as == ask::face::events) ++all.streams;
  };
  arrive();
  const auto move = [&](bool all_read) {
    for (speaker& s : speakers) s.p.act(true);
    for (listener& l : listeners) l.p.act(all_read || draw.below(policy ? 20 : 3) == 0);
    engine.step();
    world.advance_by(100'000);
  };
  for (int i = 0; i < 1500; ++i) {
    if (draw.below(4) == 0) {
      auto s = speakers.begin();
      std::advance(s, static_cast<std::ptrdiff_t>(draw.below(speakers.size())));
      if (s->p.now() == peer::state::open && !s->p.has_unsent()) s->speak(draw);
    }
    if (listeners.size() < 6 && draw.below(30) == 0) arrive();
    if (draw.below(60) == 0 && listeners.size() > 1) {
      // Not the first one, which is the witness of all that was said.
      auto l = std::next(listeners.begin());
      std::advance(l, static_cast<std::ptrdiff_t>(draw.below(listeners.size() - 1)));
      if (l->is_numbered() && l->next() > 0) left_at.push_back(l->next() - 1);
      if (!l->is_numbered() && !policy) plain.push_back(l->plain());
      all.heard += l->heard();
      all.gaps += l->gaps();
      if (draw.below(2) == 0)
        l->p.reset();
      else
        l->p.close();
      listeners.erase(l);
    }
    move(false);
    // Who was closed for being slow is not there any more, nor does it come back with a position that is wrong.
    std::erase_if(listeners, [&](const listener& l) {
      if (!policy || !l.p.is_over()) return false;
      if (l.is_numbered() && l.next() > 0) left_at.push_back(l.next() - 1);
      all.heard += l.heard();
      ++all.closed;
      return true;
    });
    if (listeners.empty()) arrive();
  }
  // Until nothing is under way any more.
  const auto said = [&] {
    for (std::uint32_t i = 0; i < engine.shard_count(); ++i)
      if (const home_room* home = engine.at(i).home().find("room")) return home->next_sequence - 1;
    return std::uint64_t{0};
  };
  const auto all_heard = [&] {
    return std::ranges::none_of(speakers, [](const speaker& s) { return s.p.has_unsent(); }) &&
           std::ranges::all_of(listeners, [&](const listener& l) {
             return l.p.is_over() || (l.p.now() == peer::state::open && (!l.is_numbered() || l.next() == said() + 1));
           });
  };
  for (int quiet = 0, i = 0; quiet < 300 && i < 40'000; ++i) {
    move(true);
    world.advance_by(1'000'000);
    quiet = all_heard() ? quiet + 1 : 0;
  }
  for (listener& l : listeners) {
    BOOST_REQUIRE_EQUAL(l.p.complaint(), "");
    all.heard += l.heard();
    all.gaps += l.gaps();
    if (policy && l.p.is_over()) continue;
    BOOST_REQUIRE_EQUAL(static_cast<int>(l.p.now()), static_cast<int>(peer::state::open));
    if (l.is_numbered() && l.next() > 0) BOOST_REQUIRE_EQUAL(l.next(), said() + 1);
    if (!l.is_numbered() && !policy) plain.push_back(l.plain());
  }
  for (const auto& heard : plain) log.judge_run(heard);
  for (speaker& s : speakers) s.p.close();
  for (listener& l : listeners) l.p.close();
  engine.begin_stop();
  for (int i = 0; i < 5000 && !engine.has_stopped(); ++i) {
    engine.step();
    (void)world.sleep();
  }
  BOOST_TEST(engine.has_stopped());
  return all;
}

} // namespace

BOOST_AUTO_TEST_SUITE(history)

BOOST_AUTO_TEST_CASE(members_that_come_back_with_their_position_miss_nothing_and_hear_nothing_twice) {
  outcome sum;
  for (const std::uint32_t shards : {1u, 2u, 4u})
    for (std::uint64_t seed = 1; seed <= 8; ++seed) BOOST_TEST_CONTEXT("seed " << seed << ", shards " << shards) {
        sum.add(run_seed(seed, shards, seed % 2 == 0, std::nullopt));
      }
  BOOST_TEST_MESSAGE(sum.heard << " messages heard, " << sum.resumed << " came back");
  BOOST_TEST(sum.resumed > 150u);
  BOOST_TEST(sum.streams > 150u);
  BOOST_TEST(sum.heard > 15'000u);
}

// The past that somebody asks for is more than a member may be behind, and it counts for nothing: what is said meanwhile does.
BOOST_AUTO_TEST_CASE(a_long_replay_makes_nobody_slow) {
  constexpr std::uint32_t kept = 200;
  kernel world(1, {}, {.send_bytes_min = 8192, .send_bytes_max = 8192, .receive_bytes_min = 8192, .receive_bytes_max = 8192});
  engine_options options;
  options.each.history.messages = kept;
  options.each.limits.send_queue_bytes_max = 8192;
  engine_world engine(world, options);
  const std::string payload(700, 'x');
  const auto say = [&] { BOOST_REQUIRE(engine.at(0).home().publish_to("room", opcode::text, std::as_bytes(std::span{payload}))); };
  for (std::uint32_t i = 0; i < kept; ++i) say();
  engine.step();
  peer p(world);
  std::uint32_t heard = 0;
  p.on_message = [&heard](const peer_message& m) { heard += m.payload.size() == 700 ? 1 : 0; };
  BOOST_REQUIRE(p.connect(engine_world::port));
  p.ask_for_websocket("/broadcast/room?history=200");
  const auto run = [&](bool reads) {
    for (int i = 0; i < 100; ++i) {
      p.act(reads);
      engine.step();
      world.advance_by(1'000'000);
    }
  };
  run(false); // it is sent what fits, and reads nothing
  for (int i = 0; i < 5; ++i) {
    say();
    run(false);
  }
  for (int i = 0; i < 20; ++i) run(true);
  BOOST_TEST((p.now() == peer::state::open));
  BOOST_TEST(heard == kept + 5);
  // What is said while it does not read is another matter.
  for (int i = 0; i < 60; ++i) {
    say();
    engine.step();
  }
  run(false);
  run(true);
  BOOST_TEST(p.close_code() == 1013u);
  p.close();
  engine.begin_stop();
  for (int i = 0; i < 5000 && !engine.has_stopped(); ++i) {
    engine.step();
    (void)world.sleep();
  }
  BOOST_TEST(engine.has_stopped());
}

BOOST_AUTO_TEST_CASE(what_a_policy_takes_from_a_member_is_told_also_while_it_hears_what_was_said_before) {
  for (const slow_consumer policy : {slow_consumer::close, slow_consumer::drop_newest, slow_consumer::drop_oldest, slow_consumer::latest}) {
    outcome sum;
    for (std::uint64_t seed = 1; seed <= 6; ++seed) BOOST_TEST_CONTEXT("seed " << seed << ", policy " << static_cast<int>(policy)) {
        sum.add(run_seed(seed, 2, seed % 2 == 0, policy));
      }
    BOOST_TEST_MESSAGE("policy " << static_cast<int>(policy) << ": " << sum.heard << " heard, " << sum.gaps << " gaps, " << sum.closed << " closed");
    BOOST_TEST((policy == slow_consumer::close ? sum.closed : sum.gaps) > 3u);
  }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

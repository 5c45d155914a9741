// Rooms that are one over several servers, on an engine that fails in every way, from a seed. Every member of every server hears what the engine has
// numbered, in that order, each number once, and is told of every number that it does not hear; when the engine rests, everybody stands where it stands.
#include "engine/base/log.hpp"
#include "tests/sim/kernel/random_source.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/memory_cluster.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <list>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

struct outcome {
  std::uint64_t heard = 0, gaps = 0, resets = 0, lost = 0, refused = 0, resumed = 0, acknowledged = 0, unavailable = 0, replaced = 0, stayed = 0;
  memory_cluster::counts faults;
};

// Somebody who listens to a room with numbers, and talks.
struct member {
  peer p;
  memory_cluster& truth;
  outcome& sum;
  const std::string room, name;
  const bool deaf; // to what it says itself
  std::uint64_t epoch = 0;
  std::optional<std::uint64_t> last; // the number that it heard last, or was told of
  std::uint64_t hello_sequence = 0;
  std::optional<room_position> since;
  std::uint32_t spoken = 0;
  bool was_refused = false;
  std::string wrong;

  member(kernel& world, memory_cluster& t, outcome& s, std::string in, std::string who, bool is_deaf)
      : p(world), truth(t), sum(s), room(std::move(in)), name(std::move(who)), deaf(is_deaf) {
    p.on_message = [this](const peer_message& m) { hear(m.payload); };
    p.on_answer = [this](int status, std::string_view) { was_refused = status == 503; };
  }

  bool connect(std::uint16_t port) {
    if (!p.connect(port)) return false;
    std::string target = fmt::format("/broadcast/{}?seq=1&gaps=1", room);
    if (deaf) target += "&self=0";
    if (since) target += "&since=" + text_of(*since);
    p.ask_for_websocket(target);
    return true;
  }
  void talk() { p.send_message(opcode::text, fmt::format("{} says {}", name, ++spoken)); }
  [[nodiscard]] bool is_here() const { return p.now() == peer::state::open && epoch != 0; }
  [[nodiscard]] bool is_over() const { return p.is_over() || was_refused; }
  [[nodiscard]] room_position position() const { return {epoch, last.value_or(hello_sequence)}; }

  void complain(std::string what) {
    if (wrong.empty()) wrong = fmt::format("{} at {}: {}", name, text_of(position()), what);
  }
  void hear(const std::string& text) {
    if (text.starts_with('{')) return hear(nlohmann::json::parse(text));
    const std::size_t end = text.find('\n');
    const std::uint64_t number = std::stoull(text.substr(0, end));
    const std::string said = text.substr(end + 1);
    ++sum.heard;
    const auto& all = truth.said(room);
    const auto at = all.find({epoch, number});
    if (at == all.end()) return complain(fmt::format("number {} was never given", number));
    if (at->second != said) return complain(fmt::format("number {} is \"{}\" and not \"{}\"", number, at->second, said));
    if (last && !follows(number)) return complain(fmt::format("heard {}", number));
    if (!last && number > hello_sequence + 1 && !follows(number, hello_sequence)) return complain(fmt::format("begins with {}", number));
    last = number;
  }
  // Between them is at most what a member does not want to hear.
  [[nodiscard]] bool follows(std::uint64_t number) const { return follows(number, *last); }
  [[nodiscard]] bool follows(std::uint64_t number, std::uint64_t behind) const {
    if (number <= behind) return false;
    while (++behind < number) {
      const auto skipped = truth.said(room).find({epoch, behind});
      if (!deaf || skipped == truth.said(room).end() || !skipped->second.starts_with(name + " says")) return false;
    }
    return true;
  }
  void hear(const nlohmann::json& told) {
    if (told.contains("room")) {
      const bool resumed = told["resumed"];
      epoch = std::stoull(told["epoch"].get<std::string>(), nullptr, 16);
      hello_sequence = told["seq"];
      if (resumed && (!since || since->epoch != epoch)) complain("resumed in another epoch");
      if (resumed) last = since->sequence, ++sum.resumed;
    } else if (told.contains("gap")) {
      ++sum.gaps;
      const std::uint64_t from = told["gap"]["from"], to = told["gap"]["to"];
      if (last && !follows(from)) complain(fmt::format("a gap that begins with {}", from));
      if (to < from) complain("a gap of nothing");
      last = to;
    } else if (told.contains("reset")) {
      ++sum.resets;
      epoch = std::stoull(told["reset"]["epoch"].get<std::string>(), nullptr, 16);
      last = told["reset"]["seq"].get<std::uint64_t>();
    } else if (told.contains("cluster")) {
      sum.lost += told["cluster"] == "lost" ? 1 : 0;
      sum.refused += told["cluster"] == "refused" ? 1 : 0;
    }
  }
};

// Whoever publishes over HTTP, one after the other.
struct publisher {
  peer p;
  std::uint32_t asked = 0;
  bool waits = false;
  std::string body, room, wrong;

  publisher(kernel& world, memory_cluster& truth, outcome& sum) : p(world) {
    p.on_answer = [this, &truth, &sum](int status, std::string_view answer) {
      waits = false;
      if (status == 503) ++sum.unavailable;
      if (status != 200) return;
      ++sum.acknowledged;
      const auto told = nlohmann::json::parse(answer);
      const std::uint64_t epoch = std::stoull(told["epoch"].get<std::string>(), nullptr, 16);
      const auto& all = truth.said(room);
      const auto at = all.find({epoch, told["seq"].get<std::uint64_t>()});
      if (at == all.end() || at->second != body) wrong = fmt::format("\"{}\" is said to be {}", body, answer);
    };
  }
  void publish(std::string to) {
    room = std::move(to);
    body = fmt::format("posted {}", ++asked);
    waits = true;
    p.ask("POST", "/rooms/" + room + "/messages", body);
  }
};

struct plan {
  std::uint32_t nodes = 3, shards = 2;
  bool fails = true;
};

class world_of_nodes {
 public:
  world_of_nodes(std::uint64_t seed, const plan& how) : how_(how), draw_(seed), world_(seed, {}, draw_machine(draw_)), truth_(world_, draw_) {
    for (std::uint32_t i = 0; i < how.nodes; ++i) {
      engine_options options{.shards = how.shards, .port = port_of(i)};
      options.each.rooms_like = {{"one*", {.history = history_options{.messages = 40}, .cluster = true}}};
      options.each.make_cluster = [this](std::uint32_t, ring&) { return truth_.connect(); };
      nodes_.push_back(std::make_unique<engine_world>(world_, options));
    }
    for (std::uint32_t i = 0; i < how.nodes; ++i) {
      publisher& by = publishers_.emplace_back(world_, truth_, sum_);
      BOOST_REQUIRE(by.p.connect(port_of(i)));
    }
  }

  outcome run() {
    for (int i = 0; i < 3000; ++i) {
      come_and_go();
      for (member& m : members_)
        if (m.is_here() && draw_.below(12) == 0) m.talk();
      for (publisher& by : publishers_)
        if (!by.waits && draw_.below(10) == 0) by.publish(room());
      if (how_.fails) fail();
      step(draw_.below(2'000'000), draw_.below(5) != 0);
    }
    // The engine rests, and everybody who is here comes to stand where it stands: a comparison finds what left no trace within five seconds.
    for (int i = 0; i < 9000 && !(i > 6500 && all_stand_at_the_top()); ++i) step(1'000'000, true);
    judge();
    for (member& m : members_) m.p.close();
    for (publisher& by : publishers_) by.p.close();
    for (auto& node : nodes_) node->begin_stop();
    for (int i = 0; i < 5000 && !have_stopped(); ++i) step(1'000'000, true);
    BOOST_TEST(have_stopped());
    sum_.faults = truth_.happened();
    return sum_;
  }

 private:
  static std::uint16_t port_of(std::uint32_t node) { return static_cast<std::uint16_t>(9000 + node); }
  std::string room() { return fmt::format("one{}", draw_.below(3)); }

  void step(std::uint64_t ns, bool all_read) {
    for (member& m : members_) m.p.act(all_read || draw_.below(2) == 0);
    for (publisher& by : publishers_) by.p.act(true);
    truth_.step();
    for (auto& node : nodes_) node->step();
    world_.advance_by(ns);
  }
  // Who goes comes back at any node, where it was.
  void come_and_go() {
    if (members_.size() < 9 && draw_.below(20) == 0) {
      member& m = members_.emplace_back(world_, truth_, sum_, room(), fmt::format("m{}", ++named_), draw_.below(4) == 0);
      BOOST_REQUIRE(m.connect(port_of(static_cast<std::uint32_t>(draw_.below(how_.nodes)))));
    }
    for (auto m = members_.begin(); m != members_.end();) {
      BOOST_REQUIRE_EQUAL(m->wrong, "");
      BOOST_REQUIRE_EQUAL(m->p.complaint(), "");
      const bool goes = m->is_here() && draw_.below(400) == 0;
      if (goes) m->p.reset();
      if (!goes && !m->is_over()) {
        ++m;
        continue;
      }
      if (m->epoch != 0 && draw_.below(2) == 0) {
        ++sum_.replaced;
        member& back = members_.emplace_back(world_, truth_, sum_, m->room, fmt::format("m{}", ++named_), false);
        back.since = m->position();
        BOOST_REQUIRE(back.connect(port_of(static_cast<std::uint32_t>(draw_.below(how_.nodes)))));
      }
      m = members_.erase(m);
    }
  }
  void fail() {
    if (draw_.below(60) == 0) truth_.cut_one();
    if (draw_.below(50) == 0) truth_.drop_a_subscription();
    if (draw_.below(80) == 0) truth_.forget_all_but(draw_.below(6));
    if (draw_.below(500) == 0) truth_.lose_newest();
    if (draw_.below(800) == 0) truth_.lose_all();
    if (draw_.below(500) == 0) truth_.cut_all(draw_.below(100'000'000));
  }
  bool all_stand_at_the_top() {
    for (member& m : members_)
      if (m.is_here() && !stands_at_the_top(m)) return false;
    return true;
  }
  bool stands_at_the_top(member& m) {
    const room_position top = truth_.top_of(m.room);
    return m.position() == top || (m.deaf && m.epoch == top.epoch && m.follows(top.sequence + 1, m.position().sequence));
  }
  void judge() {
    std::size_t here = 0;
    for (member& m : members_) {
      BOOST_REQUIRE_EQUAL(m.wrong, "");
      BOOST_REQUIRE_EQUAL(m.p.complaint(), "");
      // Whoever is not here was refused, and knows it.
      if (m.is_over()) continue;
      BOOST_TEST(m.is_here(), m.name << " waits in state " << static_cast<int>(m.p.now()));
      if (!m.is_here()) continue;
      ++here;
      BOOST_TEST(stands_at_the_top(m),
                 m.name << " in " << m.room << " stands at " << text_of(m.position()) << " and the room at " << text_of(truth_.top_of(m.room)));
    }
    sum_.stayed = here;
    for (const publisher& by : publishers_) {
      BOOST_TEST(by.wrong == "");
      BOOST_TEST(!by.waits);
    }
  }
  bool have_stopped() const {
    return std::ranges::all_of(nodes_, [](const auto& node) { return node->has_stopped(); });
  }

  const plan how_;
  random_source draw_;
  kernel world_;
  memory_cluster truth_;
  outcome sum_;
  std::vector<std::unique_ptr<engine_world>> nodes_;
  std::list<publisher> publishers_;
  std::list<member> members_;
  std::uint32_t named_ = 0;
};

} // namespace

BOOST_AUTO_TEST_SUITE(cluster)

BOOST_AUTO_TEST_CASE(all_members_of_all_servers_hear_one_order) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) BOOST_TEST_CONTEXT("seed " << seed) {
      const outcome sum = world_of_nodes(seed, {.nodes = 3, .shards = 1 + static_cast<std::uint32_t>(seed % 3), .fails = false}).run();
      BOOST_TEST(sum.heard > 1000u);
      BOOST_TEST(sum.stayed > 2u);
      BOOST_TEST(sum.gaps == 0u);
      BOOST_TEST(sum.resets == 0u);
      BOOST_TEST(sum.refused == 0u);
    }
}

BOOST_AUTO_TEST_CASE(whatever_fails_nobody_hears_a_number_twice_or_wrong_and_nothing_is_lost_in_silence) {
  set_log_level(log_level::off);
  outcome all;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) BOOST_TEST_CONTEXT("seed " << seed) {
      const outcome sum =
          world_of_nodes(seed, {.nodes = 2 + static_cast<std::uint32_t>(seed % 2), .shards = 1 + static_cast<std::uint32_t>(seed % 3)}).run();
      all.heard += sum.heard, all.gaps += sum.gaps, all.resets += sum.resets, all.lost += sum.lost, all.refused += sum.refused;
      all.resumed += sum.resumed, all.acknowledged += sum.acknowledged, all.unavailable += sum.unavailable, all.stayed += sum.stayed;
      all.faults.subscriptions_dropped += sum.faults.subscriptions_dropped, all.faults.replies_lost += sum.faults.replies_lost;
    }
  BOOST_TEST_MESSAGE(all.heard << " heard, " << all.gaps << " gaps, " << all.resets << " resets, " << all.lost << " times lost, " << all.refused
                               << " refused, " << all.resumed << " resumed, " << all.acknowledged << " acknowledged, " << all.unavailable
                               << " unavailable, " << all.faults.subscriptions_dropped << " subscriptions dropped, " << all.faults.replies_lost
                               << " replies lost");
  // Each of these has happened.
  for (const std::uint64_t count : {all.heard, all.gaps, all.resets, all.lost, all.refused, all.resumed, all.acknowledged, all.unavailable,
                                    all.stayed, all.faults.subscriptions_dropped, all.faults.replies_lost})
    BOOST_TEST(count > 20u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

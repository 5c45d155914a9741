// What a server bounds by itself in a room that is one over several: how many of its own members are in it, and how fast it is said something here.
#include "tests/sim/kernel/random_source.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/memory_cluster.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

struct asker {
  peer p;
  std::vector<std::pair<int, std::string>> answers;
  explicit asker(kernel& world) : p(world) {
    p.on_answer = [this](int status, std::string_view body) { answers.emplace_back(status, body); };
  }
};

class bounded_node {
 public:
  bounded_node(std::uint32_t shards, const room_rules& rules) : node_(world_, with(shards, rules)) {
    run_until([] { return false; }, 100);
  }

  asker& ask() {
    asker& made = askers_.emplace_back(world_);
    BOOST_REQUIRE(made.p.connect(engine_world::port));
    return made;
  }
  asker& come() {
    asker& made = ask();
    made.p.ask_for_websocket("/broadcast/one");
    return made;
  }
  void cut(std::uint64_t away_ms) { truth_.cut_all(away_ms * 1'000'000); }

  void lose_all() { truth_.lose_all(); }
  shard_statistics total() {
    shard_statistics sum;
    for (std::uint32_t i = 0; i < node_.shard_count(); ++i) sum.add(node_.at(i).statistics());
    return sum;
  }

  // In steps of a millisecond.
  template <class Done> void run_until(Done&& done, int ms_max = 1'000) {
    for (int i = 0; i < ms_max && !done(); ++i) {
      for (asker& each : askers_) each.p.act(true);
      truth_.step();
      node_.step();
      world_.advance_by(1'000'000);
    }
  }
  void end() {
    for (asker& each : askers_) each.p.close();
    node_.begin_stop();
    run_until([this] { return node_.has_stopped(); }, 5'000);
    BOOST_TEST(node_.has_stopped());
  }

 private:
  engine_options with(std::uint32_t shards, const room_rules& rules) {
    engine_options options{.shards = shards};
    options.each.rooms_like = {{"one", rules}};
    options.each.make_cluster = [this](std::uint32_t, ring&) { return truth_.connect(); };
    return options;
  }

  random_source draw_{1};
  kernel world_{1};
  memory_cluster truth_{world_, draw_};
  engine_world node_;
  std::list<asker> askers_;
};

bool is_settled(const asker& one) { return one.p.now() == peer::state::open || !one.answers.empty(); }

} // namespace

BOOST_AUTO_TEST_SUITE(cluster_bounds)

BOOST_AUTO_TEST_CASE(who_waits_for_the_engine_has_a_seat_and_one_more_is_refused_as_anywhere) {
  for (const std::uint32_t shards : {1u, 2u, 3u}) BOOST_TEST_CONTEXT(shards << " shards") {
      bounded_node node{shards, {.members_max = 2, .cluster = true}};
      std::vector<asker*> came;
      for (int i = 0; i < 5; ++i) came.push_back(&node.come());
      node.run_until([&] { return std::ranges::all_of(came, [](const asker* one) { return is_settled(*one); }); });
      std::size_t open = 0, refused = 0;
      for (const asker* one : came) {
        open += one->p.now() == peer::state::open ? 1 : 0;
        if (one->answers.empty()) continue;
        BOOST_TEST(one->answers[0].first == 503);
        refused += one->answers[0].second.contains("as many members as it takes") ? 1 : 0;
      }
      BOOST_TEST(open == 2u);
      BOOST_TEST(refused == 3u);
      // Who goes makes room.
      asker& gone = **std::ranges::find_if(came, [](const asker* one) { return one->p.now() == peer::state::open; });
      gone.p.send_close(1000);
      node.run_until([&] { return gone.p.is_over(); });
      node.run_until([] { return false; }, 20);
      asker& next = node.come();
      node.run_until([&] { return is_settled(next); });
      BOOST_TEST((next.p.now() == peer::state::open));
      node.end();
    }
}

BOOST_AUTO_TEST_CASE(whoever_is_refused_by_the_lost_engine_leaves_no_seat_taken) {
  bounded_node node{2, {.members_max = 1, .cluster = true}};
  node.cut(300);
  node.run_until([] { return false; }, 50);
  for (int i = 0; i < 3; ++i) {
    asker& one = node.come();
    node.run_until([&] { return is_settled(one); }, 100);
    BOOST_REQUIRE(one.answers.size() == 1u);
    BOOST_TEST(one.answers[0].first == 503);
    BOOST_TEST(one.answers[0].second.contains("cannot be reached"));
  }
  node.run_until([] { return false; }, 1'000);
  asker& next = node.come();
  node.run_until([&] { return is_settled(next); });
  BOOST_TEST((next.p.now() == peer::state::open));
  node.end();
}

// The room is made for what is said, and would be forgotten and new again behind each message.
BOOST_AUTO_TEST_CASE(a_room_that_nobody_here_is_in_has_a_rate_too) {
  bounded_node node{2, {.messages = rate_limit{.per_s = 1, .burst = 2}, .cluster = true}};
  asker& by = node.ask();
  const auto say = [&] {
    const std::size_t before = by.answers.size();
    by.p.ask("POST", "/rooms/one/messages", "said");
    node.run_until([&] { return by.answers.size() > before; });
    BOOST_REQUIRE(by.answers.size() == before + 1);
    node.run_until([] { return false; }, 100); // the engine's answer is behind it
    return by.answers.back().first;
  };
  for (const int expected : {200, 200, 429, 429}) BOOST_TEST(say() == expected);
  node.run_until([] { return false; }, 1'000);
  for (const int expected : {200, 429}) BOOST_TEST(say() == expected);
  node.end();
}

BOOST_AUTO_TEST_CASE(what_is_lost_and_found_is_counted) {
  bounded_node node{2, {.cluster = true}};
  asker& one = node.come();
  node.run_until([&] { return is_settled(one); });
  shard_statistics told = node.total();
  BOOST_TEST(told.cluster_links == 2u);
  BOOST_TEST(told.cluster_links_up == 2u);
  BOOST_TEST(told.cluster_losses == 0u);
  BOOST_TEST(told.cluster_commands == 2u); // subscribe, and where does the room stand
  node.cut(300);
  node.run_until([] { return false; }, 100);
  told = node.total();
  BOOST_TEST(told.cluster_links == 2u);
  BOOST_TEST(told.cluster_links_up == 0u);
  BOOST_TEST(told.cluster_losses == 2u);
  node.run_until([] { return false; }, 500);
  BOOST_TEST(node.total().cluster_links_up == 2u);
  BOOST_TEST(node.total().cluster_gaps == 0u);
  BOOST_TEST(node.total().cluster_resets == 0u);
  node.lose_all();
  node.run_until([&] { return node.total().cluster_resets != 0; }, 20'000);
  BOOST_TEST(node.total().cluster_resets == 1u);
  BOOST_TEST(node.total().cluster_losses == 2u);
  node.end();
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

// GET /connections of a server with many: pages that together name every connection once, and how many of them a shard looks at in one turn.
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

constexpr bool talks(std::uint32_t member) { return member % 250 == 0; }

struct crowd {
  kernel world{1};
  engine_world engine;
  std::vector<std::unique_ptr<peer>> members;
  peer asker{world};
  std::string body;
  int status = 0;
  // The most that a shard did for a question in one turn.
  std::uint64_t looked_at_max = 0, described_max = 0;

  explicit crowd(std::uint32_t shards, std::uint32_t count) : engine(world, {.shards = shards}) {
    asker.on_answer = [this](int answered, std::string_view with) { status = answered, body = with; };
    BOOST_REQUIRE(asker.connect(engine_world::port));
    for (std::uint32_t i = 0; i < count; ++i) {
      members.push_back(std::make_unique<peer>(world));
      peer& member = *members.back();
      BOOST_REQUIRE(member.connect(engine_world::port));
      member.ask_for_websocket(talks(i) ? "/echo" : "/broadcast/crowd");
      if (i % 64 == 63 || i + 1 == count) BOOST_REQUIRE(run_until([&] { return member.now() == peer::state::open; }, i - i % 64));
    }
    BOOST_REQUIRE(run_until([&] { return std::ranges::all_of(members, [](const auto& m) { return m->now() == peer::state::open; }); }));
  }
  // Everybody goes: a shard that is destroyed holds nothing.
  ~crowd() {
    for (auto& member : members) member->reset();
    asker.reset();
    for (int i = 0; i < 10'000 && engine.connections() > 0; ++i) engine.step(), (void)world.sleep(1'000'000);
  }
  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;
  template <class Done> bool run_until(Done&& done, std::size_t from = 0) {
    for (int i = 0; i < 200'000 && !done(); ++i) {
      for (std::size_t m = from; m < members.size(); ++m)
        if (members[m]->can_act() || members[m]->has_unsent()) members[m]->act(true);
      step();
    }
    return done();
  }
  void step() {
    asker.act(true);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> before;
    for (std::uint32_t i = 0; i < engine.shard_count(); ++i) before.emplace_back(list_of(i).looked_at(), list_of(i).described());
    engine.step();
    for (std::uint32_t i = 0; i < engine.shard_count(); ++i) {
      looked_at_max = std::max(looked_at_max, list_of(i).looked_at() - before[i].first);
      described_max = std::max(described_max, list_of(i).described() - before[i].second);
    }
    (void)world.sleep(1'000'000);
  }
  connection_questions& list_of(std::uint32_t index) { return engine.at(index).connection_list(); }
  nlohmann::json ask(const std::string& target, int expected = 200) {
    status = 0;
    asker.ask("GET", target);
    for (int i = 0; i < 200'000 && status == 0; ++i) step();
    BOOST_REQUIRE(status == expected);
    return nlohmann::json::parse(body);
  }
};

} // namespace

BOOST_AUTO_TEST_SUITE(connection_pages)

BOOST_AUTO_TEST_CASE(the_pages_of_ten_thousand_connections_name_each_once_and_no_turn_looks_at_more_than_a_slice) {
  constexpr std::uint32_t count = 10'000;
  for (const std::uint32_t shards : {1u, 3u}) {
    crowd all(shards, count);
    // Some have said something, the later ones more: their places are of their own, those of all others are equal but for their handles.
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!talks(i)) continue;
      for (std::uint32_t said = 0; said <= i / 500; ++said) all.members[i]->send_message(opcode::text, "x");
      all.members[i]->act(true);
    }
    for (int i = 0; i < 50; ++i) all.step();
    for (const std::string sort : {"behind", "age", "messages_in", "messages_out"}) {
      BOOST_TEST_CONTEXT(shards << " shards, by " << sort) {
        std::set<std::string> ids;
        std::uint32_t pages = 0, repeated = 0, unsorted = 0;
        std::uint64_t before = UINT64_MAX;
        for (std::string after; pages <= 11;) {
          const auto page = all.ask(fmt::format("/connections?sort={}&limit=1000{}", sort, after));
          ++pages;
          BOOST_TEST(page["total"] == count + 1); // and who asks
          BOOST_TEST(page["connections"].size() == (pages <= 10 ? 1000u : 1u));
          for (const auto& each : page["connections"]) {
            repeated += ids.insert(each["id"].get<std::string>()).second ? 0 : 1;
            if (sort == "age") continue; // which grows while the pages are asked for
            const std::uint64_t key = each[sort == "behind" ? "bytes_behind" : sort].get<std::uint64_t>();
            unsorted += key > before ? 1 : 0;
            before = key;
          }
          if (page["next"].is_null()) break;
          after = "&after=" + page["next"].get<std::string>();
        }
        BOOST_TEST(pages == 11u);
        BOOST_TEST(repeated == 0u);
        BOOST_TEST(unsorted == 0u);
        BOOST_TEST(ids.size() == count + 1);
      }
    }
    // Whole slices were taken, and none was larger.
    BOOST_TEST(all.looked_at_max == connection_questions::connections_per_turn_max);
    BOOST_TEST(all.described_max == connection_questions::descriptions_per_turn_max);
  }
}

BOOST_AUTO_TEST_CASE(who_goes_while_a_page_is_made_is_left_out_and_the_question_is_answered) {
  crowd all(2, 2'000);
  all.status = 0;
  all.asker.ask("GET", "/connections?limit=1000");
  std::size_t gone = 0;
  while (all.status == 0 && gone < all.members.size()) {
    for (int i = 0; i < 40 && gone < all.members.size(); ++i) all.members[gone++]->reset();
    all.step();
  }
  for (int i = 0; i < 10'000 && all.status == 0; ++i) all.step();
  BOOST_REQUIRE(all.status == 200);
  const auto page = nlohmann::json::parse(all.body);
  BOOST_TEST(page["connections"].size() > 0u);
  BOOST_TEST(page["connections"].size() <= 1000u);
  BOOST_TEST(page["total"].get<std::uint32_t>() >= page["connections"].size());
}

BOOST_AUTO_TEST_CASE(questions_wait_for_each_other_and_a_stop_in_the_middle_of_them_ends_all) {
  crowd all(2, 1'500);
  std::uint32_t answered = 0;
  std::vector<std::unique_ptr<peer>> askers;
  for (int i = 0; i < 8; ++i) {
    askers.push_back(std::make_unique<peer>(all.world));
    BOOST_REQUIRE(askers.back()->connect(engine_world::port));
    askers.back()->on_answer = [&](int status, std::string_view) { answered += status == 200 ? 1 : 0; };
    askers.back()->ask("GET", "/connections?limit=1000");
  }
  const auto step = [&] {
    for (auto& each : askers) each->act(true);
    all.step();
  };
  for (int i = 0; i < 10'000 && answered < 4; ++i) step();
  BOOST_TEST(answered >= 4u);
  BOOST_TEST(all.looked_at_max <= connection_questions::connections_per_turn_max);
  for (auto& each : askers) each->ask("GET", "/connections?limit=1000");
  for (int i = 0; i < 5; ++i) step();
  all.engine.begin_stop();
  for (int i = 0; i < 100'000 && !all.engine.has_stopped(); ++i) {
    for (auto& each : all.members) each->act(true);
    step();
  }
  BOOST_TEST(all.engine.has_stopped());
  BOOST_TEST(all.engine.remains().empty());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

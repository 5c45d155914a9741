// GET /rooms of a server with many rooms: pages that together name every room once, each of which is a bounded piece of work, counted in
// rooms that are looked at and in bytes that are made.
#include "apps/ringcast-server/endpoints.hpp"
#include "engine/connection/compressor.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"
#include <ringcast/ringcast.hpp>

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

constexpr std::uint32_t rooms = 10'000;
constexpr std::uint32_t page_rooms_max = 1'000;

std::string name_of_room(std::uint32_t number) { return fmt::format("room-{:05}", number); }

// One connection that sits in all of them.
task<void> sits_everywhere(request& req) {
  websocket ws = co_await req.upgrade();
  std::vector<seat> seats;
  for (std::uint32_t i = 0; i < rooms; ++i) seats.push_back(co_await req.server().room(name_of_room(i)).join({}, ws));
  co_await ws.send_text("seated");
  while (co_await ws.receive()) {
  }
}

struct full_house {
  kernel world{1};
  engine_world engine;
  peer sitter{world}, asker{world};
  std::string body;
  int status = 0;

  explicit full_house(std::uint32_t shards)
      : engine(world, {.shards = shards, .routes = [](server& s) {
                         add_endpoints(s);
                         s.get("/everywhere", sits_everywhere);
                       }}) {
    bool seated = false;
    sitter.on_message = [&](const peer_message&) { seated = true; };
    BOOST_REQUIRE(sitter.connect(engine_world::port));
    sitter.ask_for_websocket("/everywhere");
    BOOST_REQUIRE(run_until([&] { return seated; }));
    BOOST_REQUIRE(asker.connect(engine_world::port));
    asker.on_answer = [this](int answered, std::string_view with) { status = answered, body = with; };
  }
  template <class Done> bool run_until(Done&& done) {
    for (int i = 0; i < 200'000 && !done(); ++i) {
      sitter.act(true);
      asker.act(true);
      engine.step();
      (void)world.sleep(1'000'000);
    }
    return done();
  }
  nlohmann::json ask(const std::string& target) {
    status = 0;
    asker.ask("GET", target);
    BOOST_REQUIRE(run_until([&] { return status != 0; }));
    BOOST_REQUIRE(status == 200);
    return nlohmann::json::parse(body);
  }
};

// Whoever the home of a room tells something.
struct nobody : shard_courier {
  void deliver(std::uint32_t, record_kind, std::span<const std::byte>, std::span<const std::byte>) override {}
};

} // namespace

BOOST_AUTO_TEST_SUITE(listing)

BOOST_AUTO_TEST_CASE(the_pages_of_ten_thousand_rooms_name_each_of_them_once_and_none_is_longer_than_asked_for) {
  for (const std::uint32_t shards : {1u, 2u, 3u}) {
    full_house house(shards);
    for (const std::uint32_t limit : {0u, 999u, 1'000u, 7u}) {
      BOOST_TEST_CONTEXT(shards << " shards, limit " << limit) {
        const std::uint32_t page_max = limit == 0 ? page_rooms_max : limit;
        std::set<std::string> named;
        std::uint32_t pages = 0, repeated = 0;
        std::string target = "/rooms" + (limit == 0 ? std::string{} : fmt::format("?limit={}", limit));
        const std::uint32_t pages_max = limit == 7 ? 100 : rooms; // the first ones of the many
        for (; pages < pages_max;) {
          const auto page = house.ask(target);
          ++pages;
          BOOST_TEST(page["rooms"].size() <= page_max);
          // Nothing but its own rooms is in it.
          BOOST_TEST(house.body.size() <= page_max * 40 + 64);
          for (const auto& room : page["rooms"]) {
            BOOST_TEST(room["members"] == 1);
            repeated += named.insert(room["name"].get<std::string>()).second ? 0 : 1;
          }
          if (page["next"].is_null()) break;
          target = fmt::format("/rooms?after={}&limit={}", page["next"].get<std::string>(), page_max);
        }
        BOOST_TEST(repeated == 0u);
        BOOST_TEST(named.size() == (limit == 7 ? 700u : rooms));
        // Every page but the last is full.
        BOOST_TEST(pages == (limit == 7 ? 100u : (rooms + page_max - 1) / page_max));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_page_looks_at_no_more_rooms_than_it_has_and_some_hundred_wherever_it_begins_and_however_many_are_empty) {
  constexpr std::size_t looks_beyond_max = 512;
  block_pool blocks;
  nobody courier;
  compressor with;
  const compression_options compression;
  const std::uint64_t now_ms = 0;
  const room_rulebook rules({}, {});
  home_table home(blocks, courier, 0, 1, with, compression, rules, 0, {}, now_ms);
  // Every tenth of the first half has a member, and nobody is in the second half.
  for (std::uint32_t i = 0; i < rooms; ++i) {
    const room_ref room{i, 1};
    home.attach(0, {.room = room, .encoding = room_encoding::plain}, name_of_room(i));
    if (i < rooms / 2 && i % 10 == 0) home.set_members(0, room, 1);
  }
  for (const std::size_t limit : {1uz, 10uz, 1'000uz}) {
    BOOST_TEST_CONTEXT("limit " << limit) {
      std::set<std::string> named;
      std::string after;
      for (bool more = true; more;) {
        std::size_t visited = 0;
        const home_table::list_end end = home.list(after, limit, [&](const home_room& room) {
          ++visited;
          BOOST_TEST(named.insert(room.name).second);
        });
        BOOST_TEST(visited <= limit);
        // The names say how far it has come.
        const std::uint32_t from = after.empty() ? 0 : static_cast<std::uint32_t>(std::stoul(after.substr(5))) + 1;
        const std::uint32_t to = static_cast<std::uint32_t>(std::stoul(std::string{end.last}.substr(5)));
        BOOST_TEST(to + 1 - from <= limit + looks_beyond_max);
        BOOST_REQUIRE(std::string{end.last} > after);
        after = end.last;
        more = end.more;
      }
      BOOST_TEST(named.size() == rooms / 20);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

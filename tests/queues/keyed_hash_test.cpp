// The hash of tables whose keys peers choose: its published values, and that nobody can choose keys that meet.
#include "engine/base/keyed_hash.hpp"
#include "engine/room/room_table.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <set>
#include <string>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

std::uint64_t unkeyed(std::string_view name) {
  std::uint64_t hash = 14695981039346656037ull;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}

} // namespace

BOOST_AUTO_TEST_SUITE(keyed_hashes)

// The first of the reference implementation's values for one and three rounds: the key 00 01 .. 0f, and 0, 1, 2, ... as the message.
BOOST_AUTO_TEST_CASE(the_values_are_those_of_siphash_1_3) {
  const hash_key key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  constexpr std::array<std::uint64_t, 9> expected{0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb, 0xcf75576088d38328,
                                                  0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140, 0x369095118d299a8e};
  std::vector<std::byte> message;
  for (const std::uint64_t value : expected) {
    BOOST_TEST(siphash_1_3(key, message) == value);
    message.push_back(static_cast<std::byte>(message.size()));
  }
}

BOOST_AUTO_TEST_CASE(names_that_were_chosen_for_one_home_are_spread_over_all) {
  constexpr std::uint32_t shards = 16;
  std::array<std::uint32_t, shards> rooms{};
  std::uint32_t chosen = 0;
  for (int i = 0; chosen < 1600; ++i) {
    const std::string name = "room-" + std::to_string(i);
    const std::uint64_t hash = unkeyed(name);
    if ((hash ^ hash >> 32) % shards != 0) continue;
    ++chosen;
    ++rooms[room_home_shard(name, shards)];
  }
  for (const std::uint32_t count : rooms) BOOST_TEST((count > 40u && count < 200u));
}

BOOST_AUTO_TEST_CASE(another_key_is_another_hash) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 1000; ++i) seen.insert(siphash_1_3({i, 0}, std::as_bytes(std::span{std::string_view{"lobby"}})));
  BOOST_TEST(seen.size() == 1000u);
  BOOST_TEST(keyed_hash("lobby") == keyed_hash(std::string{"lobby"}));
}

BOOST_AUTO_TEST_SUITE_END()

#include "engine/shard/arrival_rates.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;
using namespace ringcast::engine;

BOOST_AUTO_TEST_SUITE(arrivals_by_address)

BOOST_AUTO_TEST_CASE(each_address_has_a_bucket_of_its_own) {
  arrival_rates rates{{.per_s = 2, .burst = 3}};
  for (const connection_source from : {1u, 2u}) {
    for (int i = 0; i < 3; ++i) BOOST_TEST(rates.take(from, 1000) == 0u);
    BOOST_TEST(rates.take(from, 1000) == 500u);
    BOOST_TEST(rates.take(from, 1499) == 1u);
    BOOST_TEST(rates.take(from, 1500) == 0u);
    BOOST_TEST(rates.take(from, 1500) == 500u);
  }
}

BOOST_AUTO_TEST_CASE(who_has_no_address_is_not_bounded_by_one) {
  arrival_rates rates{{.per_s = 1, .burst = 1}};
  for (int i = 0; i < 100; ++i) BOOST_TEST(rates.take(no_connection_source, 1) == 0u);
}

BOOST_AUTO_TEST_CASE(a_flood_of_addresses_takes_no_more_memory_and_pushes_out_whose_bucket_is_full_soonest) {
  arrival_rates rates{{.per_s = 1, .burst = 4}, 128}; // one set of eight in each part
  const connection_source greedy = 7;
  for (int i = 0; i < 4; ++i) BOOST_TEST(rates.take(greedy, 1000) == 0u);
  BOOST_TEST(rates.take(greedy, 1000) > 0u);
  for (connection_source other = 1000; other < 101'000; ++other) BOOST_TEST(rates.take(other, 1000) == 0u);
  // All others took one of four.
  BOOST_TEST(rates.take(greedy, 1000) > 0u);
}

BOOST_AUTO_TEST_SUITE_END()

// Where the engine of a cluster is: its URL.
#include "engine/cluster/redis_address.hpp"

#include <boost/test/unit_test.hpp>

namespace ringcast::engine {

BOOST_AUTO_TEST_SUITE(cluster_address)

BOOST_AUTO_TEST_CASE(each_part_of_the_url_is_read_and_has_its_default) {
  const auto plain = parse_redis_url("redis://localhost");
  BOOST_REQUIRE(plain.has_value());
  BOOST_TEST(plain->host == "localhost");
  BOOST_TEST(plain->port == 6379);
  BOOST_TEST((plain->user.empty() && plain->password.empty() && plain->database == 0));
  const auto whole = parse_redis_url("redis://al%40ice:p%3Aw%2Fx@[::1]:7000/3");
  BOOST_REQUIRE(whole.has_value());
  BOOST_TEST(whole->user == "al@ice");
  BOOST_TEST(whole->password == "p:w/x");
  BOOST_TEST(whole->host == "::1");
  BOOST_TEST(whole->port == 7000);
  BOOST_TEST(whole->database == 3u);
  BOOST_TEST(whole->text() == "[::1]:7000");
  BOOST_TEST(parse_redis_url("redis://:secret@h")->password == "secret");
  BOOST_TEST(parse_redis_url("redis://alice@h")->user == "alice");
}

BOOST_AUTO_TEST_CASE(what_is_none_is_refused_and_a_password_is_never_said) {
  for (const char* url : {"", "localhost:6379", "http://h", "rediss://:hunter2@h", "redis://", "redis://:hunter2@", "redis://:hunter2@h:0",
                          "redis://:hunter2@h:65536", "redis://:hunter2@h:six", "redis://:hunter2@h/x", "redis://:%zzhunter2@h", "redis://[::1"}) {
    const auto wrong = parse_redis_url(url);
    BOOST_TEST(!wrong.has_value(), url);
    if (!wrong) BOOST_TEST(!wrong.error().contains("hunter2"));
  }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::engine

#include "apps/ringcast-server/idempotency.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

using namespace ringcast;
using verdict = idempotent_answers::verdict;

namespace {

idempotent_answers::clock::time_point at(int seconds) { return idempotent_answers::clock::time_point{} + std::chrono::seconds{seconds}; }

} // namespace

BOOST_AUTO_TEST_SUITE(idempotency)

BOOST_AUTO_TEST_CASE(the_first_answer_is_given_for_two_minutes) {
  idempotent_answers kept;
  BOOST_TEST((kept.begin("room", "key", "body", at(0)).what == verdict::first));
  BOOST_TEST((kept.begin("room", "key", "body", at(1)).what == verdict::under_way));
  kept.keep("room", "key", "answer");
  BOOST_TEST((kept.begin("room", "key", "body", at(119)).what == verdict::again));
  BOOST_TEST(kept.begin("room", "key", "body", at(119)).answer == "answer");
  BOOST_TEST((kept.begin("room", "key", "another body", at(119)).what == verdict::other));
  BOOST_TEST((kept.begin("room", "key", "body", at(120)).what == verdict::first));
  kept.keep("room", "late", "nobody asked");
  BOOST_TEST((kept.begin("room", "late", "body", at(120)).what == verdict::first));
}

BOOST_AUTO_TEST_CASE(what_came_to_nothing_may_be_tried_again) {
  idempotent_answers kept;
  BOOST_TEST((kept.begin("room", "key", "body", at(0)).what == verdict::first));
  kept.give_up("room", "key");
  BOOST_TEST((kept.begin("room", "key", "another body", at(1)).what == verdict::first));
  BOOST_TEST((kept.begin("room", "key", "another body", at(1)).what == verdict::under_way));
  kept.keep("room", "key", "answer");
  BOOST_TEST((kept.begin("room", "key", "another body", at(2)).what == verdict::again));
  kept.give_up("room", ""); // it had no key
}

BOOST_AUTO_TEST_CASE(a_key_belongs_to_its_room) {
  idempotent_answers kept;
  BOOST_TEST((kept.begin("a", "bc", "body", at(0)).what == verdict::first));
  BOOST_TEST((kept.begin("ab", "c", "body", at(0)).what == verdict::first));
}

BOOST_AUTO_TEST_CASE(so_many_are_kept_and_no_more) {
  idempotent_answers kept;
  for (std::size_t i = 0; i < idempotent_answers::answers_max; ++i) {
    BOOST_REQUIRE((kept.begin("room", std::to_string(i), "body", at(i == 0 ? 0 : 10)).what == verdict::first));
  }
  BOOST_TEST((kept.begin("room", "one more", "body", at(119)).what == verdict::full));
  BOOST_TEST((kept.begin("room", "7", "body", at(119)).what == verdict::under_way));
  BOOST_TEST((kept.begin("room", "one more", "body", at(120)).what == verdict::first)); // in the place of the oldest
  BOOST_TEST((kept.begin("room", "and another", "body", at(120)).what == verdict::full));
}

BOOST_AUTO_TEST_SUITE_END()

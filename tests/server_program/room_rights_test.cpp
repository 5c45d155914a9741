#include "apps/ringcast-server/room_rights.hpp"
#include "apps/ringcast-server/token.hpp"

#include <boost/test/unit_test.hpp>

using namespace ringcast;

namespace {

token_claims of(std::string user) { return {.user = std::move(user), .rooms = {}, .publish = {}, .expires_s = {}}; }

} // namespace

BOOST_AUTO_TEST_SUITE(rights_in_rooms)

BOOST_AUTO_TEST_CASE(each_word_permits_what_it_says) {
  for (const bool claimed : {false, true}) {
    for (const char* word : {"anyone", "token"}) BOOST_TEST(who_may({word}).permits(of(""), claimed));
    BOOST_TEST(!who_may({"nobody"}).permits(of("ada"), claimed));
    BOOST_TEST(who_may({"claims"}).permits(of("ada"), claimed) == claimed);
    BOOST_TEST(who_may({"user:ada"}).permits(of("ada"), claimed));
    BOOST_TEST(!who_may({"user:ada"}).permits(of("adam"), claimed));
    BOOST_TEST(who_may({"user:a*"}).permits(of("adam"), claimed));
    BOOST_TEST(who_may({"user:bob", "user:adam"}).permits(of("adam"), claimed));
    BOOST_TEST(who_may({"user:bob", "claims"}).permits(of("adam"), claimed) == claimed);
    BOOST_TEST(!who_may({"user:*"}).permits(of(""), claimed)); // nobody in particular
    BOOST_TEST(!who_may(std::vector<std::string>{}).permits(of("ada"), claimed));
  }
}

BOOST_AUTO_TEST_CASE(words_that_are_none_are_refused) {
  for (const char* word : {"anyone", "token", "claims", "nobody", "user:a", "user:*"}) BOOST_TEST(check_who_may(word).has_value());
  for (const char* word : {"", "everyone", "user:", "user", "Token", "token "}) {
    const auto checked = check_who_may(word);
    BOOST_REQUIRE(!checked);
    BOOST_TEST(checked.error() == "'" + std::string{word} + "' is nobody; allowed: anyone, token, claims, user:PATTERN, nobody");
  }
}

BOOST_AUTO_TEST_CASE(what_asks_for_tokens_needs_keys) {
  const auto why_not = [](const char* word, bool has_tokens) {
    const auto checked = check_rights({{.pattern = "a", .publish = who_may{{word}}}}, has_tokens);
    return checked ? std::string{} : checked.error();
  };
  for (const char* word : {"anyone", "nobody"}) BOOST_TEST(why_not(word, false).empty());
  for (const char* word : {"token", "claims", "user:a"}) {
    BOOST_TEST(why_not(word, true).empty());
    BOOST_TEST(why_not(word, false) == "[[room]] \"a\": publish asks for tokens, and --jwt-hs256-key-file and --jwt-jwks-file are not given");
  }
}

BOOST_AUTO_TEST_SUITE_END()

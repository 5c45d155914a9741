#include "apps/ringcast-server/token.hpp"

#include "apps/ringcast-server/base64url.hpp"
#include "tests/server_program/token_vectors.hpp"
#include "tests/support/signing.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

using namespace ringcast;

namespace {

const std::string secret(32, 's');
constexpr std::int64_t now_s = 1'700'000'000;
constexpr std::string_view hs256_header = R"({"alg":"HS256","typ":"JWT"})";

token_keys set_of(std::string_view keys) {
  token_keys all;
  const auto added = all.add_set("{\"keys\":[" + std::string{keys} + "]}");
  BOOST_REQUIRE_MESSAGE(added.has_value(), (added ? std::string{} : added.error()));
  return all;
}

token_keys own_keys() {
  token_keys all;
  BOOST_REQUIRE(all.add_secret(std::as_bytes(std::span{secret})).has_value());
  return all;
}

// The reason, or "good".
std::string verdict(std::string_view token, const token_keys& keys, std::int64_t at_s = now_s, std::string_view audience = {}) {
  const auto checked = check_token(token, keys, audience, at_s);
  return std::string{checked ? "good" : name_of(checked.error())};
}

std::string verdict_of_claims(std::string_view claims, std::int64_t at_s = now_s, std::string_view audience = {}) {
  return verdict(sign_token(secret, hs256_header, claims), own_keys(), at_s, audience);
}
std::string verdict_of_header(std::string_view header) { return verdict(sign_token(secret, header, "{}"), own_keys()); }

// The same text with another character in this place.
std::string changed(std::string text, std::size_t at) {
  text[at] = text[at] == 'A' ? 'B' : 'A';
  return text;
}

} // namespace

BOOST_AUTO_TEST_SUITE(tokens)

BOOST_AUTO_TEST_CASE(the_examples_of_rfc_7515_and_rfc_8037_are_good_with_their_keys_and_no_other) {
  const std::vector<std::pair<std::string, std::string_view>> examples{
      {vectors::hs256, vectors::hs256_key}, {vectors::rs256, vectors::rs256_key}, {vectors::es256, vectors::es256_key}};
  for (const auto& [token, key] : examples) {
    BOOST_TEST_CONTEXT(token.substr(0, 30)) {
      const token_keys keys = set_of(key);
      BOOST_TEST(verdict(token, keys, vectors::joe_expires_s - 1) == "good");
      BOOST_TEST(verdict(changed(token, token.size() - 10), keys, vectors::joe_expires_s - 1) == "signature");
      // Each bit of what is signed counts, to its last character.
      BOOST_TEST(verdict(changed(token, token.rfind('.') - 5), keys, vectors::joe_expires_s - 1) == "signature");
      BOOST_TEST(verdict(token.substr(0, token.rfind('.') + 1), keys, vectors::joe_expires_s - 1) == "signature");
    }
  }
  // What RFC 8037 signs is no JSON, which is only looked at behind the signature.
  BOOST_TEST(verdict(vectors::eddsa, set_of(vectors::eddsa_key)) == "json");
  BOOST_TEST(verdict(changed(vectors::eddsa, vectors::eddsa.size() - 10), set_of(vectors::eddsa_key)) == "signature");
}

BOOST_AUTO_TEST_CASE(the_algorithm_is_the_keys) {
  BOOST_TEST(verdict_of_header(R"({"alg":"none"})") == "algorithm");
  BOOST_TEST(verdict_of_header(R"({"alg":"None"})") == "algorithm");
  BOOST_TEST(verdict_of_header(R"({"alg":"hs256"})") == "algorithm");
  BOOST_TEST(verdict_of_header(R"({"alg":"HS512"})") == "algorithm");
  BOOST_TEST(verdict_of_header(R"({"alg":5})") == "algorithm");
  BOOST_TEST(verdict_of_header("{}") == "algorithm");
  BOOST_TEST(verdict(to_base64url(R"({"alg":"none"})") + "." + to_base64url("{}") + ".", own_keys()) == "algorithm");
  // The public key of the server, which everybody knows, as a secret: as its modulus, and as its JWK.
  const token_keys rsa = set_of(vectors::rs256_key);
  const auto modulus = decode_base64url(vectors::rs256_key.substr(vectors::rs256_key.find("ofgW"), 342));
  BOOST_REQUIRE(modulus.has_value());
  BOOST_TEST(verdict(sign_token({reinterpret_cast<const char*>(modulus->data()), modulus->size()}, hs256_header, "{}"), rsa) == "algorithm");
  BOOST_TEST(verdict(sign_token(vectors::rs256_key, hs256_header, "{}"), rsa) == "algorithm");
}

BOOST_AUTO_TEST_CASE(the_key_is_the_one_that_is_named) {
  const token_keys keys = set_of(R"({"kty":"oct","kid":"a","k":")" + to_base64url(secret) + R"("},{"kty":"oct","kid":"b","k":")" +
                                 to_base64url(std::string(32, 'b')) + R"("})");
  const auto with = [&](std::string_view kid) {
    return verdict(sign_token(secret, R"({"alg":"HS256","kid":)" + std::string{kid} + "}", "{}"), keys);
  };
  BOOST_TEST(with(R"("a")") == "good");
  BOOST_TEST(with(R"("b")") == "signature");
  BOOST_TEST(with(R"("c")") == "unknown_key");
  BOOST_TEST(with(R"("")") == "unknown_key");
  BOOST_TEST(with("7") == "unknown_key");
  BOOST_TEST(verdict(sign_token(secret, hs256_header, "{}"), keys) == "unknown_key");
  BOOST_TEST(verdict(sign_token(std::string(32, 't'), hs256_header, "{}"), own_keys()) == "signature");
}

BOOST_AUTO_TEST_CASE(times_hold_with_a_skew_of_30_seconds) {
  const auto at = [](const char* claim, std::int64_t s) { return verdict_of_claims("{\"" + std::string{claim} + "\":" + std::to_string(s) + "}"); };
  BOOST_TEST(at("exp", now_s - 29) == "good");
  BOOST_TEST(at("exp", now_s - 30) == "expired");
  BOOST_TEST(at("exp", now_s - 31) == "expired");
  BOOST_TEST(at("exp", 0) == "expired");
  BOOST_TEST(at("nbf", now_s + 30) == "good");
  BOOST_TEST(at("nbf", now_s + 31) == "not_yet_valid");
  BOOST_TEST(verdict_of_claims(R"({"exp":1700000000.5,"nbf":1.5e9})") == "good");
  BOOST_TEST(verdict_of_claims(R"({"exp":1e300})") == "claims");
  BOOST_TEST(verdict_of_claims(R"({"exp":-1})") == "claims");
  BOOST_TEST(verdict_of_claims(R"({"exp":"1800000000"})") == "claims");
  BOOST_TEST(verdict_of_claims(R"({"nbf":null})") == "claims");
}

BOOST_AUTO_TEST_CASE(what_is_no_token_is_refused_before_anything_is_decoded) {
  const token_keys keys = own_keys();
  BOOST_TEST(verdict("", keys) == "malformed");
  BOOST_TEST(verdict("garbage", keys) == "malformed");
  BOOST_TEST(verdict("a.b", keys) == "malformed");
  BOOST_TEST(verdict("....", keys) == "malformed");
  BOOST_TEST(verdict("..", keys) == "json");
  const std::string good = sign_token(secret, hs256_header, "{}");
  BOOST_TEST(verdict(good, keys) == "good");
  BOOST_TEST(verdict(good + ".x", keys) == "malformed"); // JWE has five parts
  for (const std::string_view wrong : {"=", "==", " ", "\n", "+", "/"}) BOOST_TEST(verdict(good + std::string{wrong}, keys) == "malformed");
  BOOST_TEST(verdict(" " + good, keys) == "malformed");
  BOOST_TEST(verdict(good + std::string(1, '\0'), keys) == "malformed");
  // 32 bytes are 43 characters, and the last two bits of the last one say nothing: one text for each signature.
  std::string other_text = good;
  other_text.back() = other_text.back() == '_' ? '-' : static_cast<char>(other_text.back() + 1);
  BOOST_TEST(verdict(other_text, keys) != "good");

  const auto of_bytes = [&](std::size_t bytes) {
    std::string header = R"({"alg":"HS256","x":"")";
    header.insert(header.size() - 1, 5'000, 'x');
    header += "}";
    // Three parts with their dots; the claims are white space behind an object until it fits.
    std::string claims = "{}";
    while (sign_token(secret, header, claims).size() < bytes) claims += " ";
    return sign_token(secret, header, claims);
  };
  const std::string largest = of_bytes(token_bytes_max), larger = of_bytes(token_bytes_max + 1);
  BOOST_REQUIRE(largest.size() == token_bytes_max);
  BOOST_TEST(verdict(largest, keys) == "good");
  BOOST_REQUIRE(larger.size() > token_bytes_max);
  BOOST_TEST(verdict(larger, keys) == "too_large");
  BOOST_TEST(verdict(std::string(100'000, 'x'), keys) == "too_large");
}

BOOST_AUTO_TEST_CASE(json_is_strict) {
  BOOST_TEST(verdict_of_header(R"({"alg":"HS256","alg":"HS256"})") == "json");
  BOOST_TEST(verdict_of_header(R"({"alg":"none","alg":"HS256"})") == "json");
  BOOST_TEST(verdict_of_header(R"(["HS256"])") == "json");
  BOOST_TEST(verdict_of_header(R"({"alg":"HS256")") == "json");
  BOOST_TEST(verdict_of_header("\xff") == "json");
  BOOST_TEST(verdict_of_claims(R"({"sub":"a","sub":"b"})") == "json");
  BOOST_TEST(verdict_of_claims(R"({"x":{"sub":1},"sub":"a"})") == "good"); // in two objects
  BOOST_TEST(verdict_of_claims(R"({"x":[{"y":1,"y":2}]})") == "json");
  BOOST_TEST(verdict_of_claims(R"({"sub":"a"} x)") == "json");
  BOOST_TEST(verdict_of_claims("null") == "json");
  BOOST_TEST(verdict_of_claims("{\"x\":" + std::string(7, '[') + std::string(7, ']') + "}") == "good");
  BOOST_TEST(verdict_of_claims("{\"x\":" + std::string(2000, '[') + std::string(2000, ']') + "}") == "json");
  BOOST_TEST(verdict_of_header(R"({"alg":"HS256","crit":["b64"],"b64":false})") == "critical");
}

BOOST_AUTO_TEST_CASE(claims_have_their_types) {
  for (const char* wrong : {R"({"sub":7})", R"({"sub":""})", R"({"sub":"a\u0000b"})", R"({"rooms":"lobby"})", R"({"rooms":[7]})",
                            R"({"publish":{"lobby":true}})", R"({"aud":7})", R"({"aud":["x",7]})"})
    BOOST_TEST(verdict_of_claims(wrong) == "claims", wrong);
  BOOST_TEST(verdict_of_claims("{\"sub\":\"" + std::string(64, 'u') + "\"}") == "good");
  BOOST_TEST(verdict_of_claims("{\"sub\":\"" + std::string(65, 'u') + "\"}") == "claims");
  const auto claims =
      check_token(sign_token(secret, hs256_header, R"({"sub":"alice","rooms":["prices/*","lobby"],"publish":["lobby"],"exp":1700000009})"),
                  own_keys(), {}, now_s);
  BOOST_REQUIRE(claims.has_value());
  BOOST_TEST(claims->user == "alice");
  BOOST_TEST((claims->expires_s == 1'700'000'009));
  BOOST_TEST(claims->may_join("prices/gold"));
  BOOST_TEST(claims->may_join("lobby"));
  BOOST_TEST(!claims->may_join("lobby2"));
  BOOST_TEST(claims->may_publish("lobby"));
  BOOST_TEST(!claims->may_publish("prices/gold"));
  const auto empty = check_token(sign_token(secret, hs256_header, "{}"), own_keys(), {}, now_s);
  BOOST_REQUIRE(empty.has_value());
  BOOST_TEST(!empty->may_join("lobby")); // nothing is permitted that is not named
  BOOST_TEST(!empty->may_publish("lobby"));
}

BOOST_AUTO_TEST_CASE(an_audience_is_named_by_both_or_by_neither) {
  BOOST_TEST(verdict_of_claims("{}") == "good");
  BOOST_TEST(verdict_of_claims(R"({"aud":"chat"})") == "audience"); // it is for somebody else, and who we are was not said
  BOOST_TEST(verdict_of_claims(R"({"aud":"chat"})", now_s, "chat") == "good");
  BOOST_TEST(verdict_of_claims(R"({"aud":["mail","chat"]})", now_s, "chat") == "good");
  BOOST_TEST(verdict_of_claims(R"({"aud":["mail"]})", now_s, "chat") == "audience");
  BOOST_TEST(verdict_of_claims("{}", now_s, "chat") == "audience");
}

BOOST_AUTO_TEST_CASE(patterns_match_whole_names) {
  BOOST_TEST(matches_pattern("lobby", "lobby"));
  BOOST_TEST(!matches_pattern("lobby", "Lobby"));
  BOOST_TEST(!matches_pattern("", "lobby"));
  BOOST_TEST(matches_pattern("*", "lobby"));
  BOOST_TEST(matches_pattern("prices/*", "prices/"));
  BOOST_TEST(matches_pattern("prices/*", "prices/gold/spot"));
  BOOST_TEST(!matches_pattern("prices/*", "prices"));
  BOOST_TEST(matches_pattern("*/a/*b", "x/a/a/bb"));
  BOOST_TEST(!matches_pattern("*/a/*b", "x/a/a/bc"));
  BOOST_TEST(matches_pattern("**x**", "x"));
  BOOST_TEST(!matches_pattern("a*a", "a"));
  // The worst that a token can bring: every star is tried, and it ends at once.
  std::string stars;
  while (stars.size() < token_bytes_max / 2) stars += "*a";
  BOOST_TEST(!matches_pattern(stars, std::string(128, 'a')));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(keys_of_tokens)

BOOST_AUTO_TEST_CASE(a_set_takes_the_keys_that_are_for_here_and_leaves_out_the_others) {
  const token_keys all = set_of(
      std::string{vectors::rs256_key} + "," + std::string{vectors::es256_key} + "," + std::string{vectors::eddsa_key} + "," +
      std::string{vectors::hs256_key} +
      R"(,{"kty":"OKP","crv":"X25519","x":""},{"kty":"EC","crv":"P-521"},{"kty":"new"},{"kty":"RSA","use":"enc"},{"kty":"RSA","alg":"PS256"})");
  BOOST_TEST(all.size() == 4);
  for (const char* name : {"HS256", "EdDSA", "ES256", "RS256"}) BOOST_TEST(all.find("", name) != nullptr);
  BOOST_TEST(all.find("", "PS256") == nullptr);
}

BOOST_AUTO_TEST_CASE(a_broken_set_says_what_is_wrong) {
  const auto error_of = [](std::string_view json) {
    token_keys all;
    const auto added = all.add_set(json);
    return added ? std::string{"fine"} : added.error();
  };
  const auto says = [](const std::string& error, std::string_view what) { return error.find(what) != std::string::npos; };
  BOOST_TEST(says(error_of("[]"), "no JSON object"));
  BOOST_TEST(says(error_of(R"({"keys":[],"keys":[]})"), "no JSON object"));
  BOOST_TEST(says(error_of("{}"), "array \"keys\""));
  BOOST_TEST(says(error_of(R"({"keys":[]})"), "no key of this set"));
  BOOST_TEST(says(error_of(R"({"keys":[7]})"), "a key is a JSON object"));
  BOOST_TEST(says(error_of(R"({"keys":[{"kty":"oct","kid":"weak","k":"c2hvcnQ"}]})"), "\"weak\": a secret of 5 bytes is too short"));
  BOOST_TEST(says(error_of(R"({"keys":[{"kty":"oct","kid":7,"k":""}]})"), "the kid of a key"));
  BOOST_TEST(says(error_of(R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]})"), "no public key of Ed25519"));
  BOOST_TEST(says(error_of(R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]})"), "2048 to 4096 bits"));
  std::string off_curve{vectors::es256_key};
  off_curve.replace(off_curve.find("f83O"), 4, "f83P");
  BOOST_TEST(says(error_of("{\"keys\":[" + off_curve + "]}"), "no point of the curve"));
  std::string even{vectors::rs256_key};
  even.replace(even.find("AQAB"), 4, "AQAA");
  BOOST_TEST(says(error_of("{\"keys\":[" + even + "]}"), "exponent"));
  const std::string twice = std::string{vectors::eddsa_key} + "," + std::string{vectors::eddsa_key};
  BOOST_TEST(says(error_of("{\"keys\":[" + twice + "]}"), "two keys for EdDSA have no kid"));
}

BOOST_AUTO_TEST_SUITE_END()

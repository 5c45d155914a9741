// Keys that check signatures, by the examples of RFC 4231 and RFC 8032. ES256 and RS256 have theirs in tests/server_program/token_test.cpp.
#include <ringcast/hmac.hpp>
#include <ringcast/signature.hpp>

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

using namespace ringcast;

namespace {

std::vector<std::byte> from_hex(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes.push_back(static_cast<std::byte>(std::stoi(std::string{hex.substr(i, 2)}, nullptr, 16)));
  return bytes;
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span{text}); }

// Good as it is; not with any byte of it changed, nor shorter, longer, or empty.
void check_signature(const signature_key& key, std::string_view message, std::vector<std::byte> signature) {
  BOOST_TEST(key.verifies(bytes_of(message), signature));
  BOOST_TEST(!key.verifies(bytes_of(std::string{message} + "."), signature));
  for (std::size_t i = 0; i < signature.size(); ++i) {
    signature[i] ^= std::byte{0x80};
    BOOST_TEST(!key.verifies(bytes_of(message), signature), "byte " << i);
    signature[i] ^= std::byte{0x80};
  }
  BOOST_TEST(!key.verifies(bytes_of(message), {}));
  BOOST_TEST(!key.verifies(bytes_of(message), std::span{signature}.first(signature.size() - 1)));
  signature.push_back(std::byte{0});
  BOOST_TEST(!key.verifies(bytes_of(message), signature));
}

} // namespace

BOOST_AUTO_TEST_SUITE(signatures)

BOOST_AUTO_TEST_CASE(what_a_program_signs_is_as_in_the_examples_and_its_key_accepts_it) {
  const auto made = hmac_sha256(bytes_of("Jefe"), bytes_of("what do ya want for nothing?")); // RFC 4231 4.3
  BOOST_TEST((std::vector(made.begin(), made.end()) == from_hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")));
  const std::string secret(32, 's');
  const auto key = signature_key::hmac_sha256(bytes_of(secret));
  BOOST_REQUIRE(key.has_value());
  BOOST_TEST(key->verifies(bytes_of("text"), hmac_sha256(bytes_of(secret), bytes_of("text"))));
}

BOOST_AUTO_TEST_CASE(the_examples_of_the_rfcs_are_good_and_nothing_near_them) {
  const auto mac = signature_key::hmac_sha256(std::vector<std::byte>(131, std::byte{0xaa})); // RFC 4231 4.7
  BOOST_REQUIRE(mac.has_value());
  BOOST_TEST((mac->algorithm() == signature_algorithm::hmac_sha256));
  check_signature(*mac, "Test Using Larger Than Block-Size Key - Hash Key First",
                  from_hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
  const auto edwards = signature_key::ed25519(from_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")); // RFC 8032 7.1
  BOOST_REQUIRE(edwards.has_value());
  check_signature(
      *edwards, "",
      from_hex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"));
}

BOOST_AUTO_TEST_CASE(keys_that_protect_nothing_are_refused_in_words) {
  const auto why = [](const std::expected<signature_key, std::string>& key) { return key ? std::string{"a key"} : key.error(); };
  const std::vector<std::byte> ones(513, std::byte{0xff});
  const auto bytes = [&](std::size_t count) { return std::span{ones}.first(count); };
  BOOST_TEST(why(signature_key::hmac_sha256(bytes(31))) == "a secret of 31 bytes is too short: HS256 needs 32 (RFC 7518 3.2)");
  BOOST_TEST(why(signature_key::hmac_sha256(bytes(32))) == "a key");
  BOOST_TEST(why(signature_key::ed25519(bytes(31))) == "this is no public key of Ed25519");
  BOOST_TEST(why(signature_key::ecdsa_p256(bytes(32), bytes(32))) == "this is no point of the curve P-256");
  const std::string sizes = "an RSA key has 2048 to 4096 bits here", exponents = "the exponent of an RSA key is odd, from 3 to 2^32-1";
  BOOST_TEST(why(signature_key::rsa(bytes(255), bytes(1))) == sizes);
  BOOST_TEST(why(signature_key::rsa(bytes(256), bytes(1))) == "a key");
  BOOST_TEST(why(signature_key::rsa(bytes(512), bytes(4))) == "a key");
  BOOST_TEST(why(signature_key::rsa(bytes(513), bytes(4))) == sizes);
  BOOST_TEST(why(signature_key::rsa(bytes(256), bytes(5))) == exponents);
  BOOST_TEST(why(signature_key::rsa(bytes(256), {})) == exponents);
  BOOST_TEST(why(signature_key::rsa(bytes(256), from_hex("01"))) == exponents);
  BOOST_TEST(why(signature_key::rsa(bytes(256), from_hex("0004"))) == exponents);
}

BOOST_AUTO_TEST_SUITE_END()

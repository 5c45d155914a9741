// Loading: what is wrong with a file is said with its name; SNI chooses the certificate; a reload disturbs nobody.
#include "tests/tls/pair.hpp"

#include <fstream>

namespace ringcast {

using namespace engine;
namespace {

using namespace test;

void expect_refused(const std::expected<std::shared_ptr<const tls_context>, std::string>& loaded, const std::vector<std::string>& words) {
  BOOST_REQUIRE(!loaded);
  for (const std::string& word : words) BOOST_TEST(loaded.error().find(word) != std::string::npos, loaded.error());
}

BOOST_AUTO_TEST_SUITE(context)

BOOST_AUTO_TEST_CASE(files_that_cannot_be_used) {
  const certificates& made = test_certificates();
  const auto load = [](const std::string& chain, const std::string& key) { return tls_context::load_server({.certificates = {{chain, key, {}}}}); };
  const std::string noise = made.path("noise");
  std::ofstream(noise) << "this is no PEM";
  expect_refused(tls_context::load_server({}), {"at least one certificate"});
  expect_refused(load("/nowhere/a.pem", made.key("other")), {"/nowhere/a.pem", "No such file"});
  expect_refused(load(made.pem("other"), "/nowhere/a.key"), {"/nowhere/a.key", "No such file"});
  expect_refused(load(made.path(""), made.key("other")), {"not a regular file"});
  expect_refused(load(noise, made.key("other")), {noise, "certificate"});
  expect_refused(load(made.pem("other"), noise), {noise, "key"});
  // The distribution's build of wolfSSL 5.5.4 calls any two elliptic keys a match; the first handshake then fails.
  if (tls_library_description().ends_with("with AES instructions"))
    expect_refused(load(made.pem("other"), made.key("localhost")), {made.key("localhost"), "does not belong"});
  expect_refused(tls_context::load_server({.certificates = {{made.pem("other"), made.key("other"), {}}}, .client_ca_file = noise}),
                 {noise, "no usable certificate"});
  expect_refused(tls_context::load_client({.ca_file = noise}), {noise, "no usable certificate"});
  expect_refused(tls_context::load_client({.ca_file = "/nowhere/ca.pem"}), {"/nowhere/ca.pem"});
}

BOOST_AUTO_TEST_CASE(the_system_s_store_is_the_default) {
  setenv("SSL_CERT_FILE", test_certificates().pem("ca").c_str(), 1);
  const auto loaded = tls_context::load_client({});
  unsetenv("SSL_CERT_FILE");
  BOOST_REQUIRE(loaded);
  tls_pair pair(server_context("localhost"), *loaded);
  pair.settle();
  pair.expect_open();
  const auto own = tls_context::load_client({});
  if (!own) {
    BOOST_TEST_MESSAGE("no system store here: " << own.error());
    return;
  }
  tls_pair stranger(server_context("localhost"), *own);
  stranger.settle();
  BOOST_TEST(stranger.client.failure() == tls_failure::certificate);
}

BOOST_AUTO_TEST_CASE(sni_chooses_the_certificate) {
  const certificates& made = test_certificates();
  const auto server_side = server_context({.certificates = {{made.pem("other"), made.key("other"), {}},
                                                            {made.pem("localhost"), made.key("localhost"), {}},
                                                            {made.pem("renewed"), made.key("renewed"), {"one.wild.test", "*.named.test"}}}});
  const auto client_side = client_context({.verification = tls_verification::off_and_insecure});
  const auto subject_for = [&](std::string_view host) {
    tls_pair pair(server_side, client_side, host);
    pair.settle(at_random(9));
    pair.expect_open();
    BOOST_TEST((host == "127.0.0.1" || pair.server.agreement().server_name == host));
    return std::string{pair.client.agreement().peer_subject};
  };
  BOOST_TEST(subject_for("localhost") == "/CN=localhost");
  BOOST_TEST(subject_for("LocalHost") == "/CN=localhost");
  BOOST_TEST(subject_for("two.wild.test") == "/CN=localhost");
  BOOST_TEST(subject_for("one.wild.test") == "/O=Renewed/CN=localhost"); // In full goes before a wildcard.
  BOOST_TEST(subject_for("a.named.test") == "/O=Renewed/CN=localhost");
  BOOST_TEST(subject_for("other.test") == "/CN=other.test");
  BOOST_TEST(subject_for("unknown.test") == "/CN=other.test"); // The first one for everybody else.
  BOOST_TEST(subject_for("a.b.wild.test") == "/CN=other.test");
  BOOST_TEST(subject_for("127.0.0.1") == "/CN=other.test");
}

BOOST_AUTO_TEST_CASE(a_reload_is_for_new_connections) {
  auto serving = server_context("localhost");
  const auto client_side = client_context();
  tls_pair old(serving, client_side);
  old.settle();
  tls_pair half_open(serving, client_side);
  serving = server_context("renewed");
  tls_pair young(serving, client_side);
  young.settle();
  half_open.settle();
  for (tls_pair* pair : {&old, &half_open, &young}) {
    pair->expect_open();
    pair->say(pair->server, "still here");
    pair->settle();
    BOOST_TEST(pair->client_heard == "still here");
  }
  BOOST_TEST(old.client.agreement().peer_subject == "/CN=localhost");
  BOOST_TEST(half_open.client.agreement().peer_subject == "/CN=localhost");
  BOOST_TEST(young.client.agreement().peer_subject == "/O=Renewed/CN=localhost");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace ringcast

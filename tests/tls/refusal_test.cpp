// What must not be accepted, and how each refusal is told apart: certificates, names, noise, plain HTTP, truncation.
#include "tests/tls/pair.hpp"

#include <fstream>

namespace ringcast {

using namespace engine;
namespace {

using namespace test;

// The client refuses, says so in its own words, and the server hears it as an alert.
void expect_client_refuses(tls_pair& pair, tls_failure failure, std::string_view reason) {
  pair.settle();
  BOOST_TEST(pair.client.state() == tls_state::failed);
  BOOST_TEST(pair.client.failure() == failure);
  BOOST_TEST(pair.client.reason() == reason);
  BOOST_TEST(pair.server.state() == tls_state::failed);
  BOOST_TEST(pair.server.reason().starts_with("the peer refused with the alert"), pair.server.reason());
}

BOOST_AUTO_TEST_SUITE(refusal)

BOOST_AUTO_TEST_CASE(certificate_of_an_unknown_authority) {
  tls_pair pair(server_context("foreign"), client_context());
  expect_client_refuses(pair, tls_failure::certificate, "the certificate is not signed by an authority that is trusted here");
}

BOOST_AUTO_TEST_CASE(certificate_that_has_expired) {
  tls_pair pair(server_context("expired"), client_context());
  expect_client_refuses(pair, tls_failure::certificate, "the certificate has expired");
}

BOOST_AUTO_TEST_CASE(certificate_for_another_host) {
  for (const char* host : {"example.org", "localhost.example.org", "a.b.wild.test", "wild.test", "127.0.0.2", "::2"}) {
    BOOST_TEST_CONTEXT(host) {
      tls_pair pair(server_context("localhost"), client_context(), host);
      expect_client_refuses(pair, tls_failure::certificate, "the certificate is for another host name");
    }
  }
}

BOOST_AUTO_TEST_CASE(certificate_for_this_host) {
  for (const char* host : {"localhost", "LOCALHOST", "a.wild.test", "127.0.0.1", "::1", "0:0:0:0:0:0:0:1"}) {
    BOOST_TEST_CONTEXT(host) {
      tls_pair pair(server_context("localhost"), client_context(), host);
      pair.settle();
      pair.expect_open();
      pair.say(pair.client, host);
      pair.settle();
      BOOST_TEST(pair.server_heard == host);
    }
  }
}

BOOST_AUTO_TEST_CASE(verification_can_be_switched_off_and_only_explicitly) {
  for (const char* name : {"foreign", "expired", "other"}) {
    tls_pair pair(server_context(name), client_context({.verification = tls_verification::off_and_insecure}));
    pair.settle();
    pair.expect_open();
  }
}

BOOST_AUTO_TEST_CASE(client_certificates) {
  const certificates& made = test_certificates();
  const auto server_side = server_context({.certificates = {{made.pem("localhost"), made.key("localhost"), {}}}, .client_ca_file = made.pem("ca")});
  tls_pair known(server_side, client_context({.certificate_chain_file = made.pem("client"), .certificate_key_file = made.key("client")}));
  known.settle();
  known.expect_open();
  BOOST_TEST(known.server.agreement().peer_subject == "/O=Ringcast/CN=client-7");

  tls_pair unknown(server_side, client_context({.certificate_chain_file = made.pem("intruder"), .certificate_key_file = made.key("intruder")}));
  unknown.settle();
  BOOST_TEST(unknown.server.failure() == tls_failure::certificate);
  BOOST_TEST(unknown.server.reason() == "the certificate is not signed by an authority that is trusted here");
  BOOST_TEST(unknown.client.state() == tls_state::failed);

  tls_pair without(server_side, client_context());
  without.settle();
  BOOST_TEST(without.server.failure() == tls_failure::certificate);
  BOOST_TEST(without.client.failure() == tls_failure::refused);
  BOOST_TEST(without.client.reason() == "the peer refused with the alert certificate_required");
  BOOST_TEST(without.server.reason() == "the peer sent no certificate");
  BOOST_TEST(without.client.state() == tls_state::failed);
}

BOOST_AUTO_TEST_CASE(plain_http_on_a_tls_port) {
  for (const std::string_view request : {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\n\r\n", "PUT"}) {
    for (const std::size_t step : {1UZ, 2UZ, request.size()}) {
      tls_session server(server_context("localhost"));
      const auto scratch = std::make_unique<tls_scratch>();
      byte_buffer out;
      for (std::size_t at = 0; at < request.size(); at += step)
        server.feed(bytes_of(request.substr(at, step)), *scratch, out, [](auto) { BOOST_FAIL("plaintext"); });
      BOOST_TEST(server.failure() == tls_failure::plain_http);
      BOOST_TEST(out.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(noise_instead_of_a_handshake) {
  using namespace std::string_literals;
  for (const std::string& noise : {"\0\0\0\0\0\0"s, "\x80\x2e\x01\x00\x02"s, "get / HTTP/1.1"s, "\x16\x02\x00\x00\x10"s, "\x17\x03\x03\x00\x10"s,
                                   "\x16\x03\x01\xff\xff"s, "\x16\x03\x01\x00\x00"s, "A\n"s}) {
    tls_session server(server_context("localhost"));
    const auto scratch = std::make_unique<tls_scratch>();
    byte_buffer out;
    server.feed(bytes_of(noise), *scratch, out, [](auto) { BOOST_FAIL("plaintext"); });
    BOOST_TEST(server.failure() == tls_failure::not_tls);
    BOOST_TEST(out.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_first_record_of_nonsense) {
  const auto server_side = server_context("localhost");
  const auto scratch = std::make_unique<tls_scratch>();
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t length = 1 + random() % 300;
    std::string record{"\x16\x03\x01"};
    record += static_cast<char>(length >> 8);
    record += static_cast<char>(length);
    record += '\x01'; // A ClientHello, by its first byte.
    while (record.size() < 5 + length) record += static_cast<char>(random() % (round % 2 == 0 ? 256 : 4));
    tls_session server(server_side);
    byte_buffer out;
    server.feed(bytes_of(record), *scratch, out, [](auto) { BOOST_FAIL("plaintext"); });
    server.end_of_stream();
    BOOST_REQUIRE(server.state() == tls_state::failed);
  }
}

BOOST_AUTO_TEST_CASE(a_client_hello_with_any_byte_changed) {
  const auto server_side = server_context("localhost");
  const auto client_side = client_context();
  byte_buffer hello;
  tls_session(client_side, "localhost").start(hello);
  const auto scratch = std::make_unique<tls_scratch>();
  for (std::size_t at = 0; at < hello.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      std::vector<std::byte> changed(hello.bytes().begin(), hello.bytes().end());
      changed[at] ^= static_cast<std::byte>(flip);
      tls_session server(server_side);
      byte_buffer out;
      server.feed(changed, *scratch, out, [](auto) { BOOST_FAIL("plaintext"); });
      BOOST_TEST((server.state() == tls_state::handshaking || server.state() == tls_state::failed));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_changed_record_is_not_accepted) {
  for (const std::size_t at : {5UZ, 20UZ, 104UZ}) {
    tls_pair pair(server_context("localhost"), client_context());
    pair.settle();
    pair.say(pair.client, std::string(100, 'x'));
    pair.to_server.bytes()[at] ^= std::byte{1};
    pair.settle();
    BOOST_TEST(pair.server_heard == "");
    BOOST_TEST(pair.server.failure() == tls_failure::broken_record);
    BOOST_TEST(pair.server.reason() == "a record does not decrypt");
    BOOST_TEST(pair.client.reason() == "the peer refused with the alert bad_record_mac");
    BOOST_TEST(!pair.server.write(bytes_of("no"), *pair.scratch, pair.to_client));
  }
}

BOOST_AUTO_TEST_CASE(a_record_that_is_longer_than_allowed) {
  tls_pair pair(server_context("localhost"), client_context());
  pair.settle();
  std::string record{"\x17\x03\x03\xff\xff"};
  record.resize(5 + 65535, 'x');
  pair.server.feed(bytes_of(record), *pair.scratch, pair.to_client, [](auto) { BOOST_FAIL("plaintext"); });
  BOOST_TEST(pair.server.failure() == tls_failure::broken_record);
  BOOST_TEST(pair.server.reason() == "a record is longer than TLS allows");
}

BOOST_AUTO_TEST_CASE(a_client_hello_is_gathered_before_its_handshake_begins) {
  tls_pair pair(server_context("localhost"), client_context());
  const byte_buffer hello = std::move(pair.to_server);
  const auto before = tls_library_allocations();
  for (std::size_t at = 0; at < hello.size(); ++at) {
    std::span<const std::byte> arrived = hello.bytes().subspan(at, 1);
    BOOST_TEST(pair.server.gather_client_hello(arrived) == (at + 1 == hello.size()));
    BOOST_TEST(arrived.empty());
  }
  BOOST_TEST(tls_library_allocations().calls == before.calls);
  BOOST_TEST(pair.to_client.empty());
  pair.server.feed({}, *pair.scratch, pair.to_client, [](auto) { BOOST_FAIL("plaintext"); });
  BOOST_TEST(!pair.to_client.empty());
  pair.settle();
  pair.expect_open();
}

BOOST_AUTO_TEST_CASE(a_client_hello_that_announces_more_than_any_has_is_refused_at_its_header) {
  for (const std::size_t length : {tls_client_hello_bytes_max - 1, tls_client_hello_bytes_max, tls_client_hello_bytes_max + 1}) {
    tls_session server(server_context("localhost"));
    const std::array header{std::byte{22}, std::byte{3}, std::byte{1}, static_cast<std::byte>(length >> 8), static_cast<std::byte>(length)};
    std::span<const std::byte> arrived{header};
    BOOST_TEST(server.gather_client_hello(arrived) == (length > tls_client_hello_bytes_max));
    BOOST_TEST(server.failure() == (length > tls_client_hello_bytes_max ? tls_failure::not_tls : tls_failure::none));
  }
}

BOOST_AUTO_TEST_CASE(truncation_is_told_from_a_close) {
  tls_pair pair(server_context("localhost"), client_context());
  pair.settle();
  pair.say(pair.client, "half a mes");
  pair.settle();
  pair.server.end_of_stream();
  BOOST_TEST(pair.server.failure() == tls_failure::truncated);
  BOOST_TEST(pair.server_heard == "half a mes");

  tls_pair early(server_context("localhost"), client_context());
  early.server.end_of_stream();
  BOOST_TEST(early.server.failure() == tls_failure::handshake);
  BOOST_TEST(early.server.reason() == "the peer closed the connection in the middle of the handshake");
}

BOOST_AUTO_TEST_CASE(versions_that_do_not_meet) {
  tls_pair pair(server_context("localhost", tls_version::tls_1_3), client_context({.newest = tls_version::tls_1_2}));
  pair.settle();
  BOOST_TEST(pair.server.failure() == tls_failure::handshake);
  BOOST_TEST(pair.server.reason() == "the peer speaks no TLS version that is allowed here");
  BOOST_TEST(pair.client.failure() == tls_failure::refused);
  const certificates& made = test_certificates();
  BOOST_TEST(!tls_context::load_server(
      {.certificates = {{made.pem("other"), made.key("other"), {}}}, .oldest = tls_version::tls_1_3, .newest = tls_version::tls_1_2}));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace ringcast

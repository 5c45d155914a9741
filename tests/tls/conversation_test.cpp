// Two of our own sessions: handshake, data, close, resumption, in every version and however the bytes arrive.
#include "tests/tls/pair.hpp"

namespace ringcast {

using namespace engine;
namespace {

using namespace test;

std::string long_text(std::size_t size) {
  std::mt19937 random(7);
  std::string text(size, ' ');
  for (char& letter : text) letter = static_cast<char>(random());
  return text;
}

// Both ends at 1.3, then one of them at 1.2, which must bring both to it.
struct version_case {
  tls_version server_newest, client_newest;
  const char* agreed;
};
constexpr version_case versions[] = {{tls_version::tls_1_3, tls_version::tls_1_3, "TLSv1.3"},
                                     {tls_version::tls_1_2, tls_version::tls_1_3, "TLSv1.2"},
                                     {tls_version::tls_1_3, tls_version::tls_1_2, "TLSv1.2"}};
std::shared_ptr<const tls_context> server_of(const version_case& version, const std::string& name) {
  const certificates& made = test_certificates();
  return server_context({.certificates = {{made.pem(name), made.key(name), {}}}, .newest = version.server_newest});
}

BOOST_AUTO_TEST_SUITE(conversation)

BOOST_AUTO_TEST_CASE(handshake_and_data_however_they_arrive) {
  for (const auto& [version, certificate] : std::vector<std::pair<version_case, std::string>>{{versions[0], "localhost"},
                                                                                              {versions[0], "rsa"},
                                                                                              {versions[0], "deep"},
                                                                                              {versions[1], "localhost"},
                                                                                              {versions[2], "rsa"},
                                                                                              {versions[2], "deep"}}) {
    const auto server_side = server_of(version, certificate);
    const auto client_side = client_context({.newest = version.client_newest});
    const std::vector<splitter> splitters{whole(), byte_by_byte(), at_random(1), at_random(2), at_random(3)};
    for (const splitter& split : splitters) {
      tls_pair pair(server_side, client_side);
      pair.settle(split);
      pair.expect_open();
      pair.say(pair.client, "hello");
      pair.say(pair.server, "and welcome");
      const std::string large = long_text(100'000);
      pair.say(pair.client, large);
      pair.settle(split);
      BOOST_TEST(pair.client_heard == "and welcome");
      BOOST_TEST((pair.server_heard == "hello" + large));

      pair.client.close_notify(pair.to_server);
      pair.settle(split);
      BOOST_TEST(pair.server.state() == tls_state::peer_closed);
      pair.say(pair.server, "farewell");
      pair.server.close_notify(pair.to_client);
      pair.settle(split);
      BOOST_TEST(pair.client_heard == "and welcomefarewell");
      BOOST_TEST(pair.client.state() == tls_state::peer_closed);
      pair.client.end_of_stream();
      pair.server.end_of_stream();
      BOOST_TEST(pair.client.failure() == tls_failure::none);
      BOOST_TEST(pair.server.failure() == tls_failure::none);
      BOOST_TEST(!pair.client.write(bytes_of("too late"), *pair.scratch, pair.to_server));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_was_agreed) {
  for (const version_case& version : versions) {
    tls_pair pair(server_of(version, "localhost"), client_context({.newest = version.client_newest}));
    pair.settle();
    pair.expect_open();
    for (const tls_session* end : {&pair.client, &pair.server}) {
      const tls_agreement agreed = end->agreement();
      BOOST_TEST(agreed.version == version.agreed);
      BOOST_TEST(cipher_of(agreed).find("AES128GCMSHA256") != std::string::npos, agreed.cipher);
      BOOST_TEST(agreed.alpn == "http/1.1");
      BOOST_TEST(agreed.server_name == "localhost");
      BOOST_TEST(!agreed.resumed);
    }
    BOOST_TEST(pair.client.agreement().peer_subject == "/CN=localhost");
    BOOST_TEST(pair.server.agreement().peer_subject == "");
  }
}

BOOST_AUTO_TEST_CASE(pieces_share_records) {
  tls_pair pair(server_context("localhost"), client_context());
  pair.settle();
  pair.expect_open();
  const std::string text = long_text(200'000);
  std::mt19937 random(5);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::span<const std::byte>> pieces;
    std::size_t used = 0;
    const std::size_t wanted = random() % text.size();
    while (used < wanted) {
      const std::size_t length = std::min<std::size_t>(wanted - used, random() % (random() % 3 == 0 ? 60'000 : 300));
      pieces.push_back(bytes_of(text).subspan(used, length)); // Empty ones among them.
      used += length;
    }
    BOOST_REQUIRE(pair.client.write(pieces, *pair.scratch, pair.to_server));
    std::size_t records = 0;
    const auto wire = pair.to_server.bytes();
    for (std::size_t at = 0; at < wire.size(); ++records)
      at += 5 + std::to_integer<std::size_t>(wire[at + 3]) * 256 + std::to_integer<std::size_t>(wire[at + 4]);
    // A large piece behind a full record may cost one that is not full, never more.
    BOOST_TEST(records <= (wanted + tls_record_bytes_max - 1) / tls_record_bytes_max);
    pair.settle();
    BOOST_TEST((pair.server_heard == text.substr(0, wanted)));
    pair.server_heard.clear();
  }
  BOOST_REQUIRE(pair.client.write(std::span<const std::span<const std::byte>>{}, *pair.scratch, pair.to_server));
  BOOST_TEST(pair.to_server.empty());
}

BOOST_AUTO_TEST_CASE(a_handler_may_write_while_it_is_fed) {
  tls_pair pair(server_context("localhost"), client_context());
  pair.settle();
  pair.say(pair.client, "ping");
  byte_buffer arriving = std::move(pair.to_server);
  pair.server.feed(arriving.bytes(), *pair.scratch, pair.to_client,
                   [&](std::span<std::byte> heard) { BOOST_TEST(pair.server.write(heard, *pair.scratch, pair.to_client)); });
  pair.settle();
  BOOST_TEST(pair.client_heard == "ping");
}

BOOST_AUTO_TEST_CASE(resumption_by_ticket) {
  for (const version_case& version : versions) {
    const auto server_side = server_of(version, "localhost");
    const auto client_side = client_context({.newest = version.client_newest});
    tls_ticket ticket;
    for (int round = 0; round < 4; ++round) {
      tls_pair pair(server_side, client_side, "localhost", ticket);
      pair.settle(at_random(static_cast<unsigned>(round)));
      pair.expect_open();
      BOOST_TEST(pair.client.agreement().resumed == (round > 0));
      BOOST_TEST(pair.server.agreement().resumed == (round > 0));
      pair.say(pair.client, "again");
      pair.say(pair.server, "and again");
      pair.settle();
      BOOST_TEST(pair.server_heard == "again");
      ticket = pair.client.ticket();
      BOOST_TEST(static_cast<bool>(ticket));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_ticket_of_another_server_leads_to_a_full_handshake) {
  const auto client_side = client_context();
  tls_pair first(server_context("localhost"), client_side);
  first.settle();
  tls_pair second(server_context("renewed"), client_side, "localhost", first.client.ticket());
  second.settle();
  second.expect_open();
  BOOST_TEST(!second.client.agreement().resumed);
  BOOST_TEST(second.client.agreement().peer_subject == "/O=Renewed/CN=localhost");
}

BOOST_AUTO_TEST_CASE(no_tickets_where_they_are_switched_off) {
  const certificates& made = test_certificates();
  const auto server_side = server_context({.certificates = {{made.pem("localhost"), made.key("localhost"), {}}}, .session_tickets = false});
  const auto client_side = client_context();
  tls_pair first(server_side, client_side);
  first.settle();
  tls_pair second(server_side, client_side, "localhost", first.client.ticket());
  second.settle();
  second.expect_open();
  BOOST_TEST(!second.client.agreement().resumed);
}

BOOST_AUTO_TEST_CASE(sessions_leave_no_memory_behind) {
  const auto server_side = server_context("localhost");
  const auto client_side = client_context();
  {
    tls_pair warm(server_side, client_side);
    warm.settle();
  }
  const std::int64_t before = tls_library_allocations().live_bytes;
  for (int round = 0; round < 20; ++round) {
    tls_pair pair(server_side, client_side);
    if (round % 2 == 0) pair.settle();
  }
  BOOST_TEST(tls_library_allocations().live_bytes == before);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace ringcast

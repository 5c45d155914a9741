// Connections to the TLS port that say nothing, or a ClientHello and nothing more: whatever they do, the library's client gets its handshake.
#include "engine/tls/tls_session.hpp"
#include "tests/sim/checkers/client_journal.hpp"
#include "tests/sim/rigs/client_world.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/secure.hpp"
#include "tests/support/sanitizer.hpp"

#include <boost/test/unit_test.hpp>

namespace ringcast::sim {

using namespace engine;

namespace {

constexpr std::uint32_t handshakes_max = 4;

std::vector<std::byte> client_hello() {
  byte_buffer out;
  tls_session client(tls_context::load_client({.verification = tls_verification::off_and_insecure}).value(), "localhost");
  client.start(out);
  return {out.bytes().begin(), out.bytes().end()};
}

struct flood {
  std::size_t crowd = 50;
  std::size_t said = 0; // bytes of a ClientHello
  bool leaves = false;  // as soon as it is said
};

void check(const flood& who, std::uint64_t seed) {
  using namespace std::chrono_literals;
  (void)secure_identity();
  const std::vector<std::byte> hello = client_hello();
  kernel world(seed, {.split_delivery = seed % 2 == 0 ? 0.3 : 0});
  world.close_in_flight_is_misuse = true;
  {
    auto clients = std::make_unique<client_world>(world);
    engine_options options{.shards = 1, .identity = secure_identity()};
    options.each.limits.tls_handshakes_max = handshakes_max;
    engine_world server(world, options);
    std::vector<remote> crowd;
    for (std::size_t i = 0; i < who.crowd; ++i) {
      crowd.push_back(world.connect(engine_world::secure_port));
      BOOST_TEST_REQUIRE(crowd.back().is_open());
      const std::size_t bytes = std::min(who.said, hello.size());
      if (bytes > 0) BOOST_TEST_REQUIRE(crowd.back().write(std::span{hello}.first(bytes)) == static_cast<std::ptrdiff_t>(bytes));
      if (who.leaves) crowd.back().close();
    }
    const auto run_until = [&](auto&& done, std::string_view what) {
      for (int i = 0; i < 20'000; ++i) {
        if (done()) return true;
        BOOST_TEST_REQUIRE(server.at(0).tls().handshakes_in_progress() <= handshakes_max);
        clients->turn();
        server.step();
        (void)world.sleep();
      }
      BOOST_TEST_ERROR("it never happens: " << what << ", seed " << seed);
      return false;
    };
    const bool is_complete = who.said >= hello.size() && !who.leaves;
    // The crowd comes first: in so small a world those who come in the middle of a handshake might be the ones who end it.
    if (is_complete)
      (void)run_until([&] { return server.at(0).counters().refused(refusal::tls_handshakes) >= who.crowd - handshakes_max; }, "the oldest are ended");
    const std::uint64_t began_ns = world.now_ns();
    const client_options own{.tls = {.verification = tls_verification::off_and_insecure}, .reconnect = {.max_attempts = 1}, .close_timeout = 1s};
    client_journal journal(world, own.reconnect);
    hosted_client c(fmt::format("wss://10.0.0.1:{}/echo", engine_world::secure_port), own, clients->host());
    journal.attach(c);
    journal.will_connect();
    c.start();
    (void)c.send_text(make_payload({1, 1}, 100));
    (void)run_until([&] { return !journal.heard.empty(); }, "the client's message is echoed");
    // None of them had to be waited for.
    BOOST_TEST(world.now_ns() - began_ns < 2'000'000'000u);
    if (is_complete) BOOST_TEST(server.at(0).counters().refused(refusal::tls_handshakes) == who.crowd + 1 - handshakes_max);
    if (who.said < hello.size()) BOOST_TEST(server.at(0).counters().refused(refusal::tls_handshakes) == 0u);
    if (who.said < hello.size() && !who.leaves) BOOST_TEST(server.at(0).connection_count() == 1 + who.crowd);
    journal.will_disconnect();
    (void)c.disconnect();
    // Those who stay and say nothing more are ended by the timeout of handshakes.
    (void)run_until([&] { return c.state() == client_state::closed && server.connections() == 0; }, "all have left");
    BOOST_TEST(server.at(0).tls().handshakes_in_progress() == 0u);
    for (int i = 0; i < 20; ++i) {
      clients->turn();
      server.step();
    }
    for (const std::string& what : server.remains()) BOOST_TEST_ERROR("everybody has left, but " << what);
    clients->begin_stop();
    server.begin_stop();
    (void)run_until([&] { return clients->has_stopped() && server.has_stopped(); }, "both sides stop");
    for (const std::string& f : journal.failures) BOOST_TEST_ERROR(f);
    clients.reset();
  }
  for (const std::string& leak : world.leaks()) BOOST_TEST_ERROR("at the end " << leak);
}

} // namespace

BOOST_AUTO_TEST_SUITE(handshake_floods)

BOOST_AUTO_TEST_CASE(connections_that_say_nothing_are_no_handshakes_in_progress) {
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) check({.said = 0}, seed);
}

BOOST_AUTO_TEST_CASE(an_unfinished_client_hello_is_no_handshake_in_progress) {
  for (const std::size_t said : {1u, 4u, 5u, 6u, 100u}) check({.said = said}, said);
}

BOOST_AUTO_TEST_CASE(who_answers_is_served_before_those_who_sent_a_client_hello_and_are_silent) {
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) check({.said = SIZE_MAX}, seed);
}

BOOST_AUTO_TEST_CASE(those_who_leave_at_once_are_in_nobodys_way) {
  for (std::uint64_t seed = 1; seed <= rounds(10); ++seed) {
    check({.said = 0, .leaves = true}, seed);
    check({.said = SIZE_MAX, .leaves = true}, seed);
  }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

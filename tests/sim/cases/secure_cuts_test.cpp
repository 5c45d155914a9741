// The library's client and server over TLS, and the network between them ends at a byte of the handshake, of a record
// or of the closing, in either direction, by RST or by a FIN that no close_notify stands before.
#include "tests/sim/checkers/client_journal.hpp"
#include "tests/sim/rigs/client_world.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/secure.hpp"

#include <boost/test/unit_test.hpp>

namespace ringcast::sim {

using namespace engine;

namespace {

struct network_cut {
  bool of_the_server = false; // its bytes are counted
  bool is_fin = false;
  std::size_t after = 0;
};

struct result {
  bool was_cut = false;
  std::string story;
  std::vector<std::string> failures;
};

result run(const network_cut& cut, tls_version version, std::uint64_t seed) {
  using namespace std::chrono_literals;
  result end;
  random_source draw(seed);
  fault_plan faults;
  faults.split_delivery = draw.below(2) == 0 ? 0.3 : 0;
  faults.short_send = draw.below(2) == 0 ? 0.3 : 0;
  kernel world(seed, faults);
  world.close_in_flight_is_misuse = true;
  std::weak_ptr<connection> first;
  world.on_connection = [&](endpoint& from, endpoint& to) {
    world.on_connection = nullptr;
    endpoint& counted = cut.of_the_server ? to : from;
    counted.cut_after = cut.after;
    counted.cut_is_fin = cut.is_fin;
  };
  {
    auto clients = std::make_unique<client_world>(world);
    engine_world server(world, {.shards = 1, .identity = secure_identity()});
    const client_options options{.tls = {.verification = tls_verification::off_and_insecure, .newest = version},
                                 .reconnect = {.initial_delay = 100ms, .max_delay = 800ms},
                                 .connect_timeout = 2s,
                                 .close_timeout = 1s};
    client_journal journal(world, options.reconnect);
    hosted_client c(fmt::format("wss://10.0.0.1:{}/echo", engine_world::secure_port), options, clients->host());
    journal.attach(c);
    const auto run_until = [&](auto&& done, std::string_view what) {
      for (int i = 0; i < 20'000; ++i) {
        if (done()) return true;
        clients->turn();
        server.step();
        (void)world.sleep();
      }
      end.failures.push_back(fmt::format("it never happens: {}", what));
      return false;
    };
    journal.will_connect();
    c.start();
    for (std::uint32_t i = 1; i <= 3; ++i) (void)c.send_text(make_payload({1, i}, i * 100));
    // After a loss some of the first three may be gone for good; the next one is not.
    std::uint32_t last = 3;
    std::size_t losses = 0;
    const bool heard = run_until(
        [&] {
          const std::size_t now = journal.count(client_event::kind::disconnected);
          if (now > losses && journal.is_open()) {
            losses = now;
            (void)c.send_text(make_payload({1, ++last}, 50));
          }
          return journal.is_open() && !journal.heard.empty() && journal.heard.back().number == last;
        },
        "the last message is echoed");
    if (heard) {
      journal.will_disconnect();
      (void)c.disconnect();
      (void)run_until([&] { return c.state() == client_state::closed && journal.is_closed(); }, "the client is closed");
    }
    end.story = journal.story();
    for (std::size_t i = 1; i < journal.heard.size(); ++i)
      if (journal.heard[i].number <= journal.heard[i - 1].number) end.failures.push_back("an echo came twice or out of order");
    if (journal.count(client_event::kind::disconnected) + journal.count(client_event::kind::error) > 2)
      end.failures.push_back("one cut was told twice");
    (void)run_until([&] { return clients->at().connection_count() + server.connections() == 0; }, "both ends are gone");
    for (int i = 0; i < 20; ++i) {
      clients->turn();
      server.step();
    }
    for (const std::string& what : clients->remains()) end.failures.push_back("everybody has left, but " + what);
    for (const std::string& what : server.remains()) end.failures.push_back("everybody has left, but " + what);
    clients->begin_stop();
    server.begin_stop();
    (void)run_until([&] { return clients->has_stopped() && server.has_stopped(); }, "both sides stop");
    for (const std::string& f : journal.failures) end.failures.push_back(f);
    clients.reset();
    end.was_cut = journal.count(client_event::kind::error) > 0 || journal.count(client_event::kind::disconnected) > 1 || !journal.events.back().clean;
  }
  for (const std::string& leak : world.leaks()) end.failures.push_back("at the end " + leak);
  return end;
}

} // namespace

BOOST_AUTO_TEST_SUITE(secure_cuts)

BOOST_AUTO_TEST_CASE(the_network_ends_at_any_byte_of_a_secure_conversation) {
  (void)secure_identity();
  std::size_t cuts = 0, failed = 0;
  for (const tls_version version : {tls_version::tls_1_3, tls_version::tls_1_2})
    for (const bool of_the_server : {false, true})
      for (const bool is_fin : {false, true})
        // Every byte of the first record's header, then in steps that meet every place of a record over the cases.
        for (std::size_t after = 0, uncut = 0; uncut < 3; after += after < 8 ? 1 : 13) {
          const network_cut cut{of_the_server, is_fin, after};
          const result end = run(cut, version, 1 + after);
          uncut = end.was_cut ? 0 : uncut + 1;
          cuts += end.was_cut ? 1 : 0;
          if (end.failures.empty()) continue;
          BOOST_TEST_ERROR("cut of the " << (of_the_server ? "server" : "client") << " by " << (is_fin ? "FIN" : "RST") << " after " << after
                                         << " bytes, TLS 1." << (version == tls_version::tls_1_3 ? 3 : 2) << ": " << end.story);
          for (const std::string& f : end.failures) BOOST_TEST_MESSAGE("  " << f);
          if (++failed > 10) return;
        }
  BOOST_TEST_MESSAGE(cuts << " cuts");
  BOOST_TEST(cuts > 600);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

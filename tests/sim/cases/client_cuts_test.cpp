// The server of one client dies at every byte of a whole conversation: upgrade, messages, closing handshake, by whoever
// began it. Each death is told exactly once, by the event that it belongs to, and the client comes back if it should.
#include "tests/sim/rigs/client_rig.hpp"

#include <boost/test/unit_test.hpp>

namespace ringcast::sim {

using namespace engine;

namespace {

enum class ending : std::uint8_t { by_client, by_server, server_goes_away };

struct cut_case {
  ending who = ending::by_client;
  server_cut cut;
  std::uint64_t seed = 1;
  machine host;
};

struct outcome {
  bool was_cut = false;
  std::string story, expected;
  std::vector<std::string> failures;
};

std::string expected_story(const cut_case& made, const server_peer& first, bool client_was_closing, const std::string& story) {
  const std::string whole = " disconnected(1000) closed(1000 clean)";
  const bool silent = made.cut.dies == server_cut::how::silence;
  if (!first.answer_is_out())
    return fmt::format("error({}) reconnecting(1) open{}", static_cast<int>(silent ? client_error_kind::timed_out : client_error_kind::lost), whole);
  const std::string again = " reconnecting(1) reconnected" + whole;
  if (first.close_is_out()) return made.who == ending::server_goes_away ? "open disconnected(1001)" + again : "open" + whole;
  if (client_was_closing) {
    // Dead right behind the last echo: the loss may be there before the user's disconnect() is.
    const bool raced = !first.has_read_close() && !first.is_inside_frame() && story.contains("reconnecting");
    return raced ? "open disconnected(1006) reconnecting(1) closed(1006 not clean)" : "open disconnected(1006) closed(1006 not clean)";
  }
  // A client that hears nothing more in the middle of a frame closes for that reason.
  return (silent && first.is_inside_frame() ? "open disconnected(1008)" : "open disconnected(1006)") + again;
}

outcome run(const cut_case& made) {
  client_rig rig(made.seed, {}, made.host);
  rig.cut_of = [&](std::size_t number) { return number == 0 ? made.cut : server_cut{}; };
  bool ended = false, client_was_closing = false;
  std::size_t said_on = 0; // the connection on which something was said last
  const auto end_it = [&] {
    if (rig.servers.size() > 1 || made.who == ending::by_client) {
      client_was_closing = rig.servers.size() == 1;
      return rig.disconnect();
    }
    rig.servers.back().send_close(made.who == ending::by_server ? 1000 : 1001);
  };
  rig.script = [&] {
    if (!rig.journal->is_open()) return;
    if (rig.servers.size() == 2 && said_on != 2) {
      said_on = 2;
      ended = false;
      for (const std::size_t bytes : {20, 21, 200}) (void)rig.say(bytes);
    }
    if (ended || rig.journal->heard.empty() || rig.journal->heard.back().number != rig.said_count) return;
    ended = true;
    end_it();
  };
  rig.start();
  for (const std::size_t bytes : {5, 130, 300}) (void)rig.say(bytes);
  outcome result;
  if (rig.run_until([&] { return rig.is_closed(); }, "the client is closed")) {
    rig.run_for(1);
    const server_peer& first = rig.servers.front();
    result.was_cut = first.was_cut();
    result.story = rig.journal->story();
    result.expected = expected_story(made, first, client_was_closing, result.story);
    if (const std::string wrong = rig.account(); !wrong.empty()) rig.failures.push_back(wrong);
    rig.judge_messages();
    if (rig.servers.size() == 2) {
      // Whatever was handed to the connection that lived to its end has come back from it.
      if (rig.journal->heard_since_open != rig.servers.back().heard.size())
        rig.failures.push_back("not every message of the last connection was echoed");
    }
    if (rig.servers.size() > 2) rig.failures.push_back("a third connection was made");
  }
  result.failures = rig.end();
  return result;
}

void at_every_byte(cut_case made) {
  std::size_t cuts = 0, failed = 0;
  for (const ending who : {ending::by_client, ending::by_server, ending::server_goes_away})
    for (const auto dies : {server_cut::how::reset, server_cut::how::fin, server_cut::how::close, server_cut::how::silence})
      for (const bool reading : {false, true})
        for (std::size_t at = reading ? 1 : 0;; ++at) {
          made.who = who;
          made.cut = {.dies = dies};
          (reading ? made.cut.read_max : made.cut.written_max) = at;
          const outcome result = run(made);
          if (!result.failures.empty() || result.story != result.expected) {
            BOOST_TEST_ERROR(fmt::format("seed {}, ending {}, death {}, {} bytes {}: {}\n  expected: {}", made.seed, static_cast<int>(who),
                                         static_cast<int>(dies), at, reading ? "read" : "written", result.story, result.expected));
            for (const std::string& f : result.failures) BOOST_TEST_MESSAGE("  " << f);
            if (++failed > 20) return;
          }
          if (!result.was_cut) {
            BOOST_TEST(at > 300); // It was a whole conversation.
            break;
          }
          ++cuts;
        }
  BOOST_TEST_MESSAGE(cuts << " deaths");
  BOOST_TEST(cuts > 3 * 4 * 600);
}

} // namespace

BOOST_AUTO_TEST_SUITE(client_cuts)

BOOST_AUTO_TEST_CASE(a_server_dies_at_every_byte) { at_every_byte({}); }

BOOST_AUTO_TEST_CASE(a_server_behind_tiny_socket_buffers_dies_at_every_byte) {
  at_every_byte({.seed = 2, .host = {.send_bytes_min = 20, .send_bytes_max = 60, .receive_bytes_min = 20, .receive_bytes_max = 60}});
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

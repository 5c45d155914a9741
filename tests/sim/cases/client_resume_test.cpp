// A client with client_options::resume in a room that remembers, whose server dies at every byte that it writes, twice in a row: upgrade, what
// says where the room is, replay, live messages. Whatever the byte, the client hears every message once, in order, under its number.
#include "tests/sim/rigs/client_rig.hpp"
#include <ringcast/position.hpp>

#include <boost/test/unit_test.hpp>

namespace ringcast::sim {

using namespace engine;

namespace {

constexpr std::uint64_t epoch = 0xabcdef;
constexpr std::size_t messages = 12;
constexpr std::size_t steps_between = 3; // of two messages

struct resume_case {
  server_cut cut;
  std::size_t cuts = 1; // the first connections die
  std::uint64_t seed = 1;
  machine host;
};

struct outcome {
  bool was_cut = false;
  std::vector<std::string> heard;
  std::size_t gaps = 0, resumed = 0;
  std::vector<std::string> failures;
};

// All that was ever said is kept.
struct room {
  std::vector<std::string> said;

  static std::string numbered(std::size_t number, const std::string& text) { return fmt::format("{}\n{}", number, text); }
  std::vector<std::string> greet(std::string_view target) const {
    const std::size_t since = target.find("since=");
    const auto asked = since == std::string_view::npos ? std::nullopt : parse_position(target.substr(since + 6));
    std::vector<std::string> out{
        fmt::format(R"({{"room":"r","epoch":"{}","seq":{},"resumed":{}}})", text_of_epoch(epoch), said.size(), asked.has_value())};
    if (asked) {
      for (std::size_t i = asked->sequence; i < said.size(); ++i) out.push_back(numbered(i + 1, said[i]));
    }
    return out;
  }
};

outcome run(const resume_case& made) {
  client_rig rig(made.seed, {}, made.host);
  room here;
  outcome result;
  rig.greeting = [&](std::string_view target) { return here.greet(target); };
  rig.cut_of = [&](std::size_t number) { return number < made.cuts ? made.cut : server_cut{}; };
  client_options options = client_rig::options();
  options.resume = true;
  rig.c = rig.make(options, "ws://server.sim:9000/broadcast/r");
  rig.c->on_message([&](const message_view& m) {
    ++rig.journal->heard_since_open; // What says where the room is is no message, and no success of an attempt.
    result.heard.push_back(fmt::format("{} {}", rig.c->position()->sequence, m.text()));
  });
  rig.c->on_gap([&](const room_position&, const room_position&) { ++result.gaps; });
  rig.c->on_resumed([&](const room_position&, const room_position&) { ++result.resumed; });
  rig.script = [&] {
    // From here on nothing may be missed.
    if (!rig.c->position() || here.said.size() == messages || rig.steps % steps_between != 0) return;
    here.said.push_back(fmt::format("text {}", here.said.size() + 1));
    for (server_peer& s : rig.servers) s.say(room::numbered(here.said.size(), here.said.back()));
  };
  rig.start();
  (void)rig.run_until([&] { return result.heard.size() >= messages; }, "all is heard");
  rig.run_for(5000); // What comes twice would come now.
  result.was_cut = rig.servers.front().was_cut();
  result.failures = rig.end();
  return result;
}

void at_every_byte(resume_case made) {
  std::vector<std::string> expected;
  for (std::size_t i = 1; i <= messages; ++i) expected.push_back(fmt::format("{} text {}", i, i));
  std::size_t deaths = 0, resumed = 0, failed = 0;
  for (const auto dies : {server_cut::how::reset, server_cut::how::fin, server_cut::how::close, server_cut::how::silence}) {
    for (std::size_t at = 0;; ++at) {
      made.cut = {.dies = dies, .written_max = at};
      const outcome result = run(made);
      resumed += result.resumed;
      if (!result.failures.empty() || result.heard != expected || result.gaps != 0) {
        BOOST_TEST_ERROR(fmt::format("seed {}, death {} at {}: {} gaps, heard {}", made.seed, static_cast<int>(dies), at, result.gaps,
                                     fmt::join(result.heard, ", ")));
        for (const std::string& f : result.failures) BOOST_TEST_MESSAGE("  " << f);
        if (++failed > 10) return;
      }
      if (!result.was_cut) {
        BOOST_TEST(at > 300); // It was a whole conversation.
        break;
      }
      ++deaths;
    }
  }
  BOOST_TEST_MESSAGE(deaths << " deaths, " << resumed << " times resumed");
  BOOST_TEST(deaths > 4 * 300);
  BOOST_TEST(resumed > deaths / 4);
}

} // namespace

BOOST_AUTO_TEST_SUITE(client_resume)

BOOST_AUTO_TEST_CASE(a_room_whose_server_dies_at_every_byte_is_heard_whole) { at_every_byte({}); }

BOOST_AUTO_TEST_CASE(one_that_dies_twice_behind_tiny_socket_buffers_is_heard_whole) {
  at_every_byte({.cuts = 2, .seed = 2, .host = {.send_bytes_min = 20, .send_bytes_max = 60, .receive_bytes_min = 20, .receive_bytes_max = 60}});
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

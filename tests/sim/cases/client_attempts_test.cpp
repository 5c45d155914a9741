// What can happen to a client before it is open - the name, the addresses, the connection, the answer - and a user who
// gives up at any step.
#include "tests/sim/rigs/client_rig.hpp"
#include "tests/support/sanitizer.hpp"

#include "engine/client/client_host.hpp"

#include <boost/test/unit_test.hpp>

namespace ringcast::sim {

using namespace engine;

namespace {

using namespace std::chrono_literals;

void check_end(client_rig& rig) {
  for (const std::string& f : rig.end()) BOOST_TEST_ERROR(f);
}

// Runs until the client has tried a few times or is open, and answers its story.
std::string story_of_attempts(client_rig& rig, std::size_t events) {
  rig.start();
  (void)rig.run_until([&] { return rig.journal->events.size() >= events; }, "the attempts are told");
  return rig.journal->story();
}

std::uint64_t ms_between(const client_event& one, const client_event& other) { return (other.at_ns - one.at_ns) / 1'000'000; }

} // namespace

BOOST_AUTO_TEST_SUITE(client_attempts)

BOOST_AUTO_TEST_CASE(a_name_that_does_not_exist_is_asked_for_again) {
  client_rig rig(1);
  rig.world->names.clear();
  BOOST_TEST(story_of_attempts(rig, 4) == "error(1) reconnecting(1) error(1) reconnecting(2)");
  rig.world->names["server.sim"] = {"10.0.0.1"};
  (void)rig.run_until([&] { return rig.journal->is_open(); }, "the name is there and the client is open");
  BOOST_TEST(rig.journal->count(client_event::kind::open) == 1);
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(a_lookup_without_an_answer_ends_with_the_time_for_the_attempt) {
  client_rig rig(2);
  rig.world->names["server.sim"] = {};
  BOOST_TEST(story_of_attempts(rig, 3) == "error(3) reconnecting(1) error(3) reconnecting(2)");
  const auto& events = rig.journal->events;
  const std::uint64_t took = ms_between(events[1], events[2]);
  const auto delay = static_cast<std::uint64_t>(events[1].delay.count());
  BOOST_TEST(took + 5 >= 2000 + delay);
  BOOST_TEST(took <= 2000 + delay + 50);
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(an_answer_that_comes_after_its_attempt_is_not_used_for_the_next) {
  client_rig rig(3);
  rig.world->faults.slow_delivery = 1;
  client_options options = client_rig::options();
  options.connect_timeout = 1ms; // no answer comes in time
  rig.c = rig.make(options);
  rig.start();
  rig.run_for(3000);
  BOOST_TEST(rig.journal->count(client_event::kind::error) >= 3);
  BOOST_TEST(rig.journal->count(client_event::kind::error) + 1 >= rig.world->look_ups.size());
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(a_refused_port_is_one_error_for_all_addresses) {
  client_rig rig(4);
  rig.world->names["server.sim"] = {"10.0.0.1", "fd00::1", "10.0.0.2"};
  rig.listens.reset();
  BOOST_TEST(story_of_attempts(rig, 4) == "error(2) reconnecting(1) error(2) reconnecting(2)");
  rig.listens = rig.world->listen(client_rig::port);
  (void)rig.run_until([&] { return rig.journal->is_open(); }, "the server is there and the client is open");
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(the_next_address_is_tried_when_one_is_silent_refused_or_unreachable) {
  for (const route met : {route::silent, route::refused, route::unreachable}) {
    client_rig rig(5);
    rig.world->names["server.sim"] = {"fd00::1", "10.0.0.1"};
    rig.world->routes["fd00::1"] = met;
    const std::uint64_t begin = rig.world->now_ns();
    BOOST_TEST(story_of_attempts(rig, 1) == "open");
    BOOST_TEST((rig.journal->events[0].at_ns - begin) / 1'000'000 <= (met == route::silent ? 270u : 20u));
    check_end(rig);
  }
}

// RFC 8305 5: each attempt begins the delay after the one before, which goes on.
BOOST_AUTO_TEST_CASE(attempts_race_and_the_losers_are_closed) {
  client_rig rig(20);
  rig.world->names["server.sim"] = {"fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2"};
  rig.world->routes["fd00::1"] = route::silent;
  rig.world->routes["10.0.0.1"] = route::silent;
  const std::size_t descriptors = rig.world->open_descriptors();
  BOOST_TEST(story_of_attempts(rig, 1) == "open");
  const auto& dialed = rig.world->dialed;
  BOOST_REQUIRE(dialed.size() == 3u);
  BOOST_TEST(dialed[0].address == "fd00::1");
  BOOST_TEST(dialed[1].address == "10.0.0.1");
  BOOST_TEST(dialed[2].address == "fd00::2");
  for (std::size_t i = 1; i < dialed.size(); ++i) {
    BOOST_TEST((dialed[i].when_ns - dialed[i - 1].when_ns) / 1'000'000 >= 249u);
    BOOST_TEST((dialed[i].when_ns - dialed[i - 1].when_ns) / 1'000'000 <= 270u);
  }
  (void)rig.run_until([&] { return rig.world->open_descriptors() == descriptors + 1; }, "one socket is left");
  rig.run_for(1000);
  BOOST_TEST(dialed.size() == 3u);
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(an_attempt_that_is_late_still_wins_if_no_other_is_there_before_it) {
  client_rig rig(21);
  rig.world->names["server.sim"] = {"fd00::1", "10.0.0.1"};
  rig.world->routes["fd00::1"] = route::late;
  rig.world->routes["10.0.0.1"] = route::silent;
  const std::size_t descriptors = rig.world->open_descriptors();
  BOOST_TEST(story_of_attempts(rig, 1) == "open");
  BOOST_TEST(rig.world->dialed.size() == 2u);
  (void)rig.run_until([&] { return rig.world->open_descriptors() == descriptors + 1; }, "one socket is left");
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(of_two_that_connect_at_the_same_moment_one_is_used) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    client_rig rig(seed);
    rig.world->names["server.sim"] = {"fd00::1", "10.0.0.1"};
    rig.world->routes["fd00::1"] = route::late;
    const std::size_t descriptors = rig.world->open_descriptors();
    client_options options = client_rig::options();
    options.attempt_delay = std::chrono::milliseconds(295 + seed % 10);
    rig.c = rig.make(options);
    BOOST_TEST(story_of_attempts(rig, 1) == "open");
    (void)rig.run_until([&] { return rig.world->open_descriptors() == descriptors + 1; }, "one socket is left");
    (void)rig.say(10);
    (void)rig.run_until([&] { return rig.journal->heard_since_open == 1; }, "it is echoed once");
    BOOST_TEST(rig.journal->story().starts_with("open"));
    check_end(rig);
  }
}

BOOST_AUTO_TEST_CASE(the_delay_between_attempts_has_bounds_and_so_has_their_number) {
  const auto second_after_ms = [](std::chrono::milliseconds asked) {
    client_rig rig(22);
    client_options options = client_rig::options();
    options.attempt_delay = asked;
    options.connect_timeout = 5s;
    rig.world->names["server.sim"] = {"10.0.0.1", "10.0.0.2"};
    rig.world->routes["10.0.0.1"] = route::silent;
    rig.c = rig.make(options);
    BOOST_TEST(story_of_attempts(rig, 1) == "open");
    BOOST_REQUIRE(rig.world->dialed.size() == 2u);
    check_end(rig);
    return (rig.world->dialed[1].when_ns - rig.world->dialed[0].when_ns) / 1'000'000;
  };
  BOOST_TEST(second_after_ms(0ms) >= 9u);
  BOOST_TEST(second_after_ms(0ms) <= 30u);
  BOOST_TEST(second_after_ms(9'000ms) <= 2'020u);

  client_rig rig(23);
  client_options options = client_rig::options();
  options.attempt_delay = 10ms;
  for (int i = 0; i < 40; ++i) {
    rig.world->names["server.sim"].push_back(fmt::format("fd00::{:x}", i + 1));
    rig.world->routes[rig.world->names["server.sim"].back()] = route::silent;
  }
  rig.world->routes["10.0.0.1"] = route::silent;
  rig.c = rig.make(options);
  const std::size_t descriptors = rig.world->open_descriptors();
  rig.start();
  rig.run_for(1000);
  BOOST_TEST(rig.world->open_descriptors() == descriptors + 16);
  BOOST_TEST(rig.world->dialed.size() == 16u);
  (void)rig.run_until([&] { return !rig.journal->events.empty(); }, "the attempt ends");
  BOOST_TEST(rig.journal->count(client_event::kind::error) == 1);
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(silent_addresses_end_with_the_time_for_the_attempt) {
  client_rig rig(6);
  rig.world->names["server.sim"] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"};
  for (const std::string& address : rig.world->names["server.sim"]) rig.world->routes[address] = route::silent;
  const std::uint64_t begin = rig.world->now_ns();
  BOOST_TEST(story_of_attempts(rig, 1) == "error(3) reconnecting(1)");
  BOOST_TEST((rig.journal->events[0].at_ns - begin) / 1'000'000 <= 2050u);
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(a_connection_that_is_reset_before_it_is_accepted_is_an_attempt_that_was_lost) {
  client_rig rig(7);
  rig.cut_of = [](std::size_t) { return server_cut{.written_max = 0}; };
  const std::string story = story_of_attempts(rig, 2);
  BOOST_TEST(story == fmt::format("error({}) reconnecting(1)", static_cast<int>(client_error_kind::lost)));
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(the_last_attempt_that_is_allowed_ends_with_on_close) {
  client_rig rig(8);
  rig.listens.reset();
  client_options options = client_rig::options();
  options.reconnect.max_attempts = 2;
  rig.c = rig.make(options);
  rig.start();
  for (int i = 0; i < 5; ++i) (void)rig.say(10);
  (void)rig.run_until([&] { return rig.is_closed(); }, "it is given up");
  BOOST_TEST(rig.journal->story() == "error(2) reconnecting(1) error(2) reconnecting(2) error(2) closed(1006 not clean)");
  BOOST_TEST(rig.c->counts().dropped == 5);
  BOOST_TEST(rig.account() == "");
  BOOST_TEST((rig.say(10) == send_status::closed));
  // connect() begins anew, with a backoff of its own.
  rig.listens = rig.world->listen(client_rig::port);
  rig.start();
  (void)rig.run_until([&] { return rig.journal->is_open(); }, "it is open");
  BOOST_TEST(rig.journal->count(client_event::kind::open) == 1);
  check_end(rig);
}

BOOST_AUTO_TEST_CASE(messages_without_a_connection_are_kept_up_to_the_bound_or_dropped_and_every_one_is_counted) {
  for (const offline_policy policy : {offline_policy::keep, offline_policy::drop}) {
    client_rig rig(9);
    rig.listens.reset();
    client_options options = client_rig::options();
    options.offline = policy;
    options.queue_bytes_max = 600;
    rig.c = rig.make(options);
    rig.start();
    unsigned full = 0;
    for (int i = 0; i < 30; ++i) {
      if (rig.say(40) == send_status::full) ++full;
      rig.step();
    }
    BOOST_TEST((full > 0) == (policy == offline_policy::keep));
    BOOST_TEST((rig.dropped == 30) == (policy == offline_policy::drop));
    rig.listens = rig.world->listen(client_rig::port);
    (void)rig.run_until([&] { return rig.journal->is_open() && rig.journal->heard_since_open == rig.queued; }, "what was kept was echoed");
    BOOST_TEST(rig.account() == "");
    rig.judge_messages();
    check_end(rig);
  }
}

// --- a user who gives up ---

namespace {

enum class giving_up : std::uint8_t { disconnects, connects_again, stops, destroys, ends_the_loop };

struct place {
  std::string_view what;
  void (*prepare)(client_rig&);
};

const place places[] = {
    {"a whole conversation", [](client_rig&) {}},
    {"a name that is never answered", [](client_rig& rig) { rig.world->names["server.sim"] = {}; }},
    {"a silent address before the right one",
     [](client_rig& rig) {
       rig.world->names["server.sim"] = {"10.0.0.9", "10.0.0.1"};
       rig.world->routes["10.0.0.9"] = route::silent;
     }},
    {"addresses that race",
     [](client_rig& rig) {
       rig.world->names["server.sim"] = {"fd00::9", "10.0.0.9", "fd00::8", "10.0.0.8", "10.0.0.1"};
       rig.world->routes = {{"fd00::9", route::late}, {"10.0.0.9", route::silent}, {"fd00::8", route::refused}, {"10.0.0.8", route::silent}};
     }},
    {"a port that refuses", [](client_rig& rig) { rig.listens.reset(); }},
    {"a server that never answers",
     [](client_rig& rig) { rig.cut_of = [](std::size_t) { return server_cut{.dies = server_cut::how::silence, .written_max = 0}; }; }},
    {"a server that resets within the messages",
     [](client_rig& rig) { rig.cut_of = [](std::size_t n) { return n == 0 ? server_cut{.written_max = 150} : server_cut{}; }; }},
    {"a server that falls silent",
     [](client_rig& rig) { rig.cut_of = [](std::size_t) { return server_cut{.dies = server_cut::how::silence, .written_max = 137}; }; }},
};

// Gives up after so many steps; false when the conversation was over before.
bool give_up_after(std::size_t steps, const place& where, giving_up how, std::uint64_t seed, const fault_plan& faults) {
  client_rig rig(seed, faults);
  where.prepare(rig);
  rig.script = [&] {
    if (rig.journal->is_open() && rig.journal->heard_since_open == 3) rig.disconnect();
  };
  const std::string which = fmt::format("{}, {} steps, giving up by {}, seed {}", where.what, steps, static_cast<int>(how), seed);
  rig.start();
  for (const std::size_t bytes : {5, 130, 300}) (void)rig.say(bytes);
  while (rig.steps < steps && !rig.is_closed()) rig.step();
  const bool reached = !rig.is_closed();
  rig.script = [] {};
  switch (how) {
  case giving_up::disconnects:
  case giving_up::connects_again:
    rig.disconnect();
    if (how == giving_up::disconnects) break;
    rig.start();
    rig.listens = rig.world->listen(client_rig::port);
    rig.world->names["server.sim"] = {"10.0.0.1"};
    rig.cut_of = [](std::size_t) { return server_cut{}; };
    (void)rig.run_until([&] { return rig.journal->is_open() && rig.c->state() == client_state::open; }, "it is open again");
    rig.disconnect();
    break;
  case giving_up::stops: rig.stop(); break;
  case giving_up::destroys:
    rig.journal->has_stopped();
    rig.c.reset();
    break;
  case giving_up::ends_the_loop:
    rig.journal->loop_ends();
    rig.clients->begin_stop();
    (void)rig.run_until([&] { return rig.clients->has_stopped(); }, "the loop has ended");
    rig.clients.reset();
    if (!rig.journal->is_closed()) rig.failures.push_back("the client was not told of the end of its loop");
    if ((rig.c->send_text("late") != send_status::closed)) rig.failures.push_back("a client without a loop takes messages");
    rig.c.reset();
    rig.clients = std::make_unique<client_world>(*rig.world);
    break;
  }
  if (how == giving_up::disconnects || how == giving_up::connects_again) {
    (void)rig.run_until([&] { return rig.is_closed(); }, "it is closed");
    if (const std::string wrong = rig.account(); !wrong.empty()) rig.failures.push_back(wrong);
    rig.judge_messages();
    const std::size_t ends = rig.journal->count(client_event::kind::closed);
    if (how == giving_up::disconnects && ends != 1) rig.failures.push_back(fmt::format("it was closed {} times", ends));
  }
  const std::string story = rig.journal->story();
  for (const std::string& f : rig.end()) BOOST_TEST_ERROR(which << ": " << f << " (" << story << ")");
  return reached;
}

} // namespace

BOOST_AUTO_TEST_CASE(a_user_may_give_up_at_every_step) {
  std::size_t given_up = 0;
  for (const place& where : places)
    for (const giving_up how : {giving_up::disconnects, giving_up::connects_again, giving_up::stops, giving_up::destroys, giving_up::ends_the_loop})
      for (std::size_t steps = 0; steps < 150; ++steps)
        if (give_up_after(steps, where, how, 1 + steps, {}))
          ++given_up;
        else
          break;
  BOOST_TEST(given_up > 1500);
}

BOOST_AUTO_TEST_CASE(a_user_may_give_up_at_every_step_of_a_kernel_with_faults) {
  std::size_t given_up = 0;
  for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
    random_source draw(seed);
    fault_plan faults = draw_faults(draw);
    faults.reset = 0;
    for (const place& where : places)
      for (const giving_up how : {giving_up::disconnects, giving_up::connects_again, giving_up::stops, giving_up::destroys, giving_up::ends_the_loop})
        for (std::size_t steps = draw.below(7); steps < 150; steps += 7)
          if (give_up_after(steps, where, how, seed, faults))
            ++given_up;
          else
            break;
  }
  BOOST_TEST(given_up > rounds(5000));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim

// Whatever a callback of a client throws: on_error says so, the connection, if there is one, is closed with 1011, and nothing else happens.
#include "recorder.hpp"

#include "engine/base/log.hpp"
#include <ringcast/server.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <fmt/format.h>
#include <functional>
#include <stdexcept>
#include <thread>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

struct closing_server {
  closing_server() : own({.listen = {"127.0.0.1:0"}, .shards = 1}) {
    own.routes().add("/",
                     websocket_endpoint{.on_message =
                                            [](websocket_ref ws, const message_view& m) {
                                              if (m.text().starts_with("close "))
                                                ws.close(static_cast<std::uint16_t>(std::stoi(std::string{m.text().substr(6)})), "as you wish");
                                              else
                                                ws.send(m);
                                            },
                                        .on_close = [this](websocket_ref, std::uint16_t code, std::string_view) { failed += code == 1011 ? 1 : 0; }});
    const auto started = own.start();
    BOOST_REQUIRE(started);
  }
  std::string url() const { return fmt::format("ws://{}/", own.addresses().front()); }
  bool saw_1011() const {
    for (int i = 0; i < 500 && failed == 0; ++i) std::this_thread::sleep_for(10ms);
    return failed == 1;
  }
  std::atomic<int> failed{0};
  server own;
};

using thrower = std::function<void()>;

struct throwing_case {
  std::string name;
  std::function<void(client&, recorder&, thrower)> listen; // behind recorder::listen_to()
  std::function<void(client&)> drive;                      // once it is open
  bool closes;                                             // there is a connection that it closes
  std::string then;                                        // what is told all the same
};

const std::vector<throwing_case>& throwing_cases() {
  const auto nothing = [](client&) {};
  const auto asks_to_be_closed = [](std::string_view code) { return [text = "close " + std::string{code}](client& c) { (void)c.send_text(text); }; };
  static const std::vector<throwing_case> cases{
      {"on_open",
       [](client& c, recorder& seen, thrower t) {
         c.on_open([&seen, t] {
           seen.add("open");
           t();
         });
       },
       nothing, true, "disconnected 1011"},
      {"on_message", [](client& c, recorder&, thrower t) { c.on_message([t](const message_view&) { t(); }); },
       [](client& c) { (void)c.send_text("x"); }, true, "disconnected 1011"},
      {"on_control", [](client& c, recorder&, thrower t) { c.on_control([t](opcode, std::span<const std::byte>) { t(); }); },
       [](client& c) { (void)c.ping("x"); }, true, "disconnected 1011"},
      {"on_drain", [](client& c, recorder&, thrower t) { c.on_drain([t] { t(); }); },
       [](client& c) {
         for (int i = 0; i < 100'000; ++i)
           if (c.send_text(std::string(400, 'x')) == send_status::full) return;
       },
       true, "disconnected 1011"},
      {"on_reconnected",
       [](client& c, recorder& seen, thrower t) {
         c.on_reconnected([&seen, t] {
           seen.add("reconnected");
           t();
         });
       },
       asks_to_be_closed("1012"), true, "disconnected 1011"},
      {"on_reconnecting", [](client& c, recorder&, thrower t) { c.on_reconnecting([t](unsigned, std::chrono::milliseconds) { t(); }); },
       asks_to_be_closed("1012"), false, "reconnected"},
      {"on_disconnected", [](client& c, recorder&, thrower t) { c.on_disconnected([t](std::uint16_t, std::string_view) { t(); }); },
       asks_to_be_closed("1000"), false, "close 1000"},
      {"on_close", [](client& c, recorder&, thrower t) { c.on_close([t](std::uint16_t, std::string_view, bool) { t(); }); },
       asks_to_be_closed("1000"), false, "disconnected 1000"},
  };
  return cases;
}

} // namespace

BOOST_AUTO_TEST_SUITE(client_user_code)

BOOST_AUTO_TEST_CASE(whatever_a_callback_throws_is_told_by_on_error_and_ends_its_own_connection_alone) {
  set_log_level(log_level::off);
  const std::vector<std::pair<std::string, thrower>> throwers{{"that is not a std::exception", [] { throw 42; }},
                                                              {"the reason", [] { throw std::runtime_error("the reason"); }}};
  for (const throwing_case& each : throwing_cases())
    for (const auto& [words, throws] : throwers) {
      BOOST_TEST_CONTEXT(each.name << ": " << words) {
        closing_server server;
        recorder seen, seen_by_other;
        client other{server.url()};
        seen_by_other.listen_to(other);
        other.start();
        BOOST_REQUIRE(seen_by_other.wait_for("open"));
        std::atomic<bool> thrown{false}; // once: the next connection lives
        client c{server.url(), {.reconnect = {.initial_delay = 10ms}, .queue_bytes_max = 4000}};
        seen.listen_to(c);
        each.listen(c, seen, [&thrown, &what = throws] {
          if (!thrown.exchange(true)) what();
        });
        c.start();
        BOOST_REQUIRE(seen.wait_for("open"));
        each.drive(c);
        BOOST_TEST(seen.wait_for("error handler"));
        bool told = false;
        for (const std::string& line : seen.lines()) told |= line.starts_with("error handler") && line.find(words) != std::string::npos;
        BOOST_TEST(told);
        BOOST_TEST(seen.wait_for(each.then), each.then);
        if (each.closes) BOOST_TEST(server.saw_1011());
        (void)other.send_text("still here");
        BOOST_TEST(seen_by_other.wait_for("message still here"));
      }
    }
  set_log_level(log_level::info);
}

BOOST_AUTO_TEST_CASE(what_on_error_throws_is_logged_and_the_attempts_go_on) {
  set_log_level(log_level::off);
  recorder seen;
  std::atomic<int> errors{0};
  client c{"ws://127.0.0.1:1/", {.reconnect = {.max_attempts = 2, .initial_delay = 10ms}}};
  seen.listen_to(c);
  c.on_error([&](const client_error&) {
    if (++errors % 2 == 0) throw 42;
    throw std::runtime_error("no");
  });
  c.start();
  BOOST_TEST(seen.wait_for("close 1006"));
  BOOST_TEST(seen.count("reconnecting") == 2u);
  BOOST_TEST(errors == 3);
  set_log_level(log_level::info);
}

BOOST_AUTO_TEST_SUITE_END()

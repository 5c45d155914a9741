// Calls at the wrong time, and routes that nothing could reach: an error by value, in words.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <chrono>
#include <stdexcept>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

server_options on_a_free_port() { return {.listen = {"127.0.0.1:0"}, .shards = 2, .limits = {.close_timeout_ms = 200}}; }

std::string why_not_started(server& s) {
  const auto started = s.start();
  return started ? "it started" : started.error().why;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

template <class Answer> std::string why_unanswered(std::future<Answer> answer) {
  if (answer.wait_for(10s) != std::future_status::ready) return "it never was";
  try {
    (void)answer.get();
  } catch (const std::runtime_error& why) {
    return why.what();
  }
  return "it was";
}

} // namespace

BOOST_AUTO_TEST_SUITE(misuse)

BOOST_AUTO_TEST_CASE(before_start_every_call_says_that_the_server_has_not_been_started) {
  server s{on_a_free_port()};
  room r = s.room("room");
  BOOST_TEST((r.broadcast("x") == send_status::not_started));
  BOOST_TEST((r.send_to("id", "x") == send_status::not_started));
  BOOST_TEST((r.leave("id") == send_status::not_started));
  BOOST_TEST(why_unanswered(r.count_future()) == "the server has not been started");
  BOOST_TEST(why_unanswered(r.broadcast_future(opcode::text, {})) == "the server has not been started");
  BOOST_TEST(s.reload_certificates().error() == "the server has not been started");
  BOOST_TEST(!s.is_ready());
  BOOST_TEST(s.addresses().empty());
  s.wait();
}

BOOST_AUTO_TEST_CASE(after_its_end_every_call_says_that_the_server_is_closed) {
  server s{on_a_free_port()};
  BOOST_REQUIRE(why_not_started(s) == "it started");
  s.stop();
  s.wait();
  room r = s.room("room");
  BOOST_TEST((r.broadcast("x") == send_status::closed));
  BOOST_TEST((r.send_to("id", "x") == send_status::closed));
  BOOST_TEST((r.leave("id") == send_status::closed));
  BOOST_TEST(why_unanswered(r.count_future()) == "the server has ended");
  BOOST_TEST(why_unanswered(r.broadcast_future(opcode::text, {})) == "the server has ended");
  BOOST_TEST(!s.is_ready());
  s.stop();
  s.wait();
}

BOOST_AUTO_TEST_CASE(a_server_starts_once) {
  server s{on_a_free_port()};
  BOOST_TEST(why_not_started(s) == "it started");
  BOOST_TEST(why_not_started(s) == "start() was called before: a server starts once");
  BOOST_TEST(s.is_ready());
  s.stop();
  s.wait();
  BOOST_TEST(why_not_started(s) == "start() was called before: a server starts once");
}

BOOST_AUTO_TEST_CASE(a_server_that_was_stopped_before_it_was_started_does_not_start) {
  server s{on_a_free_port()};
  s.stop();
  BOOST_TEST(why_not_started(s) == "the server was stopped before it was started");
}

BOOST_AUTO_TEST_CASE(a_route_that_can_never_be_reached_fails_the_start_with_its_place) {
  const auto handler = [](request& req) -> task<void> {
    req.respond(status::ok);
    co_return;
  };
  struct wrong {
    std::vector<std::string> patterns; // the last is the wrong one
    std::string why;
  };
  const std::vector<wrong> all{{{"chat/{x}"}, "a pattern begins with /"},
                               {{""}, "a pattern begins with /"},
                               {{"/a/*/b"}, "a wildcard is a whole segment"},
                               {{"/a/b*"}, "a wildcard is a whole segment"},
                               {{"/a/*", "/a/b"}, "which was added before, takes all of its requests"},
                               {{"/a/*", "/a/{x}/b"}, "which was added before, takes all of its requests"},
                               {{"/*", "/a/*"}, "which was added before, takes all of its requests"},
                               {{"/{a}/{a}"}, "two parameters have one name"},
                               {{"/{}"}, "a parameter is a whole segment"},
                               {{"/x{a}"}, "a parameter is a whole segment"},
                               {{"/{a}{b}"}, "a parameter is a whole segment"},
                               {{"/{a"}, "a parameter is a whole segment"},
                               {{"/a?b=c"}, "percent-encoded"},
                               {{"/a b"}, "percent-encoded"},
                               {{"/j\xc3\xb6rg"}, "percent-encoded"},
                               {{"/a", "/a"}, "which was added before, takes all of its requests"},
                               {{"/{a}/x", "/{b}/x"}, "which was added before, takes all of its requests"},
                               {{"/{a}", "/b"}, "which was added before, takes all of its requests"}};
  for (const wrong& each : all) {
    server s{on_a_free_port()};
    for (const std::string& pattern : each.patterns) s.get(pattern, handler);
    const std::string why = why_not_started(s);
    BOOST_TEST(contains(why, "the route GET \"" + each.patterns.back() + "\" of "), why);
    BOOST_TEST(contains(why, "misuse_test.cpp:"), why);
    BOOST_TEST(contains(why, each.why), why);
    server e{on_a_free_port()};
    for (const std::string& pattern : each.patterns) e.events(pattern, {});
    BOOST_TEST(contains(why_not_started(e), each.why));
  }
  // These can.
  server s{on_a_free_port()};
  for (const std::string_view pattern : {"/", "/a", "/a/", "/b/{x}", "/{x}/b", "/{x}", "/~a.b-c_d/%41", "/b/{x}/{y}", "/b/*", "/*"})
    s.get(pattern, handler);
  s.post("/a", handler);
  BOOST_TEST(why_not_started(s) == "it started");
}

BOOST_AUTO_TEST_CASE(a_route_that_is_added_after_the_start_is_refused_where_it_is_written) {
  server s{on_a_free_port()};
  BOOST_REQUIRE(why_not_started(s) == "it started");
  const auto too_late = [](const std::logic_error& error) {
    return contains(error.what(), "too late") && contains(error.what(), "misuse_test.cpp:");
  };
  BOOST_CHECK_EXCEPTION(s.events("/late", {}), std::logic_error, too_late);
  BOOST_CHECK_EXCEPTION(s.get("/late", [](request&) -> task<void> { co_return; }), std::logic_error, too_late);
  BOOST_CHECK_EXCEPTION(s.routes().add("GET", "/late", [](const http_request&, http_responder) {}), std::logic_error, too_late);
}

BOOST_AUTO_TEST_SUITE_END()

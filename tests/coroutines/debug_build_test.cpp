// A task that outlives its server is a bug of the program, and a debug build names it. This program has the scheduler
// as such a build has it.
#include "engine/base/log.hpp"
#include "tests/library/wire_client.hpp"
#include <ringcast/ringcast.hpp>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <memory>
#include <source_location>
#include <string>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

struct noticed {
  bool& gone;
  ~noticed() { gone = true; }
};

task<void> waits(semaphore& never_free, bool& gone) {
  const noticed end{gone};
  const auto permit = co_await never_free.scoped_acquire();
}

task<void> sleeps(bool& gone) {
  const noticed end{gone};
  (void)co_await sleep_for(std::chrono::hours{1}); // which ends when the server stops
}

} // namespace

BOOST_AUTO_TEST_CASE(a_task_that_outlives_its_server_is_named_with_the_place_where_it_was_spawned) {
  std::string log; // tasks are named when all threads have ended
  set_log_taker([&log](log_level, std::string_view line) { log += std::string{line} + "\n"; });
  bool gone = false, well_behaved_gone = false;
  std::uint_least32_t line = 0;
  semaphore never_free{0};
  {
    server s{{.listen = {"127.0.0.1:0"}, .shards = 1, .limits = {.close_timeout_ms = 10}}};
    s.get("/", [&](request& req) -> task<void> {
      line = std::source_location::current().line() + 1;
      spawn(waits(never_free, gone));
      spawn(sleeps(well_behaved_gone));
      req.respond(status::ok);
      co_return;
    });
    BOOST_REQUIRE(s.start().has_value());
    wire_client c{s.addresses().front()};
    BOOST_TEST(c.http("GET / HTTP/1.1\r\nHost: t\r\n\r\n").starts_with("HTTP/1.1 200"));
    s.stop();
    s.wait();
  }
  BOOST_TEST(gone);
  BOOST_TEST(well_behaved_gone);
  set_log_taker({});
  BOOST_TEST(log.find("a task outlives its shard: spawned at ") != std::string::npos);
  BOOST_TEST(log.find("debug_build_test.cpp:" + std::to_string(line) + " ") != std::string::npos, log);
  // The one that ends by itself is not named.
  BOOST_TEST(log.find("a task outlives") == log.rfind("a task outlives"), log);
}

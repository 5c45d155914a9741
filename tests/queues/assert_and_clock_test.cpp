// The assert that is on in every build, and the clock that a test can replace.
#include <ringcast/detail/assert.hpp>
#include <ringcast/detail/clock.hpp>

#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {
bool clock_is_fake = false;
timespec fake_time{};
} // namespace

extern "C" int __real_clock_gettime(clockid_t clock, timespec* out);
extern "C" int __wrap_clock_gettime(clockid_t clock, timespec* out) {
  if (!clock_is_fake || clock != CLOCK_MONOTONIC) return __real_clock_gettime(clock, out);
  *out = fake_time;
  return 0;
}

BOOST_AUTO_TEST_SUITE(assert_and_clock)

BOOST_AUTO_TEST_CASE(a_failed_assert_names_expression_and_place_and_aborts) {
  int ends[2];
  BOOST_REQUIRE_EQUAL(::pipe(ends), 0);
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::signal(SIGABRT, SIG_DFL);
    const int answer = 41;
    RINGCAST_ASSERT(answer == 42);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char piece[256];
  for (ssize_t n = 0; (n = ::read(ends[0], piece, sizeof piece)) > 0;) text.append(piece, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  BOOST_REQUIRE_EQUAL(::waitpid(child, &status, 0), child);
  BOOST_TEST(WIFSIGNALED(status));
  BOOST_TEST(WTERMSIG(status) == SIGABRT);
  BOOST_TEST(text.find("answer == 42") != std::string::npos);
  BOOST_TEST(text.find("assert_and_clock_test.cpp:") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_clock_is_monotonic_and_agrees_with_itself) {
  const std::uint64_t first = ringcast::engine::now_ns();
  const std::uint64_t ms = ringcast::engine::now_ms();
  const std::uint64_t last = ringcast::engine::now_ns();
  BOOST_TEST(first / 1'000'000 <= ms);
  BOOST_TEST(ms <= last / 1'000'000);
}

BOOST_AUTO_TEST_CASE(a_test_can_stand_behind_the_clock) {
  fake_time = {12, 345'678'901};
  clock_is_fake = true;
  const std::uint64_t ns = ringcast::engine::now_ns();
  const std::uint64_t ms = ringcast::engine::now_ms();
  clock_is_fake = false;
  BOOST_TEST(ns == 12'345'678'901u);
  BOOST_TEST(ms == 12'345u);
}

BOOST_AUTO_TEST_SUITE_END()

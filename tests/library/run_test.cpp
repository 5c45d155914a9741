// server::run() in a program that has threads and children of its own: which of them a signal comes to makes no difference.
#include "engine/io/core_allowance.hpp"
#include "engine/io/process_signals.hpp"
#include "tests/library/wire_client.hpp"
#include "tests/support/sanitizer.hpp"
#include <ringcast/ringcast.hpp>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <pthread.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace ringcast;
using namespace ringcast::engine;

namespace {

// A thread that does nothing with signals and lets them through, as every thread does that nobody told otherwise.
struct bystander {
  std::atomic<bool> over{false};
  std::thread thread{[this] {
    while (!over) std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }};
  ~bystander() {
    over = true;
    thread.join();
  }
};

server_options options() { return {.listen = {"127.0.0.1:0"}, .shards = 2, .limits = {.close_timeout_ms = 200}}; }

void wait_until_ready(const server& s) {
  while (!s.is_ready()) std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

} // namespace

BOOST_AUTO_TEST_SUITE(running_until_a_signal)

BOOST_AUTO_TEST_CASE(sigterm_ends_it_whichever_thread_it_comes_to_and_twice_in_one_process) {
  const bystander before;
  for (const int signal : {SIGTERM, SIGINT}) {
    server s{options()};
    auto code = std::async(std::launch::async, [&] { return s.run(); });
    wait_until_ready(s);
    bystander after;
    // To the process, from which the kernel chooses a thread, and to one that knows nothing of servers.
    if (signal == SIGTERM)
      BOOST_TEST(::kill(::getpid(), signal) == 0);
    else
      BOOST_TEST(::pthread_kill(after.thread.native_handle(), signal) == 0);
    BOOST_TEST(code.get() == 0);
  }
  struct sigaction now = {};
  ::sigaction(SIGTERM, nullptr, &now);
  BOOST_TEST((now.sa_handler == SIG_DFL));
}

BOOST_AUTO_TEST_CASE(a_child_has_a_clean_mask_and_its_signals_are_its_own) {
  server s{options()};
  auto code = std::async(std::launch::async, [&] { return s.run(); });
  wait_until_ready(s);
  // One that goes on with the code of its parent, and one that executes another program.
  for (const bool executes : {false, true}) {
    if (is_thread_sanitized && !executes) {
      BOOST_TEST_MESSAGE("a child that goes on with its parent's code is not tried under the thread sanitizer");
      continue;
    }
    const pid_t child = ::fork();
    if (child == 0) {
      sigset_t mask;
      ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE})
        if (sigismember(&mask, signal) != 0) ::_exit(77);
      if (executes) ::execl("/bin/sh", "sh", "-c", "kill -TERM $$; exit 78", nullptr);
      ::kill(::getpid(), SIGTERM);
      ::_exit(79);
    }
    BOOST_REQUIRE(child > 0);
    int status = 0;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST(WIFSIGNALED(status));
    BOOST_TEST(WTERMSIG(status) == SIGTERM);
  }
  // The server of the parent did not hear of it.
  BOOST_TEST((code.wait_for(std::chrono::milliseconds{50}) == std::future_status::timeout));
  s.stop();
  BOOST_TEST(code.get() == 0);
}

BOOST_AUTO_TEST_CASE(sighup_calls_what_is_to_be_read_again_and_survives_what_it_throws) {
  server s{options()};
  std::promise<void> first, second;
  std::atomic<int> calls{0};
  s.on_reload([] { throw std::runtime_error{"no such file"}; });
  s.on_reload([&] { (++calls == 1 ? first : second).set_value(); });
  auto code = std::async(std::launch::async, [&] { return s.run(); });
  wait_until_ready(s);
  for (std::promise<void>* each : {&first, &second}) {
    BOOST_TEST(::kill(::getpid(), SIGHUP) == 0);
    BOOST_REQUIRE((each->get_future().wait_for(std::chrono::seconds{10}) == std::future_status::ready));
  }
  s.stop();
  BOOST_TEST(code.get() == 0);
}

BOOST_AUTO_TEST_CASE(two_servers_of_one_process_both_hear_it_and_the_handlers_stay_until_both_have_ended) {
  server one{options()}, other{options()};
  auto one_ends = std::async(std::launch::async, [&] { return one.run(); });
  wait_until_ready(one);
  auto other_ends = std::async(std::launch::async, [&] { return other.run(); });
  wait_until_ready(other);
  one.stop();
  BOOST_TEST(one_ends.get() == 0);
  BOOST_TEST(::kill(::getpid(), SIGTERM) == 0);
  BOOST_TEST(other_ends.get() == 0);
}

BOOST_AUTO_TEST_CASE(a_signal_is_taken_once_and_the_mask_of_the_thread_comes_back) {
  sigset_t blocked, mask;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  {
    process_signals signals{SIGUSR1, SIGUSR2};
    BOOST_TEST(!signals.take().has_value());
    ::raise(SIGUSR2);
    ::raise(SIGUSR1);
    std::vector<int> taken;
    while (const auto next = signals.take()) taken.push_back(*next);
    BOOST_TEST(taken == (std::vector<int>{SIGUSR1, SIGUSR2}), boost::test_tools::per_element());
  }
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  BOOST_TEST(sigismember(&mask, SIGUSR1) == 1);
  ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
}

BOOST_AUTO_TEST_CASE(the_least_cpu_quota_of_all_groups_above_counts) {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("ringcast-groups-" + std::to_string(::getpid()));
  fs::create_directories(root / "service/inner");
  const auto write = [&](const char* where, const char* text) { std::ofstream{root / where} << text << '\n'; };
  const auto quota = [&] { return cpu_quota(root / "own", root); };
  write("own", "4:memory:/elsewhere\n0::/service/inner");
  BOOST_TEST(!quota().has_value());
  write("service/inner/cpu.max", "max 100000");
  BOOST_TEST(!quota().has_value());
  write("service/cpu.max", "150000 100000");
  BOOST_TEST(quota().value() == 1.5);
  write("service/inner/cpu.max", "300000 100000");
  BOOST_TEST(quota().value() == 1.5);
  write("cpu.max", "50000 100000");
  BOOST_TEST(quota().value() == 0.5);
  fs::remove_all(root);
  // A part of a core counts as one, and never more than there are.
  BOOST_TEST((core_allowance{{0, 1, 2, 3}, 0.5}.threads()) == 1u);
  BOOST_TEST((core_allowance{{0, 1, 2, 3}, 1.5}.threads()) == 2u);
  BOOST_TEST((core_allowance{{0, 1, 2, 3}, 9}.threads()) == 4u);
  BOOST_TEST((core_allowance{{0, 1, 2, 3}, std::nullopt}.threads()) == 4u);
}

BOOST_AUTO_TEST_SUITE_END()

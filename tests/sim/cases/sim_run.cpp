// sim_run: runs the engine on the simulated kernel, once for each seed.
//
//   sim_run --seed S [--steps N] [--trace] [--calm]   one run; with --trace everything the kernel does goes to stderr
//   sim_run --seeds FIRST-LAST [--steps N]            many runs; the first line of each failure names its seed
// With --clients the library's clients run against the server (client_scenario), else scripted clients (scenario); --tls or --plain fixes
// what else the seed draws.
//
// Exit status 0 if every run was clean.
#include "tests/sim/cases/client_scenario.hpp"
#include "tests/sim/cases/scenario.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <string>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
extern "C" void __sanitizer_set_death_callback(void (*)());
#else
static void __sanitizer_set_death_callback(void (*)()) {}
#endif

using namespace ringcast::sim;

namespace {

char current[128]; // how to repeat the run that is under way

void say_which() {
  const char* const words = "\nsim_run: this happened in: ";
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, words, std::strlen(words));
  written = ::write(STDERR_FILENO, current, std::strlen(current));
}

void on_abort(int) {
  say_which();
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

void on_fault(int number) {
  say_which();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

} // namespace

int main(int argc, char** argv) {
  scenario_options options;
  std::uint64_t first = 1, last = 1;
  bool many = false, clients = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--seed") {
      first = last = std::strtoull(value.c_str(), nullptr, 10);
      ++i;
    } else if (word == "--seeds") {
      const std::size_t dash = value.find('-');
      first = std::strtoull(value.c_str(), nullptr, 10);
      last = dash == std::string::npos ? first : std::strtoull(value.c_str() + dash + 1, nullptr, 10);
      many = true;
      ++i;
    } else if (word == "--steps") {
      options.steps = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
      ++i;
    } else if (word == "--shards") {
      options.shards = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
      ++i;
    } else if (word == "--policy") {
      options.policy = static_cast<ringcast::slow_consumer>(std::strtoul(value.c_str(), nullptr, 10));
      ++i;
    } else if (word == "--clients") {
      clients = true;
    } else if (word == "--tls" || word == "--plain") {
      options.secure = word == "--tls";
    } else if (word == "--trace") {
      options.trace = true;
    } else if (word == "--calm") {
      options.calm = true;
    } else {
      fmt::print(stderr, "unknown option {}; see the head of tests/sim/sim_run.cpp\n", word);
      return 2;
    }
  }
  std::signal(SIGABRT, on_abort);
  std::signal(SIGSEGV, on_fault);
  __sanitizer_set_death_callback(say_which);
  std::uint64_t failed = 0, heard = 0, echoed = 0, gaps = 0;
  std::map<std::string, std::uint64_t> happened;
  const auto begin = std::chrono::steady_clock::now();
  for (options.seed = first; options.seed <= last; ++options.seed) {
    const auto end = fmt::format_to_n(current, sizeof current - 2, "sim_run {}--seed {} --steps {}{}\n", clients ? "--clients " : "", options.seed,
                                      options.steps, options.calm ? " --calm" : "");
    *end.out = '\0';
    const scenario_result result = clients ? run_client_scenario(options) : run_scenario(options);
    heard += result.messages_heard;
    echoed += result.messages_echoed;
    gaps += result.gaps;
    for (const auto& [what, count] : result.happened) happened[what] += count;
    if (!many) fmt::print("{}\n", result.drawn);
    if (result.failures.empty()) continue;
    ++failed;
    fmt::print("FAILED: {}  {}\n", current, result.drawn);
    for (std::size_t i = 0; i < result.failures.size() && i < 12; ++i) fmt::print("  {}\n", result.failures[i]);
    std::fflush(stdout);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  fmt::print("{} runs, {} failed, {} messages heard in rooms ({} taken by policies), {} echoed, {:.1f} s\n", last - first + 1, failed, heard, gaps,
             echoed, took.count());
  for (const auto& [what, count] : happened) fmt::print("  {}: {}\n", what, count);
  return failed == 0 ? 0 : 1;
}

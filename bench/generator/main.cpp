// bench-generator: one thread that loads a WebSocket server on 127.0.0.1, proves that nothing was lost, and prints one
// line of JSON. Exit 0: measured; 1: messages lost, repeated, reordered or wrong; 2: could not be measured.
//
// With --gated it opens its connections, prints {"ready":true}, and then measures once for each line "WARMUP SECONDS"
// that it reads, so that a runner can let several servers take turns within the same second.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <iostream>
#include <map>
#include <sys/resource.h>

#include "apps/load/slices/handshakes.hpp"
#include "apps/load/slices/idle.hpp"
#include "apps/load/slices/traffic.hpp"

namespace ringcast::load::slices {

using namespace engine;
namespace {

int fail(const std::string& why, bool lost) {
  fmt::print("{}\n", nlohmann::json{{"error", why}, {"lost", lost}}.dump());
  return lost ? 1 : 2;
}

template <typename Load> int run_slices(const options& chosen) {
  Load load{chosen};
  if (auto opened = load.open(); !opened) return fail(opened.error(), false);
  auto one = [&](double warmup_s, double seconds) {
    auto result = load.slice(warmup_s, seconds);
    if (!result) return fail(result.error(), load.lost());
    fmt::print("{}\n", result->dump());
    return 0;
  };
  if (!chosen.gated) return one(chosen.warmup_s, chosen.seconds);
  fmt::print("{{\"ready\":true}}\n");
  std::fflush(stdout);
  double warmup_s = 0;
  double seconds = 0;
  while (std::cin >> warmup_s >> seconds) {
    if (int status = one(warmup_s, seconds)) return status;
    std::fflush(stdout);
  }
  return 0;
}

int run(const options& chosen) {
  if (chosen.what == pattern::handshake) return run_slices<handshakes>(chosen);
  if (chosen.what != pattern::idle) return run_slices<traffic>(chosen);
  auto result = run_idle(chosen);
  if (!result) return fail(result.error(), false);
  fmt::print("{}\n", result->dump());
  return 0;
}

} // namespace
} // namespace ringcast::load::slices

int main(int argc, char** argv) {
  using ringcast::load::slices::pattern;
  using ringcast::load::slices::receive_mode;
  ringcast::load::slices::options chosen;
  CLI::App app{"Loads a WebSocket server on 127.0.0.1 and measures what a message costs it"};
  app.add_option("--port", chosen.port, "the server's port")->required();
  app.add_option("--pattern", chosen.what, "echo, broadcast, chat, handshake or idle")
      ->required()
      ->transform(CLI::CheckedTransformer(std::map<std::string, pattern>{{"echo", pattern::echo},
                                                                         {"broadcast", pattern::broadcast},
                                                                         {"chat", pattern::chat},
                                                                         {"handshake", pattern::handshake},
                                                                         {"idle", pattern::idle}}));
  app.add_flag("--raw", chosen.raw, "no upgrade, the server returns frames as they were sent: the bare epoll loop");
  app.add_option("--connections", chosen.connections, "connections; in a broadcast the members that listen")->check(CLI::PositiveNumber);
  app.add_option("--rooms", chosen.rooms, "chat: rooms that the connections are dealt to")->check(CLI::PositiveNumber);
  app.add_option("--depth", chosen.depth, "messages outstanding per sender; handshakes under way")->check(CLI::PositiveNumber);
  app.add_option("--size", chosen.size, "payload bytes, 8 at least")->check(CLI::Range(8, 16 * 1024 * 1024));
  app.add_option("--rate", chosen.rate, "messages a second in all, open loop; 0: closed loop")->check(CLI::NonNegativeNumber);
  app.add_option("--warmup", chosen.warmup_s, "seconds before the measured part")->check(CLI::NonNegativeNumber);
  app.add_option("--seconds", chosen.seconds, "seconds that are measured")->check(CLI::PositiveNumber);
  app.add_option("--server-pid", chosen.server_pid, "the server's process, for its CPU time and memory");
  app.add_option("--receive", chosen.receive, "verify: look at each frame; count: let the kernel discard and count bytes")
      ->transform(CLI::CheckedTransformer(std::map<std::string, receive_mode>{{"verify", receive_mode::verify}, {"count", receive_mode::count}}));
  app.add_flag("--gated", chosen.gated, "measure once for each line \"WARMUP SECONDS\" on standard input");
  app.add_option("--idle-path", chosen.idle_path, "idle: what the connections ask for");
  app.add_option("--path", chosen.path, "handshake: what the connections ask for");
  app.add_flag("--tls", chosen.tls, "through TLS, without asking whose certificate it is");
  app.add_flag("--deflate", chosen.deflate, "permessage-deflate without contexts; each message is sent compressed");
  app.add_flag("--nats", chosen.nats, "broadcast: in the protocol of NATS, inside binary frames");
  app.add_option("--stalled", chosen.stalled, "broadcast: further members that never read");
  app.add_flag("--ignore-answers", chosen.ignore_answers, "broadcast: throw away what the publisher is answered");
  CLI11_PARSE(app, argc, argv);
  if (needs_link(chosen) && (chosen.raw || chosen.receive == receive_mode::count)) {
    fmt::print(stderr, "bench-generator: --tls, --deflate and --nats want frames, and all of them\n");
    return 2;
  }
  if (chosen.receive == receive_mode::count && chosen.what == pattern::chat) {
    fmt::print(stderr, "bench-generator: --receive count cannot tell the senders of a chat apart\n");
    return 2;
  }
  if (chosen.what == pattern::chat && (chosen.connections % chosen.rooms != 0 || chosen.connections / chosen.rooms < 2)) {
    fmt::print(stderr, "bench-generator: the connections must fill the rooms evenly, two at least in each\n");
    return 2;
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return ringcast::load::slices::run(chosen);
}

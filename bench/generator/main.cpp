// bench-generator: one thread that loads a WebSocket server on 127.0.0.1, proves that nothing was lost, and prints one
// line of JSON. Exit 0: measured; 1: messages lost, repeated, reordered or wrong; 2: could not be measured.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <map>
#include <sys/resource.h>

#include "bench/generator/handshakes.hpp"
#include "bench/generator/idle.hpp"
#include "bench/generator/traffic.hpp"

namespace ringcast {
namespace {

int run(const options& chosen) {
  std::expected<nlohmann::json, std::string> result;
  bool lost = false;
  if (chosen.what == pattern::handshake) {
    result = run_handshakes(chosen);
  } else if (chosen.what == pattern::idle) {
    result = run_idle(chosen);
  } else {
    traffic load{chosen};
    result = load.run();
    lost = load.lost();
  }
  if (!result) {
    fmt::print("{}\n", nlohmann::json{{"error", result.error()}, {"lost", lost}}.dump());
    return lost ? 1 : 2;
  }
  fmt::print("{}\n", result->dump());
  return 0;
}

} // namespace
} // namespace ringcast

int main(int argc, char** argv) {
  using ringcast::pattern;
  using ringcast::receive_mode;
  ringcast::options chosen;
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
  app.add_option("--connections", chosen.connections, "connections; in a broadcast the members that listen")
      ->check(CLI::PositiveNumber);
  app.add_option("--rooms", chosen.rooms, "chat: rooms that the connections are dealt to")->check(CLI::PositiveNumber);
  app.add_option("--depth", chosen.depth, "messages outstanding per sender; handshakes under way")
      ->check(CLI::PositiveNumber);
  app.add_option("--size", chosen.size, "payload bytes, 8 at least")->check(CLI::Range(8, 16 * 1024 * 1024));
  app.add_option("--rate", chosen.rate, "messages a second in all, open loop; 0: closed loop")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--warmup", chosen.warmup_s, "seconds before the measured part")->check(CLI::NonNegativeNumber);
  app.add_option("--seconds", chosen.seconds, "seconds that are measured")->check(CLI::PositiveNumber);
  app.add_option("--server-pid", chosen.server_pid, "the server's process, for its CPU time and memory");
  app.add_option("--receive", chosen.receive,
                 "verify: look at each frame; count: let the kernel discard and count bytes")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, receive_mode>{{"verify", receive_mode::verify}, {"count", receive_mode::count}}));
  app.add_option("--idle-path", chosen.idle_path, "idle: what the connections ask for");
  CLI11_PARSE(app, argc, argv);
  if (chosen.receive == receive_mode::count && chosen.what == pattern::chat) {
    fmt::print(stderr, "bench-generator: --receive count cannot tell the senders of a chat apart\n");
    return 2;
  }
  if (chosen.what == pattern::chat &&
      (chosen.connections % chosen.rooms != 0 || chosen.connections / chosen.rooms < 2)) {
    fmt::print(stderr, "bench-generator: the connections must fill the rooms evenly, two at least in each\n");
    return 2;
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return ringcast::run(chosen);
}

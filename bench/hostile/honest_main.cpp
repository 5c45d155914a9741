// bench-honest: the clients that a server under attack has to serve. It runs until its standard input ends; each line there ends a phase, and
// the figures of that phase come back as one line of JSON.
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "apps/load/clock.hpp"
#include "bench/hostile/honest.hpp"
#include "bench/hostile/probes.hpp"

using namespace ringcast::bench;

int main(int argc, char** argv) {
  honest_options chosen;
  CLI::App app{"Honest clients for a server under attack", "bench-honest"};
  app.add_option("--port", chosen.port)->required();
  app.add_option("--tls-port", chosen.tls_port, "every fifth client speaks TLS to it");
  app.add_option("--echoes", chosen.echoes)->capture_default_str();
  app.add_option("--rooms", chosen.rooms)->capture_default_str();
  app.add_option("--members", chosen.members, "of each room")->capture_default_str();
  app.add_option("--probe-interval-ms", chosen.probe_interval_ms)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  constexpr std::uint32_t input_tag = 0, plain_tag = 1, tls_tag = plain_tag + probes::slots, client_tag = tls_tag + probes::slots;
  honest_clients clients{chosen};
  if (const std::string trouble = clients.open(epoll_fd, client_tag); !trouble.empty()) {
    fmt::print(stderr, "bench-honest: {}\n", trouble);
    return 1;
  }
  probes plain{chosen.port, false, chosen.probe_interval_ms};
  probes tls{chosen.tls_port, chosen.tls_port != 0, chosen.probe_interval_ms};
  plain.open(epoll_fd, plain_tag);
  if (chosen.tls_port != 0) tls.open(epoll_fd, tls_tag);
  epoll_event event{.events = EPOLLIN, .data = {.u32 = input_tag}};
  ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event);
  fmt::print("{{\"clients\":{}}}\n", clients.size());
  std::fflush(stdout);

  std::array<epoll_event, 256> events{};
  while (true) {
    const std::int64_t now = clock_ns();
    std::int64_t next = std::min(clients.send_due(now), plain.start_due(now));
    if (chosen.tls_port != 0) next = std::min(next, tls.start_due(now));
    // To the microsecond: a sleep that is rounded up to the next millisecond would be in every figure.
    const std::int64_t wait_ns = std::clamp<std::int64_t>(next - clock_ns(), 0, 1'000'000'000);
    const timespec wait{.tv_sec = wait_ns / 1'000'000'000, .tv_nsec = wait_ns % 1'000'000'000};
    const int ready = ::epoll_pwait2(epoll_fd, events.data(), static_cast<int>(events.size()), &wait, nullptr);
    for (int i = 0; i < ready; ++i) {
      const std::uint32_t tag = events[i].data.u32;
      if (tag >= client_tag) {
        clients.on_ready(tag - client_tag);
      } else if (tag >= tls_tag) {
        tls.on_ready(tag - tls_tag, events[i].events);
      } else if (tag >= plain_tag) {
        plain.on_ready(tag - plain_tag, events[i].events);
      } else {
        std::array<char, 256> line;
        if (::read(STDIN_FILENO, line.data(), line.size()) <= 0) return 0;
        nlohmann::json said{{"messages", clients.take_figures()}, {"connects", plain.take_figures()}};
        if (chosen.tls_port != 0) said["tls_connects"] = tls.take_figures();
        fmt::print("{}\n", said.dump());
        std::fflush(stdout);
      }
    }
  }
}

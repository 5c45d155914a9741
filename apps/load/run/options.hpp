// What a run is to do.
#pragma once

#include "apps/load/destination.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace ringcast::load {

enum class load_mode : std::uint8_t { echo, broadcast, chat, connect, idle, slow_reader, reconnect_storm, resume };

[[nodiscard]] std::string_view name_of(load_mode mode);
[[nodiscard]] std::optional<load_mode> mode_of(std::string_view name);

// Whether messages are the load, and not connections.
[[nodiscard]] bool has_messages(load_mode mode);

// --assert 'p99<5ms': a figure of the report, how it is compared, and with what (durations in nanoseconds).
struct assertion {
  std::string text; // as it was given
  std::string figure;
  std::string comparison; // < <= > >= == !=
  double limit = 0;
  bool limit_is_plain = false; // A count and no duration.
};

// --max-rate-under p99=5ms
struct latency_bound {
  double share = 0.99;
  std::int64_t limit_ns = 0;
  std::string text;
};

struct load_options {
  destination to;
  std::string server_text;
  load_mode mode = load_mode::echo;
  unsigned connections = 100;
  unsigned senders = 1;
  double rate = 0; // Messages (or connections) a second over all senders; 0 is the closed loop.
  std::size_t size_min = 64;
  std::size_t size_max = 64;
  double duration_s = 10;
  double warmup_s = 1;
  double ramp = 0; // New connections a second; 0: as fast as they open.
  unsigned threads = 1;
  unsigned processes = 0; // 0: as many as the descriptors need.
  unsigned in_flight = 0; // Messages of one sender that may be on their way; 0: 1, or 4,096 for publishers with a rate.
  double cut_share = 0.2; // resume: of the time that a member is away, on average.
  bool cut_all = false;   // resume: all at once, and only once.
  double cut_s = 2;       // resume: how long a member is away, about.
  unsigned seed = 1;      // resume: who is cut, and when.
  bool ended_by_server = false; // reconnect-storm: connections are held, and whoever the server ends comes back.
  bool total_order = false;   // All hear the messages of all senders in one order.
  bool event_streams = false; // broadcast, resume: who does not send listens to server-sent events.
  bool self = true;       // The server sends a message to its sender as well.
  std::string json_file;
  std::string hgrm_file;
  std::optional<latency_bound> bound;
  std::vector<assertion> asserts;
  pid_t server_pid = 0;

  [[nodiscard]] bool is_open_loop() const { return rate > 0; }
  [[nodiscard]] unsigned window() const;
  // A power of two, at least the window: how many messages of a sender are remembered.
  [[nodiscard]] std::uint32_t slots() const;
  // How many connections send; 0 where connections are the load.
  [[nodiscard]] unsigned sender_count() const;
  // How many of the last connections never read.
  [[nodiscard]] unsigned slow_count() const;
  // How many connections hear each message.
  [[nodiscard]] unsigned hearer_count() const;
};

} // namespace ringcast::load

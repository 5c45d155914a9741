// What the command line of bench-generator says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace ringcast {

enum class pattern { echo, broadcast, chat, handshake, idle };
enum class receive_mode {
  verify, // Every frame's header, sender and sequence number are looked at.
  count,  // The kernel discards the bytes (MSG_TRUNC) and only their number is checked: the cheapest receiver there is.
};

struct options {
  std::uint16_t port = 0;
  pattern what = pattern::echo;
  bool raw = false;         // No upgrade: for the bare epoll loop, which returns the frames as they were sent.
  unsigned connections = 1; // Broadcast: the members that listen; the publisher is one more.
  unsigned rooms = 1;       // Chat: rooms that the connections are dealt to.
  unsigned depth = 1;       // Messages that a sender has outstanding in the closed loop; concurrent handshakes.
  std::size_t size = 20;    // Payload bytes.
  double rate = 0;          // Messages per second in all, open loop; 0 is the closed loop.
  double warmup_s = 0.5;
  double seconds = 2;
  bool gated = false; // Measure when told to on standard input, as often as told.
  pid_t server_pid = 0;
  receive_mode receive = receive_mode::verify;
  std::string idle_path = "/echo";
};

} // namespace ringcast

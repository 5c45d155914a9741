// What the command line of bench-generator says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace ringcast::load::slices {

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
  std::string path = "/echo";  // Handshakes: what they ask for.
  bool tls = false;            // Through TLS 1.3, without asking whose certificate it is.
  bool deflate = false;        // permessage-deflate is offered without contexts, and each message is sent compressed.
  bool nats = false;           // Broadcast in the protocol of NATS, inside binary frames.
  unsigned stalled = 0;        // Broadcast: members besides the ones that listen, which never read.
  bool ignore_answers = false; // Broadcast: the publisher is answered something, which is thrown away.
};

// Whether a connection needs a link: its bytes are not simply frames of one size.
[[nodiscard]] inline bool needs_link(const options& chosen) { return chosen.tls || chosen.deflate || chosen.nats; }

} // namespace ringcast::load::slices

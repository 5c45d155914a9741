// Options: shards, messages, rooms and what they may hold.
#include "apps/ringcast-server/option_makers.hpp"
#include <ringcast/connection_handle.hpp>

namespace ringcast::declared {

std::vector<option> rooms_and_memory() {
  return {
      {.name = "shards",
       .means = "threads, each with its own core and ring; `auto` is one a core, fewer where the CPU quota of the control group, locked memory or "
                "descriptors allow no more (the log says so)",
       .reason = "more than cores share them and gain nothing",
       .rules = number([](auto& s) -> auto& { return s.server.shards; }, {.least = 1, .most = connection_handle::shards_max, .word = "auto"})},
      {.name = "max-message-bytes",
       .means = "the largest message; a larger one closes with 1009",
       .reason = "holds any chat or ticker message",
       .when = may_change::at_reload,
       .rules = size([](auto& s) -> auto& { return s.server.limits.message_bytes_max; }, 1, gib)},
      {.name = "send-queue-bytes",
       .means = "how far a member of a room may be behind (the bytes of the messages that wait for it, and 16 for each of them), and how much output "
                "of its own a connection may have waiting, in the server; the kernel holds at most 128 KiB more that it has not sent, and what is on "
                "its way",
       .reason = "one message of the largest size",
       .rules = size([](auto& s) -> auto& { return s.server.limits.send_queue_bytes_max; }, kib, gib)},
      {.name = "slow-consumer",
       .means = "what happens beyond that: `close` with 1013, or it loses messages: the new ones, the oldest, all but the latest",
       .reason = "nobody loses a message without knowing it",
       .rules = choice([](auto& s) -> auto& { return s.server.policy; }, {"close", "drop-newest", "drop-oldest", "latest"})},
      {.name = "presence-members",
       .means = "in a room with more members users are counted, not told one by one",
       .reason = "what is told of them is users times members",
       .rules = number([](auto& s) -> auto& { return s.server.presence.members_max; }, {.least = 0, .most = UINT32_MAX})},
      {.name = "presence-delay-s",
       .means = "a user that has gone is told as gone so much later, unless it is back by then",
       .reason = "as long as a page takes to reload",
       .rules = time([](auto& s) -> auto& { return s.server.presence.delay_ms; }, second, ms, 0, day)},
      {.name = "history-messages",
       .means = "each room keeps its last N messages; 0 is no bound by number. History is off unless this or one of the next two is given; where "
                "several are, the strictest holds",
       .reason = "what is kept costs memory",
       .rules = number([](auto& s) -> auto& { return s.server.history.messages; }, {.least = 0, .most = tib})},
      {.name = "history-bytes",
       .means = "each room keeps its last bytes of messages, with 16 for each of them, and up to 64 KiB more; 0 is no bound",
       .reason = "the same",
       .rules = size([](auto& s) -> auto& { return s.server.history.bytes; }, 0, tib)},
      {.name = "history-seconds",
       .means = "each room keeps what was said in this time, to a second; 0 is no bound",
       .reason = "the same",
       .rules = time([](auto& s) -> auto& { return s.server.history.seconds; }, second, second, 0, 365 * day)},
      {.name = "history-total-bytes",
       .means =
           "what all rooms together may keep, an equal share for each shard; beyond it the oldest goes first, of whichever room. At most half of "
           "`--memory-bytes`",
       .reason = "peers need the rest",
       .rules = size([](auto& s) -> auto& { return s.server.history.total_bytes; }, 0, tib)},
      {.name = "compression",
       .means =
           "permessage-deflate: `off`; `shared`, each message by itself, no memory for an idle connection; `dedicated`, context takeover where the "
           "client agrees, 172 KiB a connection and fewer bytes",
       .reason = "a room's message is compressed once for all",
       .rules = choice([](auto& s) -> auto& { return s.server.compression.mode; }, {"off", "shared", "dedicated"})},
      {.name = "compression-level",
       .means = "0 (fast) to 3 (small); `auto` is 0 to one connection and 1 to a room",
       .reason = "1 takes four times as long as 0 and saves a fifth of the bytes",
       .rules = number([](auto& s) -> auto& { return s.server.compression.level; }, {.least = 0, .most = compression_level_max, .word = "auto"})},
      {.name = "compression-threshold",
       .means = "messages of fewer bytes are sent as they are; `auto` is 256, and 64 with `dedicated`",
       .reason = "short ones do not shrink",
       .rules = size([](auto& s) -> auto& { return s.server.compression.threshold_bytes; }, 0, gib, "auto")},
      {.name = "compression-window-bits",
       .means = "how far back compressed bytes may refer, as a power of two, in both directions",
       .reason = "the most that RFC 7692 knows",
       .rules = number([](auto& s) -> auto& { return s.server.compression.window_bits; }, {.least = 8, .most = 15})},
      {.name = "memory-bytes",
       .means =
           "what all shards together may hold for their peers: parts of messages and bodies, output that is not taken, compression contexts, TLS; "
           "each shard has an equal share, and above it those that hold the most are ended with 1013 or 503, which the log says; `auto` is half "
           "of the machine's memory, or of the control group's",
       .reason = "the other half is the kernel's, for sockets",
       .rules = size([](auto& s) -> auto& { return s.server.memory_bytes; }, mib, 1024 * tib, "auto")},
  };
}

} // namespace ringcast::declared

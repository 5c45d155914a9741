// Where a message stands in what a room has said. Plain values and their text, as it travels in URLs and JSON.
#pragma once

#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

// The messages of a room are numbered from 1 on, without holes, in the order in which everybody hears them. A number says something only
// beside its epoch: a room that is opened anew, in another run of the server or after everybody had left, counts from 1 again, in another
// epoch. As a place to go on from, a position is behind its message; sequence 0 is in front of the first one.
struct room_position {
  std::uint64_t epoch = 0; // random, never 0 in an existing room
  std::uint64_t sequence = 0;

  friend bool operator==(const room_position&, const room_position&) = default;
};

// EPOCH:SEQUENCE, the epoch as 16 hexadecimal digits, the sequence number as a decimal one: "00c0ffee00c0ffee:42".
[[nodiscard]] std::string text_of_epoch(std::uint64_t epoch);
[[nodiscard]] std::string text_of(const room_position& position);
// Nothing if the text is none: no part may be missing, signed, empty or larger than 64 bits.
[[nodiscard]] std::optional<room_position> parse_position(std::string_view text);

// What rooms keep of what was said there, for those who join later or come back. Off unless one of the first three is given; where several
// are, the strictest holds. What is kept counts as memory that the server holds (server_options::memory_bytes).
struct history_options {
  std::uint64_t messages = 0; // of each room, the last so many
  std::uint64_t bytes = 0;    // of each room, with 16 for each message; what is kept goes chunk by chunk, so up to 64 KiB more stay
  std::uint32_t seconds = 0;  // messages that are older go; kept to a second
  // All rooms together. Each shard has an equal share; where it is full, the oldest chunk of any of its rooms goes first.
  std::uint64_t total_bytes = 256u << 20;

  [[nodiscard]] bool is_on() const { return messages > 0 || bytes > 0 || seconds > 0; }
};

// What somebody who joins wants to hear of what was said before.
struct replay_options {
  // The last so many messages.
  std::uint32_t last = 0;
  // All messages behind this one. If some of them are not kept any more, or it is of another epoch, or from the future, then what is kept
  // instead: the last `last`, or everything if that is 0.
  std::optional<room_position> after{};
};

// A message as it is kept, and as many of them as were asked for.
struct room_message {
  std::uint64_t sequence = 0;
  opcode op = opcode::text;
  std::vector<std::byte> payload{};

  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(payload.data()), payload.size()}; }
};

struct room_messages {
  room_position newest{};       // of the room; epoch 0: there is no such room
  bool missing = false;         // replay_options::after was given, and not everything behind it is kept
  bool more = false;            // there are more behind the last one: ask again, after next()
  std::vector<room_message> messages{};

  // Where to go on.
  [[nodiscard]] room_position next() const { return {newest.epoch, messages.empty() ? newest.sequence : messages.back().sequence}; }
};

// Where a member stood when it joined.
struct joined_position {
  room_position at;     // of the newest message then: what has a number up to it was said before
  std::uint64_t first = 0; // the number of the first message that it hears, of those that were said before or of those to come
  bool resumed = false; // replay_options::after was given, and the member hears everything behind it
};

} // namespace ringcast

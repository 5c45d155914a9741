// Where a client stands in a room of ringcast-server whose messages are numbered (?seq=1): what to ask for when it comes back, and what is
// in front of each message. It knows no connection and no user.
#pragma once

#include <ringcast/opcode.hpp>
#include <ringcast/position.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ringcast::engine {

class room_resume {
 public:
  // `target` is the path and query of the URL. `from` is where an earlier run of the program stood.
  room_resume(std::string_view target, const std::optional<room_position>& from);

  // Whether the query says itself where to go on, which is what this is for.
  [[nodiscard]] static bool has_position(std::string_view target);
  // For the next attempt.
  [[nodiscard]] std::string target() const;
  // As long as it can get.
  [[nodiscard]] std::string longest_target() const { return target_with(room_position{UINT64_MAX, UINT64_MAX}); }

  // The first message of a connection says where the room is.
  void on_open() { awaits_hello_ = true; }

  enum class kind : std::uint8_t {
    joined,  // that first message, of somebody who had no position
    resumed, // the same: everything behind `heard` follows
    gap,     // the same: something behind `heard` may be missing
    message, // its payload begins after `head_bytes`
    message_behind_gap, // the same, and those between `heard` and it were not sent
    repeated, // it was heard already
    going_away, // no message: the server is about to close, and asks to be left alone for `retry_after`
    broken,   // not numbered as it should be
  };
  struct taken {
    kind what = kind::broken;
    std::size_t head_bytes = 0;
    room_position heard{};  // the last message that was heard before this one
    room_position newest{}; // of the room, or in front of the message
    std::chrono::milliseconds retry_after{0};
  };
  [[nodiscard]] taken take(opcode op, std::span<const std::byte> payload);

  // Of the message that was taken last; nothing before a first one is known.
  [[nodiscard]] const std::optional<room_position>& position() const { return position_; }

 private:
  [[nodiscard]] std::string target_with(const std::optional<room_position>& after) const;
  [[nodiscard]] static taken take_notice(std::string_view text);
  [[nodiscard]] taken take_hello(std::string_view text);
  [[nodiscard]] taken take_number(std::uint64_t number, std::size_t head_bytes);

  std::string target_;
  bool asks_history_; // the URL does, so that a first connection brings older messages, too
  std::uint64_t epoch_ = 0;
  std::optional<room_position> position_;
  bool awaits_hello_ = true;
  bool any_next_ = false; // whatever number comes next begins a row: what was in front of it may be missing, and was told to be
};

} // namespace ringcast::engine

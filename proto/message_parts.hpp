// Frames to pieces of messages, for whoever takes a message as it comes and does not join it (RFC 6455 5.4): what has arrived of a frame is
// unmasked where it stands and passed on, so that a message of any length needs no memory. Text is checked as it passes, and so are the
// rules that message_assembler checks for whole messages.
#pragma once

#include "proto/frame_reader.hpp"
#include "proto/utf8.hpp"
#include "proto/violation.hpp"
#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringcast {

/// What the bytes at the front of the input were.
struct message_step {
  enum class kind : std::uint8_t {
    need_more, ///< Nothing yet; ask again when `wanted` bytes are there.
    part,      ///< Of a message: `payload`. Empty only where it is the last one.
    control,   ///< A control frame, not judged beyond its header: `control`.
    violation, ///< The peer broke a rule; the connection must fail with `close_code_of(broken)`.
  } what = kind::need_more;
  opcode op = opcode::continuation; ///< Of the message: text or binary, never continuation.
  bool is_last = false;             ///< The message ends with this part.
  std::span<std::byte> payload;     ///< A view of the input.
  frame control;
  violation broken = violation::none;
  std::size_t bytes = 0;  ///< How far to go on in the input.
  std::size_t wanted = 0;
};

/// One direction of one connection. Owned by that connection, on its shard's thread. A message cannot be compressed here: rules.rsv1_allowed is
/// false.
class message_parts {
 public:
  /// Takes what stands at the front of `input`. Masked payloads are unmasked in place, so bytes that a step has counted must not come again.
  [[nodiscard]] message_step read(std::span<std::byte> input, const frame_rules& rules, std::uint64_t message_bytes_max) noexcept;

 private:
  [[nodiscard]] message_step begin(const frame_header& header, std::uint64_t message_bytes_max) noexcept;
  [[nodiscard]] message_step pass(std::span<std::byte> payload) noexcept;

  opcode op_ = opcode::continuation;  ///< Of the message under way; continuation: there is none.
  bool fin_ = true;                   ///< Of the frame under way.
  bool masked_ = false;
  std::uint32_t masking_key_ = 0;
  std::uint64_t frame_bytes_ = 0;     ///< Of its payload that have passed,
  std::uint64_t frame_left_ = 0;      ///< and that are to come.
  std::uint64_t message_bytes_ = 0;   ///< Announced by the frames so far.
  utf8_validator text_;
};

} // namespace ringcast

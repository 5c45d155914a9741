// Frames to messages (RFC 6455 5.4): fragments are joined, control frames between them are passed out, text is checked
// to be UTF-8. Inflating a compressed message is the caller's next step, not this one's.
#pragma once

#include "proto/frame_reader.hpp"
#include "proto/unfinished_text.hpp"
#include "proto/utf8.hpp"
#include "proto/violation.hpp"
#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace ringcast {

/// What a frame completed.
struct assembled {
  enum class kind : std::uint8_t {
    none,      ///< A fragment was taken; its message is not complete.
    message,   ///< A text or binary message.
    control,   ///< A ping, a pong, or a close frame whose payload is valid (`parse_close` will succeed on it).
    violation, ///< The peer broke a rule; the connection must fail with `close_code_of(broken)`.
  } what = kind::none;
  opcode op = opcode::continuation; ///< Of the message: text or binary, never continuation.
  std::span<std::byte> payload;
  bool compressed = false; ///< The payload is deflated, and if it is text its UTF-8 is not yet checked.
  violation broken = violation::none;
};

/// How far a message under way had come when somebody looked last: the note of whoever demands that it makes progress.
struct message_progress {
  std::uint64_t bytes = 0;
  std::uint32_t at_ms = 0; ///< 0: nobody has looked
};

/// How long the payload of a compressed message may be when the message may have `message_bytes_max` bytes: what does
/// not shrink grows by the headers of stored blocks, at most a twentieth (zlib with its smallest memory).
[[nodiscard]] constexpr std::uint64_t compressed_bytes_max(std::uint64_t message_bytes_max) noexcept {
  return message_bytes_max + message_bytes_max / 20 + 64;
}

/// Joins the frames of one direction of one connection. Owned by that connection, on its shard's thread. One pointer
/// while no fragmented message is under way; memory grows with the bytes that arrived, never with what was announced.
class message_assembler {
 public:
  message_assembler() noexcept;
  ~message_assembler();
  message_assembler(message_assembler&&) noexcept;
  message_assembler& operator=(message_assembler&&) noexcept;

  /// Takes the next frame that `read_frame` returned. The payload of an unfragmented message or a control frame is a
  /// view of the frame's own bytes, without a copy; that of a joined message lives in the assembler until the next
  /// take() or release(). A message longer than `message_bytes_max`, or a compressed one longer than
  /// `compressed_bytes_max` of it, is a violation as soon as its bytes exceed it. After a violation the assembler is
  /// empty and the connection is lost.
  [[nodiscard]] assembled take(const frame& next, std::uint64_t message_bytes_max);

  /// The same for a frame whose first bytes `seen` has checked while it was not whole: they are not checked again.
  [[nodiscard]] assembled take(const frame& next, std::uint64_t message_bytes_max, const unfinished_text& seen);

  /// Frees the bytes of a joined message that has been handled. A message still under way is not touched.
  void release() noexcept;

  /// Whether fragments of an unfinished message are held.
  [[nodiscard]] bool is_inside_message() const noexcept;

  /// The bytes of its fragments so far: 0 when there is none.
  [[nodiscard]] std::uint64_t unfinished_bytes() const noexcept;

  /// The state of its text behind those bytes; null unless it is an uncompressed text.
  [[nodiscard]] const utf8_validator* unfinished_plain_text() const noexcept;
  /// The bytes of the fragments that have come, 0 when idle.
  [[nodiscard]] std::size_t arrived_bytes() const noexcept;
  /// Of the message that is_inside_message() tells of; null without one.
  [[nodiscard]] message_progress* progress() noexcept;

  /// The heap bytes held now, for accounting: 0 when idle.
  [[nodiscard]] std::size_t held_bytes() const noexcept;

 private:
  struct fragments;

  assembled take_any(frame next, std::uint64_t message_bytes_max);
  assembled take_control(const frame& next) noexcept;
  assembled append(const frame& next, std::uint64_t message_bytes_max, std::size_t checked_bytes = 0);
  assembled fail(violation broken) noexcept;

  std::unique_ptr<fragments> fragments_; ///< Null when idle; holds a finished message until it is released.
};
static_assert(sizeof(message_assembler) <= 16);

[[gnu::always_inline]] inline assembled message_assembler::take(const frame& next, std::uint64_t message_bytes_max) {
  // A whole message in one frame, with nothing held: the usual case, settled without a call.
  if (!fragments_ && next.fin && !is_control(next.op) && next.op != opcode::continuation && next.payload.size() <= message_bytes_max) [[likely]] {
    if (next.op == opcode::text && !next.rsv1 && !next.is_ascii && !is_valid_utf8(next.payload)) {
      const assembled failed = fail(violation::text_not_utf8);
      return static_cast<const assembled&>(failed);
    }
    return {.what = assembled::kind::message, .op = next.op, .payload = next.payload, .compressed = next.rsv1};
  }
  // Values in and out, for the reason that read_frame gives: the usual case stays in registers.
  const assembled any = take_any(next, message_bytes_max);
  return static_cast<const assembled&>(any);
}

} // namespace ringcast

// The text of a frame that is not whole yet. A peer may send a large text slowly, and RFC 6455 section 8.1 lets an
// endpoint fail as soon as the bytes that have come cannot be text: so what has come is looked at while the rest is
// waited for, each byte once. The input is not changed; read_frame() will unmask it when the frame is whole.
#pragma once

#include "proto/frame_reader.hpp"
#include "proto/utf8.hpp"
#include "proto/violation.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringcast {

class message_assembler;

/// What is known of the one frame at the front of a connection's input that is not whole. A plain value; start with {}
/// for each frame. It goes by the number of bytes, not by where they stand: they may move in between.
class unfinished_text {
 public:
  /// Looks at what has come since the last call of the frame at the start of `input`, behind the frames that `before`
  /// has taken. text_not_utf8 as soon as no continuation could make it text; message_too_big where the header says it;
  /// none otherwise, and for every frame that is not plain text.
  [[nodiscard]] violation check(std::span<const std::byte> input, const frame_rules& rules, const message_assembler& before,
                                std::uint64_t message_bytes_max) noexcept;

  /// How many bytes of the payload have been checked. 0 says nothing about the frame.
  [[nodiscard]] std::size_t checked_bytes() const noexcept { return checked_bytes_; }
  /// The state of the message's text behind them.
  [[nodiscard]] const utf8_validator& text() const noexcept { return text_; }

 private:
  std::size_t checked_bytes_ = 0;
  utf8_validator text_;
};

} // namespace ringcast

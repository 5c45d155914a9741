// permessage-deflate's compression and decompression of messages (RFC 7692 section 7.2) over isa-l. This is the only
// pair of files that knows isa-l. The negotiation is in proto/extension.hpp, RSV1 in the frame reader and writer.
//
// Without context takeover one `deflater` and one `inflater` serve all connections of a shard, and a connection costs
// nothing. With it, a connection owns a `deflate_context` or an `inflate_context`, whose memory is stated below.
#pragma once

#include "proto/byte_buffer.hpp"
#include "proto/violation.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>

struct isal_zstream;
struct inflate_state;

namespace ringcast {

/// 0 is the fastest: fixed Huffman codes, about a quarter of the time of level 1 and four fifths of its ratio at 1 KiB.
/// 1 builds codes for each message. 2 and 3 search longer; kernel-notes/deflate.md has the figures.
inline constexpr unsigned deflate_level_max = 3;

/// Room that `deflater::deflate_message` needs for a message of `message_bytes`. What does not fit does not pay.
[[nodiscard]] constexpr std::size_t deflate_message_bound(std::size_t message_bytes) noexcept { return message_bytes + 8; }

/// The same for `deflate_context::deflate_message`, whose output may be a little longer than the message.
[[nodiscard]] constexpr std::size_t deflate_context_bound(std::size_t message_bytes) noexcept { return message_bytes + 24; }

/// What a `deflater` or a `deflate_context` of that level holds on the heap, at most.
[[nodiscard]] constexpr std::size_t deflate_memory_bytes(unsigned level) noexcept {
  constexpr std::size_t stream_bytes = 84 * 1024;
  constexpr std::size_t level_bytes[] = {0, 24 * 1024, 72 * 1024, 88 * 1024};
  return stream_bytes + level_bytes[level <= deflate_level_max ? level : deflate_level_max];
}
/// What an `inflater` or an `inflate_context` holds on the heap, at most.
inline constexpr std::size_t inflate_memory_bytes = 88 * 1024;

/// Compresses messages that do not depend on each other: no context takeover. One per shard, used on its thread only.
/// Allocates when constructed and never again. Its output may be sent to every peer that negotiated a window of at
/// least `window_bits`, so a broadcast is compressed once.
class deflater {
 public:
  /// `level_max` is the highest level that will be asked for; it decides the memory.
  explicit deflater(unsigned level_max = 1);
  ~deflater();
  deflater(deflater&&) noexcept;
  deflater& operator=(deflater&&) noexcept;

  /// Writes the payload of the compressed message to the start of `out`, without the trailing 00 00 ff ff (7.2.1), and
  /// returns its length. Nothing is returned when it does not fit into `out` or would not be shorter than the message:
  /// then the message is sent as it is, without RSV1, as the RFC allows for each message. An empty message gives the
  /// single byte 00 (7.2.3.6). `level` is at most `level_max`; `window_bits` 8 to 15.
  [[nodiscard]] std::optional<std::size_t> deflate_message(std::span<const std::byte> message, std::span<std::byte> out, unsigned level,
                                                           unsigned window_bits = 15) noexcept;

  /// The same, appended to a buffer that grows. On "nothing" the buffer is as it was.
  [[nodiscard]] std::optional<std::size_t> deflate_message(std::span<const std::byte> message, byte_buffer& out, unsigned level,
                                                           unsigned window_bits = 15);

 private:
  std::unique_ptr<isal_zstream> stream_;
  std::unique_ptr<std::uint8_t[]> level_buffer_;
  unsigned level_max_;
};

/// Compresses the messages of one direction of one connection, each with the ones before it as its dictionary: context
/// takeover. Owned by the connection, on its shard's thread.
class deflate_context {
 public:
  explicit deflate_context(unsigned level, unsigned window_bits = 15);
  ~deflate_context();
  deflate_context(deflate_context&&) noexcept;
  deflate_context& operator=(deflate_context&&) noexcept;

  /// Writes the compressed message to the start of `out`, which has room for `deflate_context_bound(message.size())`
  /// bytes, and returns its length, which may be up to 16 bytes more than the message's: that is the price of
  /// remembering it. Nothing is returned when it would be longer still: then the message is sent as it is, and the
  /// context starts anew, because what was not sent compressed is not in the peer's window.
  [[nodiscard]] std::optional<std::size_t> deflate_message(std::span<const std::byte> message, std::span<std::byte> out) noexcept;

  /// The same, appended to a buffer that grows. On "nothing" the buffer is as it was.
  [[nodiscard]] std::optional<std::size_t> deflate_message(std::span<const std::byte> message, byte_buffer& out);

  /// Forgets all messages so far. Always allowed: the next message then refers to none of them.
  void reset() noexcept;

 private:
  std::unique_ptr<isal_zstream> stream_;
  std::unique_ptr<std::uint8_t[]> level_buffer_;
};

/// Decompresses the messages of one direction of one connection whose peer may keep its context. Owned by the
/// connection, on its shard's thread. After a violation the connection is lost and so is the context.
class inflate_context {
 public:
  inflate_context();
  ~inflate_context();
  inflate_context(inflate_context&&) noexcept;
  inflate_context& operator=(inflate_context&&) noexcept;

  /// Decompresses the next piece of a message's payload and appends the result to `message`, which grows in steps and
  /// never above `message_bytes_max`: a message that would is `message_too_big`, found with constant extra memory
  /// however much the payload would grow. Broken data is `compressed_data_invalid`. The pieces may end anywhere.
  [[nodiscard]] violation feed(std::span<const std::byte> piece, byte_buffer& message, std::size_t message_bytes_max);

  /// Ends the message: the four bytes of 7.2.2 are fed and the data must then be complete. The context is kept.
  [[nodiscard]] violation finish(byte_buffer& message, std::size_t message_bytes_max);

  /// Decompresses a whole payload: `message` is cleared first, then feed() and finish().
  [[nodiscard]] violation inflate_message(std::span<const std::byte> payload, byte_buffer& message, std::size_t message_bytes_max);

  /// Forgets all messages so far, for a peer that promised no context takeover.
  void reset() noexcept;

 private:
  [[nodiscard]] violation run(byte_buffer& message, std::size_t message_bytes_max);
  [[nodiscard]] violation start_anew_after_final_block(std::size_t taken) noexcept;

  std::unique_ptr<inflate_state> state_;
  bool ended_by_final_block_ = false; ///< Nothing has followed the last BFINAL block yet (7.2.3.4).
};

/// Decompresses messages of peers that promised no context takeover. One per shard, for all its connections, on its
/// thread. Allocates when constructed; afterwards only `message` grows.
class inflater {
 public:
  /// As `inflate_context::inflate_message`, with an empty window at the start of each message.
  [[nodiscard]] violation inflate_message(std::span<const std::byte> payload, byte_buffer& message, std::size_t message_bytes_max) {
    context_.reset();
    return context_.inflate_message(payload, message, message_bytes_max);
  }

 private:
  inflate_context context_;
};

} // namespace ringcast

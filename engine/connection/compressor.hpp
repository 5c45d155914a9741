// What a shard compresses and decompresses with: one state in each direction for all messages that refer to no others,
// made when the first connection needs it, and the bytes of the message that was inflated last. One a shard, on its
// thread.
#pragma once

#include "proto/byte_buffer.hpp"
#include "proto/deflate.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ringcast::engine {

struct compression_counters {
  std::uint64_t messages_inflated = 0;
  std::uint64_t inflate_bytes_before = 0; // of these
  std::uint64_t inflate_bytes_after = 0;
  std::uint64_t messages_deflated = 0;    // a broadcast counts once
  std::uint64_t messages_not_smaller = 0; // tried, and sent as they were
  std::uint64_t bytes_before = 0;         // of the messages that were deflated
  std::uint64_t bytes_after = 0;
  std::uint32_t contexts = 0;      // that connections hold now, see compression_mode::dedicated
  std::uint64_t context_bytes = 0; // and their memory
};

class compressor {
 public:
  // What the memory for an inflated message is kept at, for the next one; a larger one is given back.
  static constexpr std::size_t inflated_bytes_kept = 1u << 20;

  // As deflater::deflate_message().
  [[nodiscard]] std::optional<std::size_t> deflate(std::span<const std::byte> message, std::span<std::byte> out, unsigned level,
                                                   unsigned window_bits) {
    if (!deflater_ || level > level_max_) {
      deflater_.emplace(level);
      level_max_ = level;
    }
    return counted(message.size(), deflater_->deflate_message(message, out, level, window_bits));
  }
  // The same with a connection's own context.
  [[nodiscard]] std::optional<std::size_t> deflate(deflate_context& context, std::span<const std::byte> message, std::span<std::byte> out) {
    return counted(message.size(), context.deflate_message(message, out));
  }

  // Inflates a whole payload into inflated(); with a context if the peer may refer to its messages before.
  [[nodiscard]] violation inflate(inflate_context* context, std::span<const std::byte> payload, std::size_t message_bytes_max) {
    ++counters_.messages_inflated;
    counters_.inflate_bytes_before += payload.size();
    if (context == nullptr && !inflater_) inflater_.emplace();
    const violation broken = context != nullptr ? context->inflate_message(payload, inflated_, message_bytes_max)
                                                : inflater_->inflate_message(payload, inflated_, message_bytes_max);
    if (broken == violation::none) counters_.inflate_bytes_after += inflated_.size();
    return broken;
  }
  [[nodiscard]] std::span<std::byte> inflated() { return inflated_.bytes(); }
  // The message has been handled.
  void release_inflated() {
    if (inflated_.capacity() > inflated_bytes_kept) inflated_.release();
  }

  // A shard that rests keeps no message's memory.
  void trim() { inflated_.release(); }

  [[nodiscard]] compression_counters& counters() { return counters_; }
  [[nodiscard]] const compression_counters& counters() const { return counters_; }

 private:
  std::optional<std::size_t> counted(std::size_t before, std::optional<std::size_t> after) {
    if (after) {
      ++counters_.messages_deflated;
      counters_.bytes_before += before;
      counters_.bytes_after += *after;
    } else {
      ++counters_.messages_not_smaller;
    }
    return after;
  }

  std::optional<deflater> deflater_;
  unsigned level_max_ = 0;
  std::optional<inflater> inflater_;
  byte_buffer inflated_;
  compression_counters counters_;
};

} // namespace ringcast::engine

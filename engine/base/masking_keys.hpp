// Where masking keys come from: RFC 6455 10.3 wants each one unpredictable, so that nobody who chooses the payload can choose the bytes on
// the wire. A key is four bytes of a ChaCha20 key stream (RFC 8439) that the kernel's generator has seeded; a message costs no system call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ringcast::engine {

// Owned by one shard, on its thread.
class masking_keys {
 public:
  // Seeded by getrandom(2). Throws std::system_error if the kernel has no entropy to give.
  masking_keys();
  // With a known seed, for the test vector of RFC 8439. Never reseeded.
  masking_keys(std::span<const std::byte, 32> key, std::span<const std::byte, 12> nonce, std::uint32_t counter) noexcept;

  // A fresh key for one frame.
  [[nodiscard]] std::uint32_t next() {
    if (used_ == words_.size()) refill();
    return words_[used_++];
  }

  // 16 bytes for a Sec-WebSocket-Key.
  [[nodiscard]] std::array<std::byte, 16> next_nonce();

 private:
  static constexpr std::size_t block_words = 16;
  static constexpr std::size_t blocks_at_once = 8;
  // A new seed after this many refills (16 MiB of keys): whoever sees the memory of this process learns little of its past.
  static constexpr std::uint32_t refills_max = 32'768;

  void seed();
  void refill();

  std::array<std::uint32_t, 16> state_{}; // constants, key, counter, nonce
  std::array<std::uint32_t, block_words * blocks_at_once> words_{};
  std::size_t used_ = block_words * blocks_at_once;
  std::uint32_t refills_ = 0;
  bool reseeds_ = true;
};

} // namespace ringcast::engine

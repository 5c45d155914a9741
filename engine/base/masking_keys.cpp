#include "engine/base/masking_keys.hpp"

#include <bit>
#include <cerrno>
#include <cstring>
#include <sys/random.h>
#include <system_error>

namespace ringcast::engine {

namespace {

void quarter_round(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c, std::uint32_t& d) noexcept {
  a += b, d = std::rotl(d ^ a, 16);
  c += d, b = std::rotl(b ^ c, 12);
  a += b, d = std::rotl(d ^ a, 8);
  c += d, b = std::rotl(b ^ c, 7);
}

// RFC 8439 2.3: ten double rounds, then the input is added.
void chacha20_block(const std::array<std::uint32_t, 16>& input, std::uint32_t* out) noexcept {
  std::array<std::uint32_t, 16> x = input;
  for (int i = 0; i < 10; ++i) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    quarter_round(x[0], x[5], x[10], x[15]);
    quarter_round(x[1], x[6], x[11], x[12]);
    quarter_round(x[2], x[7], x[8], x[13]);
    quarter_round(x[3], x[4], x[9], x[14]);
  }
  for (std::size_t i = 0; i < 16; ++i) out[i] = x[i] + input[i];
}

// "expand 32-byte k" in little-endian words.
constexpr std::array<std::uint32_t, 4> constants{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

void draw(void* out, std::size_t bytes) {
  auto* at = static_cast<std::byte*>(out);
  while (bytes > 0) {
    const ssize_t got = ::getrandom(at, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::system_error(errno, std::system_category(), "getrandom for masking keys");
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
}

} // namespace

masking_keys::masking_keys() { seed(); }

masking_keys::masking_keys(std::span<const std::byte, 32> key, std::span<const std::byte, 12> nonce, std::uint32_t counter) noexcept
    : reseeds_(false) {
  std::memcpy(state_.data(), constants.data(), 16);
  std::memcpy(state_.data() + 4, key.data(), 32);
  state_[12] = counter;
  std::memcpy(state_.data() + 13, nonce.data(), 12);
}

void masking_keys::seed() {
  std::memcpy(state_.data(), constants.data(), 16);
  draw(state_.data() + 4, 48);
  refills_ = 0;
}

void masking_keys::refill() {
  if (reseeds_ && ++refills_ > refills_max) seed();
  for (std::size_t block = 0; block < blocks_at_once; ++block) {
    chacha20_block(state_, words_.data() + block * block_words);
    ++state_[12];
  }
  used_ = 0;
}

std::array<std::byte, 16> masking_keys::next_nonce() {
  std::array<std::byte, 16> nonce;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::uint32_t word = next();
    std::memcpy(nonce.data() + i * 4, &word, 4);
  }
  return nonce;
}

} // namespace ringcast::engine

#include "engine/base/keyed_hash.hpp"

#include <ringcast/detail/assert.hpp>

#include <bit>
#include <cerrno>
#include <cstring>
#include <sys/random.h>

namespace ringcast::engine {

static_assert(std::endian::native == std::endian::little);

namespace {

struct siphash_state {
  std::uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(std::uint64_t word) noexcept {
    v3 ^= word;
    round();
    v0 ^= word;
  }
};

hash_key draw_key() {
  hash_key key;
  // 16 bytes come whole once the kernel's generator is ready; before that a signal may end the wait for it.
  ssize_t drawn = 0;
  do drawn = getrandom(&key, sizeof key, 0);
  while (drawn < 0 && errno == EINTR);
  RINGCAST_ASSERT(drawn == sizeof key);
  return key;
}

const hash_key key_of_the_process = draw_key();

} // namespace

std::uint64_t siphash_1_3(const hash_key& key, std::span<const std::byte> bytes) noexcept {
  siphash_state state{key.first ^ 0x736f6d6570736575, key.second ^ 0x646f72616e646f6d, key.first ^ 0x6c7967656e657261,
                      key.second ^ 0x7465646279746573};
  std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    state.take(word);
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) last |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  state.take(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 3; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

std::uint64_t keyed_hash(std::span<const std::byte> bytes) noexcept { return siphash_1_3(key_of_the_process, bytes); }

} // namespace ringcast::engine

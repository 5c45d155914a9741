#include <ringcast/hmac.hpp>

#include "engine/tls/wolfssl.hpp"

#include <new>

namespace ringcast {

std::array<std::byte, 32> hmac_sha256(std::span<const std::byte> secret, std::span<const std::byte> message) {
  engine::start_wolfssl();
  Hmac state{};
  std::array<std::byte, WC_SHA256_DIGEST_SIZE> mac{};
  const auto raw = [](std::span<const std::byte> bytes) { return reinterpret_cast<const byte*>(bytes.data()); };
  const bool made =
      wc_HmacInit(&state, nullptr, INVALID_DEVID) == 0 && wc_HmacSetKey(&state, WC_SHA256, raw(secret), static_cast<word32>(secret.size())) == 0 &&
      wc_HmacUpdate(&state, raw(message), static_cast<word32>(message.size())) == 0 && wc_HmacFinal(&state, reinterpret_cast<byte*>(mac.data())) == 0;
  wc_HmacFree(&state);
  if (!made) throw std::bad_alloc{};
  return mac;
}

} // namespace ringcast

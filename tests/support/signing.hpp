// Tokens that a test signs itself, with HS256.
#pragma once

#include "engine/tls/wolfssl.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ringcast {

inline std::string to_base64url(std::string_view bytes) {
  static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  unsigned bits = 0, bit_count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (bit_count += 8; bit_count >= 6; bit_count -= 6) text += alphabet[bits >> (bit_count - 6) & 63];
  }
  if (bit_count > 0) text += alphabet[bits << (6 - bit_count) & 63];
  return text;
}

inline std::string hmac_of(std::string_view secret, std::string_view text) {
  engine::start_wolfssl();
  Hmac state{};
  byte mac[WC_SHA256_DIGEST_SIZE];
  wc_HmacInit(&state, nullptr, INVALID_DEVID);
  wc_HmacSetKey(&state, WC_SHA256, reinterpret_cast<const byte*>(secret.data()), static_cast<word32>(secret.size()));
  wc_HmacUpdate(&state, reinterpret_cast<const byte*>(text.data()), static_cast<word32>(text.size()));
  wc_HmacFinal(&state, mac);
  wc_HmacFree(&state);
  return {reinterpret_cast<const char*>(mac), sizeof mac};
}

// Header and claims are JSON, or what a test wants there.
inline std::string sign_token(std::string_view secret, std::string_view header, std::string_view claims) {
  const std::string text = to_base64url(header) + "." + to_base64url(claims);
  return text + "." + to_base64url(hmac_of(secret, text));
}

} // namespace ringcast

// Keys that check signatures, for programs that are shown signed things: tokens (RFC 7515), webhooks. They make none.
//
// Threads: a key is a value that nothing changes, so any thread may check with it, and several at once. Errors are one sentence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

namespace ringcast {

// With the name that RFC 7518 3.1 and RFC 8037 3.1 give it.
enum class signature_algorithm : std::uint8_t {
  hmac_sha256,       // HS256: HMAC with SHA-256 (RFC 2104)
  ed25519,           // EdDSA with the curve Ed25519 (RFC 8032)
  ecdsa_p256_sha256, // ES256: ECDSA with P-256 and SHA-256; a signature is r and s, 32 bytes each (RFC 7518 3.4)
  rsa_pkcs1_sha256,  // RS256: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2)
};

class signature_key {
 public:
  // All numbers are big-endian, as in a JWK (RFC 7518 6). A secret has at least 32 bytes (RFC 7518 3.2).
  [[nodiscard]] static std::expected<signature_key, std::string> hmac_sha256(std::span<const std::byte> secret);
  [[nodiscard]] static std::expected<signature_key, std::string> ed25519(std::span<const std::byte> public_key); // 32 bytes
  // A point of the curve, 32 bytes each.
  [[nodiscard]] static std::expected<signature_key, std::string> ecdsa_p256(std::span<const std::byte> x, std::span<const std::byte> y);
  // 2,048 to 4,096 bits: fewer can be forged (RFC 7518 3.3), more cost each check too much. The exponent is odd, 3 to 2^32-1.
  [[nodiscard]] static std::expected<signature_key, std::string> rsa(std::span<const std::byte> modulus, std::span<const std::byte> exponent);

  // The one that it was made for, whatever a peer says.
  [[nodiscard]] signature_algorithm algorithm() const noexcept { return algorithm_; }
  // Whether this key, or the private one that belongs to it, has signed the message. A MAC is compared in a time that says nothing of it.
  [[nodiscard]] bool verifies(std::span<const std::byte> message, std::span<const std::byte> signature) const;

 private:
  signature_key(signature_algorithm algorithm, std::span<const std::byte> first, std::span<const std::byte> second = {})
      : algorithm_(algorithm), first_(first.begin(), first.end()), second_(second.begin(), second.end()) {}

  signature_algorithm algorithm_;
  std::vector<std::byte> first_, second_; // the secret; the public key; x and y; modulus and exponent
};

} // namespace ringcast

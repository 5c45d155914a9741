// Signatures by wolfCrypt. Its keys carry state that a check changes, so each check makes its own of the bytes.
#include <ringcast/signature.hpp>

#include "engine/tls/wolfssl.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace ringcast {

namespace {

using engine::start_wolfssl;

constexpr std::size_t secret_bytes_min = 32, p256_bytes = 32;
constexpr std::size_t modulus_bytes_min = 256, modulus_bytes_max = 512;
constexpr std::size_t exponent_bytes_max = 4;

const byte* raw(std::span<const std::byte> bytes) { return reinterpret_cast<const byte*>(bytes.data()); }
word32 size_of(std::span<const std::byte> bytes) { return static_cast<word32>(bytes.size()); }

std::span<const std::byte> without_leading_zeros(std::span<const std::byte> number) {
  while (!number.empty() && number.front() == std::byte{0}) number = number.subspan(1);
  return number;
}

// wolfCrypt's keys, freed with their scope.
struct ed25519_public {
  ed25519_key key{};
  ed25519_public() { wc_ed25519_init(&key); }
  ~ed25519_public() { wc_ed25519_free(&key); }
  [[nodiscard]] bool take(std::span<const std::byte> bytes) { return wc_ed25519_import_public(raw(bytes), size_of(bytes), &key) == 0; }
};
struct p256_public {
  ecc_key key{};
  p256_public() { wc_ecc_init(&key); }
  ~p256_public() { wc_ecc_free(&key); }
  [[nodiscard]] bool take(std::span<const std::byte> x, std::span<const std::byte> y) {
    return wc_ecc_import_unsigned(&key, raw(x), raw(y), nullptr, ECC_SECP256R1) == 0;
  }
  // Costs as much as a check of a signature: once, when the key is made.
  [[nodiscard]] bool is_on_curve() { return wc_ecc_check_key(&key) == 0; }
};
struct rsa_public {
  RsaKey key{};
  rsa_public() { wc_InitRsaKey(&key, nullptr); }
  ~rsa_public() { wc_FreeRsaKey(&key); }
  [[nodiscard]] bool take(std::span<const std::byte> modulus, std::span<const std::byte> exponent) {
    return wc_RsaPublicKeyDecodeRaw(raw(modulus), size_of(modulus), raw(exponent), size_of(exponent), &key) == 0;
  }
};

bool equal_in_constant_time(std::span<const byte> a, std::span<const std::byte> b) {
  if (a.size() != b.size()) return false; // the size of a MAC is no secret
  unsigned differences = 0;
  for (std::size_t i = 0; i < a.size(); ++i) differences |= static_cast<unsigned>(a[i] ^ std::to_integer<byte>(b[i]));
  return differences == 0;
}

bool verify_hmac(std::span<const std::byte> secret, std::span<const std::byte> message, std::span<const std::byte> mac) {
  Hmac state{};
  byte wanted[WC_SHA256_DIGEST_SIZE];
  const bool made = wc_HmacInit(&state, nullptr, INVALID_DEVID) == 0 && wc_HmacSetKey(&state, WC_SHA256, raw(secret), size_of(secret)) == 0 &&
                    wc_HmacUpdate(&state, raw(message), size_of(message)) == 0 && wc_HmacFinal(&state, wanted) == 0;
  wc_HmacFree(&state);
  return made && equal_in_constant_time(wanted, mac);
}

bool verify_ed25519(std::span<const std::byte> public_key, std::span<const std::byte> message, std::span<const std::byte> signature) {
  ed25519_public own;
  int is_good = 0;
  return signature.size() == ED25519_SIG_SIZE && own.take(public_key) &&
         wc_ed25519_verify_msg(raw(signature), size_of(signature), raw(message), size_of(message), &is_good, &own.key) == 0 && is_good == 1;
}

// wolfCrypt wants r and s in DER.
bool verify_ecdsa(std::span<const std::byte> x, std::span<const std::byte> y, std::span<const std::byte> message,
                  std::span<const std::byte> signature) {
  if (signature.size() != 2 * p256_bytes) return false;
  byte hash[WC_SHA256_DIGEST_SIZE];
  byte der[ECC_MAX_SIG_SIZE];
  word32 der_bytes = sizeof der;
  const auto r = without_leading_zeros(signature.first(p256_bytes)), s = without_leading_zeros(signature.last(p256_bytes));
  if (r.empty() || s.empty()) return false;
  p256_public own;
  int is_good = 0;
  return own.take(x, y) && wc_Sha256Hash(raw(message), size_of(message), hash) == 0 &&
         wc_ecc_rs_raw_to_sig(raw(r), size_of(r), raw(s), size_of(s), der, &der_bytes) == 0 &&
         wc_ecc_verify_hash(der, der_bytes, hash, sizeof hash, &is_good, &own.key) == 0 && is_good == 1;
}

bool verify_rsa(std::span<const std::byte> modulus, std::span<const std::byte> exponent, std::span<const std::byte> message,
                std::span<const std::byte> signature) {
  rsa_public own;
  return signature.size() == modulus.size() && own.take(modulus, exponent) &&
         wc_SignatureVerify(WC_HASH_TYPE_SHA256, WC_SIGNATURE_TYPE_RSA_W_ENC, raw(message), size_of(message), raw(signature), size_of(signature),
                            &own.key, sizeof own.key) == 0;
}

} // namespace

std::expected<signature_key, std::string> signature_key::hmac_sha256(std::span<const std::byte> secret) {
  start_wolfssl();
  if (secret.size() < secret_bytes_min)
    return std::unexpected(fmt::format("a secret of {} bytes is too short: HS256 needs {} (RFC 7518 3.2)", secret.size(), secret_bytes_min));
  return signature_key{signature_algorithm::hmac_sha256, secret};
}

std::expected<signature_key, std::string> signature_key::ed25519(std::span<const std::byte> public_key) {
  start_wolfssl();
  ed25519_public own;
  if (public_key.size() != ED25519_PUB_KEY_SIZE || !own.take(public_key)) return std::unexpected("this is no public key of Ed25519");
  return signature_key{signature_algorithm::ed25519, public_key};
}

std::expected<signature_key, std::string> signature_key::ecdsa_p256(std::span<const std::byte> x, std::span<const std::byte> y) {
  start_wolfssl();
  p256_public own;
  if (x.size() != p256_bytes || y.size() != p256_bytes || !own.take(x, y) || !own.is_on_curve())
    return std::unexpected("this is no point of the curve P-256");
  return signature_key{signature_algorithm::ecdsa_p256_sha256, x, y};
}

std::expected<signature_key, std::string> signature_key::rsa(std::span<const std::byte> modulus, std::span<const std::byte> exponent) {
  start_wolfssl();
  modulus = without_leading_zeros(modulus), exponent = without_leading_zeros(exponent);
  if (modulus.size() < modulus_bytes_min || modulus.size() > modulus_bytes_max || (modulus.front() & std::byte{0x80}) == std::byte{0})
    return std::unexpected(fmt::format("an RSA key has {} to {} bits here", modulus_bytes_min * 8, modulus_bytes_max * 8));
  const bool is_odd = !exponent.empty() && (exponent.back() & std::byte{1}) == std::byte{1};
  const bool is_one = exponent.size() == 1 && exponent.front() == std::byte{1};
  if (!is_odd || is_one || exponent.size() > exponent_bytes_max) return std::unexpected("the exponent of an RSA key is odd, from 3 to 2^32-1");
  rsa_public own;
  if (!own.take(modulus, exponent)) return std::unexpected("this is no public RSA key");
  return signature_key{signature_algorithm::rsa_pkcs1_sha256, modulus, exponent};
}

bool signature_key::verifies(std::span<const std::byte> message, std::span<const std::byte> signature) const {
  switch (algorithm_) {
  case signature_algorithm::hmac_sha256: return verify_hmac(first_, message, signature);
  case signature_algorithm::ed25519: return verify_ed25519(first_, message, signature);
  case signature_algorithm::ecdsa_p256_sha256: return verify_ecdsa(first_, second_, message, signature);
  case signature_algorithm::rsa_pkcs1_sha256: return verify_rsa(first_, second_, message, signature);
  }
  return false;
}

} // namespace ringcast

// The keys that tokens are checked with: a secret, and the keys of a JWK set (RFC 7517) of type oct, OKP (Ed25519), EC (P-256) and RSA. Each key
// has one algorithm, and what a token says of itself can only agree with it.
#pragma once

#include <ringcast/signature.hpp>

#include <cstddef>
#include <expected>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

// The name of RFC 7518 3.1 and RFC 8037 3.1.
[[nodiscard]] std::string_view name_of(signature_algorithm algorithm);

class token_keys {
 public:
  struct named_key {
    std::string id; // kid; empty: none
    signature_key key;
  };

  // Errors are one sentence. A secret is a key without an id, for HS256.
  [[nodiscard]] std::expected<void, std::string> add_secret(std::span<const std::byte> secret);
  // A text of RFC 7517 5. Keys of other types, curves, algorithms and uses are left out, as that section says; one that is meant for here and is
  // broken is an error, and so is a set in which none is left.
  [[nodiscard]] std::expected<void, std::string> add_set(std::string_view json);

  [[nodiscard]] bool knows(std::string_view id) const;
  // The key with that id (empty: the one without) and algorithm; null if there is none.
  [[nodiscard]] const signature_key* find(std::string_view id, std::string_view algorithm) const;
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

 private:
  [[nodiscard]] std::expected<void, std::string> add(std::string id, std::expected<signature_key, std::string> key);
  [[nodiscard]] std::expected<void, std::string> add_jwk(const nlohmann::json& jwk);

  std::vector<named_key> keys_;
};

} // namespace ringcast

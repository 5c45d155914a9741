#include "apps/ringcast-server/token_keys.hpp"

#include "apps/ringcast-server/base64url.hpp"
#include "apps/ringcast-server/strict_json.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

namespace ringcast {

namespace {

using nlohmann::json;

// A member that is text; empty if there is none, or it is something else.
std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::vector<std::byte> number_of(const json& jwk, const char* name) {
  return decode_base64url(text_of(jwk, name)).value_or(std::vector<std::byte>{});
}

// Which of our algorithms a key is for; none: it is for something else.
std::optional<signature_algorithm> algorithm_of(const json& jwk) {
  const std::string type = text_of(jwk, "kty"), curve = text_of(jwk, "crv"), use = text_of(jwk, "use"), wanted = text_of(jwk, "alg");
  std::optional<signature_algorithm> algorithm;
  if (type == "oct") algorithm = signature_algorithm::hmac_sha256;
  if (type == "OKP" && curve == "Ed25519") algorithm = signature_algorithm::ed25519;
  if (type == "EC" && curve == "P-256") algorithm = signature_algorithm::ecdsa_p256_sha256;
  if (type == "RSA") algorithm = signature_algorithm::rsa_pkcs1_sha256;
  if (!algorithm || (!use.empty() && use != "sig")) return std::nullopt;
  if (!wanted.empty() && wanted != name_of(*algorithm)) return std::nullopt;
  return algorithm;
}

std::expected<signature_key, std::string> make_key(signature_algorithm algorithm, const json& jwk) {
  switch (algorithm) {
  case signature_algorithm::hmac_sha256: return signature_key::hmac_sha256(number_of(jwk, "k"));
  case signature_algorithm::ed25519: return signature_key::ed25519(number_of(jwk, "x"));
  case signature_algorithm::ecdsa_p256_sha256: return signature_key::ecdsa_p256(number_of(jwk, "x"), number_of(jwk, "y"));
  case signature_algorithm::rsa_pkcs1_sha256: return signature_key::rsa(number_of(jwk, "n"), number_of(jwk, "e"));
  }
  return std::unexpected("there is no such algorithm");
}

} // namespace

std::string_view name_of(signature_algorithm algorithm) {
  switch (algorithm) {
  case signature_algorithm::hmac_sha256: return "HS256";
  case signature_algorithm::ed25519: return "EdDSA";
  case signature_algorithm::ecdsa_p256_sha256: return "ES256";
  case signature_algorithm::rsa_pkcs1_sha256: return "RS256";
  }
  return {};
}

std::expected<void, std::string> token_keys::add_secret(std::span<const std::byte> secret) { return add({}, signature_key::hmac_sha256(secret)); }

std::expected<void, std::string> token_keys::add_set(std::string_view text) {
  const auto set = parse_json_object(text);
  if (!set) return std::unexpected("this is no JSON object whose members stand there once");
  const auto keys = set->find("keys");
  if (keys == set->end() || !keys->is_array()) return std::unexpected("a JWK set has an array \"keys\" (RFC 7517 5)");
  const std::size_t before = keys_.size();
  for (const json& jwk : *keys)
    if (auto added = add_jwk(jwk); !added) return added;
  if (keys_.size() == before) return std::unexpected("no key of this set is for HS256, EdDSA with Ed25519, ES256 or RS256");
  return {};
}

std::expected<void, std::string> token_keys::add_jwk(const json& jwk) {
  if (!jwk.is_object()) return std::unexpected("a key is a JSON object");
  const auto algorithm = algorithm_of(jwk);
  if (!algorithm) return {};
  if (jwk.contains("kid") && text_of(jwk, "kid").empty()) return std::unexpected("the kid of a key is a text that is not empty");
  return add(text_of(jwk, "kid"), make_key(*algorithm, jwk));
}

std::expected<void, std::string> token_keys::add(std::string id, std::expected<signature_key, std::string> key) {
  if (!key) return std::unexpected(id.empty() ? key.error() : fmt::format("the key \"{}\": {}", id, key.error()));
  if (find(id, name_of(key->algorithm())) != nullptr)
    return std::unexpected(id.empty() ? fmt::format("two keys for {} have no kid", name_of(key->algorithm()))
                                      : fmt::format("two keys for {} have the kid \"{}\"", name_of(key->algorithm()), id));
  keys_.push_back({std::move(id), std::move(*key)});
  return {};
}

bool token_keys::knows(std::string_view id) const { return std::ranges::find(keys_, id, &named_key::id) != keys_.end(); }

const signature_key* token_keys::find(std::string_view id, std::string_view algorithm) const {
  const auto found = std::ranges::find_if(keys_, [&](const named_key& each) { return each.id == id && name_of(each.key.algorithm()) == algorithm; });
  return found == keys_.end() ? nullptr : &found->key;
}

} // namespace ringcast

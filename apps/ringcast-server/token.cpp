#include "apps/ringcast-server/token.hpp"

#include "apps/ringcast-server/base64url.hpp"
#include "apps/ringcast-server/strict_json.hpp"
#include <ringcast/names.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

namespace ringcast {

namespace {

using nlohmann::json;
using refused = std::unexpected<token_refusal>;

// The end of the year 9999: as good as never, and far from what an integer of milliseconds can hold.
constexpr double date_s_max = 253'402'300'799;

struct token_parts {
  std::string_view header, claims, signature, signed_text;
};

std::optional<token_parts> split(std::string_view token) {
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
  return token_parts{.header = token.substr(0, first),
                     .claims = token.substr(first + 1, second - first - 1),
                     .signature = token.substr(second + 1),
                     .signed_text = token.substr(0, second)};
}

std::optional<json> parse_bytes(std::span<const std::byte> bytes) {
  return parse_json_object({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// The key that this header may be signed with.
std::expected<const signature_key*, token_refusal> find_key(const json& header, const token_keys& keys) {
  // RFC 7515 4.1.11: an extension that must be understood, and none is.
  if (header.contains("crit")) return refused(token_refusal::critical);
  const auto algorithm = header.find("alg"), id = header.find("kid");
  if (algorithm == header.end() || !algorithm->is_string()) return refused(token_refusal::algorithm);
  if (id != header.end() && (!id->is_string() || id->get_ref<const std::string&>().empty())) return refused(token_refusal::unknown_key);
  const std::string_view wanted_id = id == header.end() ? std::string_view{} : std::string_view{id->get_ref<const std::string&>()};
  const auto& wanted = algorithm->get_ref<const std::string&>();
  if (wanted == "none") return refused(token_refusal::algorithm);
  if (!keys.knows(wanted_id)) return refused(token_refusal::unknown_key);
  const signature_key* const key = keys.find(wanted_id, wanted);
  if (key == nullptr) return refused(token_refusal::algorithm);
  return key;
}

// A NumericDate (RFC 7519 2), which may have a fraction. Nothing if it is none; the inner one is empty if the claim is absent.
std::optional<std::optional<std::int64_t>> date_of(const json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end()) return std::optional<std::int64_t>{};
  if (!found->is_number()) return std::nullopt;
  const double date = found->get<double>();
  if (!(date >= 0 && date <= date_s_max)) return std::nullopt;
  return std::optional{static_cast<std::int64_t>(std::floor(date))};
}

std::optional<std::vector<std::string>> patterns_of(const json& claims, const char* name) {
  std::vector<std::string> patterns;
  const auto found = claims.find(name);
  if (found == claims.end()) return patterns;
  if (!found->is_array()) return std::nullopt;
  for (const json& each : *found) {
    if (!each.is_string()) return std::nullopt;
    patterns.push_back(each.get<std::string>());
  }
  return patterns;
}

// RFC 7519 4.1.3: one text or several.
std::expected<void, token_refusal> check_audience(const json& claims, std::string_view wanted) {
  const auto found = claims.find("aud");
  if (found == claims.end()) return wanted.empty() ? std::expected<void, token_refusal>{} : refused(token_refusal::audience);
  const json all = found->is_array() ? *found : json::array({*found});
  if (!std::ranges::all_of(all, [](const json& each) { return each.is_string(); })) return refused(token_refusal::claims);
  const bool is_named = !wanted.empty() && std::ranges::any_of(all, [&](const json& each) { return each.get_ref<const std::string&>() == wanted; });
  return is_named ? std::expected<void, token_refusal>{} : refused(token_refusal::audience);
}

// The user of a token or permission. Empty where it has none; nothing if it is no name.
std::optional<std::string> subject_of(const json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end()) return std::string{};
  if (!found->is_string() || !check_member_name(found->get_ref<const std::string&>())) return std::nullopt;
  return found->get<std::string>();
}

std::expected<token_claims, token_refusal> read_claims(const json& claims, std::string_view audience, std::int64_t now_s) {
  const auto expires = date_of(claims, "exp"), begins = date_of(claims, "nbf");
  auto rooms = patterns_of(claims, "rooms"), publish = patterns_of(claims, "publish");
  auto user = subject_of(claims, "sub");
  if (!expires || !begins || !rooms || !publish || !user) return refused(token_refusal::claims);
  if (auto checked = check_audience(claims, audience); !checked) return refused(checked.error());
  // RFC 7519 4.1.4: on or after that time it is refused.
  if (*expires && now_s >= **expires + token_skew_s) return refused(token_refusal::expired);
  if (*begins && now_s < **begins - token_skew_s) return refused(token_refusal::not_yet_valid);
  return token_claims{.user = std::move(*user), .rooms = std::move(*rooms), .publish = std::move(*publish), .expires_s = *expires};
}

struct refusal_words {
  std::string_view name, sentence;
};
constexpr std::array<refusal_words, token_refusals> words{{
    {"missing", "this needs a token"},
    {"several", "there are several tokens in this request"},
    {"too_large", "the token has more than 8192 bytes"},
    {"malformed", "the token is not three parts of base64url with dots between"},
    {"json", "the header or the claims of the token are no JSON object whose members stand there once"},
    {"critical", "the token wants an extension to be understood that is not known here"},
    {"algorithm", "the token is not signed with the algorithm of its key"},
    {"unknown_key", "the key of the token is not known here"},
    {"signature", "the signature of the token is wrong"},
    {"claims", "a claim of the token has the wrong form"},
    {"audience", "the token is for another audience"},
    {"expired", "the token has expired"},
    {"not_yet_valid", "the token is not valid yet"},
    {"room", "the token does not permit this in this room"},
    {"user", "somebody else is named than the token or the certificate is of"},
    {"certificate", "the certificate names nobody who could be a user"},
}};

} // namespace

std::string_view name_of(token_refusal why) { return words[static_cast<std::size_t>(why)].name; }
std::string_view sentence_of(token_refusal why) { return words[static_cast<std::size_t>(why)].sentence; }

std::expected<token_claims, token_refusal> check_token(std::string_view token, const token_keys& keys, std::string_view audience,
                                                       std::int64_t now_s) {
  if (token.size() > token_bytes_max) return refused(token_refusal::too_large);
  const auto parts = split(token);
  if (!parts) return refused(token_refusal::malformed);
  const auto header_bytes = decode_base64url(parts->header), claim_bytes = decode_base64url(parts->claims),
             signature = decode_base64url(parts->signature);
  if (!header_bytes || !claim_bytes || !signature) return refused(token_refusal::malformed);
  const auto header = parse_bytes(*header_bytes);
  if (!header) return refused(token_refusal::json);
  const auto key = find_key(*header, keys);
  if (!key) return refused(key.error());
  if (!(*key)->verifies(std::as_bytes(std::span{parts->signed_text}), *signature)) return refused(token_refusal::signature);
  // Nothing that it claims is looked at before.
  const auto claims = parse_bytes(*claim_bytes);
  if (!claims) return refused(token_refusal::json);
  return read_claims(*claims, audience, now_s);
}

std::optional<token_claims> read_permission(std::string_view text) {
  const auto said = parse_json_object(text);
  if (!said) return std::nullopt;
  auto user = subject_of(*said, "user");
  auto rooms = patterns_of(*said, "rooms"), publish = patterns_of(*said, "publish");
  const auto expires = date_of(*said, "expires");
  if (!user || !rooms || !publish || !expires) return std::nullopt;
  return token_claims{.user = std::move(*user), .rooms = std::move(*rooms), .publish = std::move(*publish), .expires_s = *expires};
}

namespace {

bool matches_any(const std::vector<std::string>& patterns, std::string_view room) {
  return std::ranges::any_of(patterns, [&](const std::string& each) { return matches_pattern(each, room); });
}

} // namespace

bool token_claims::may_join(std::string_view room) const { return matches_any(rooms, room); }
bool token_claims::may_publish(std::string_view room) const { return matches_any(publish, room); }

// What follows a star is looked for further and further on; only the last star has to be gone back to.
bool matches_pattern(std::string_view pattern, std::string_view room) {
  std::size_t at = 0, in = 0, star = std::string_view::npos, star_at = 0;
  while (at < room.size()) {
    if (in < pattern.size() && pattern[in] == '*') {
      star = in++;
      star_at = at;
    } else if (in < pattern.size() && pattern[in] == room[at]) {
      ++in, ++at;
    } else if (star != std::string_view::npos) {
      in = star + 1;
      at = ++star_at;
    } else {
      return false;
    }
  }
  while (in < pattern.size() && pattern[in] == '*') ++in;
  return in == pattern.size();
}

} // namespace ringcast

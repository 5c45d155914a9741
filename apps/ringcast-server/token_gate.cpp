#include "apps/ringcast-server/token_gate.hpp"

#include <ringcast/names.hpp>
#include <ringcast/room_rules.hpp>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <span>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ringcast {

namespace {

// A JWK set of a hundred RSA keys has 50 KiB.
constexpr std::size_t key_file_bytes_max = 1 << 20;

std::expected<std::string, std::string> read_key_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe is none, and must not be waited for
  if (file < 0) return std::unexpected(fmt::format("{}: {}", path, std::strerror(errno)));
  std::string text(key_file_bytes_max + 1, '\0');
  std::size_t bytes = 0;
  ssize_t count = 0;
  while (bytes < text.size() && (count = ::read(file, text.data() + bytes, text.size() - bytes)) > 0) bytes += static_cast<std::size_t>(count);
  const int error = count < 0 ? errno : 0;
  ::close(file);
  if (error != 0) return std::unexpected(fmt::format("{}: {}", path, std::strerror(error)));
  if (bytes == text.size()) return std::unexpected(fmt::format("{}: a file of keys has at most {} bytes", path, key_file_bytes_max));
  text.resize(bytes);
  return text;
}

std::string_view without_line_end(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view start) {
  return text.size() >= start.size() && std::ranges::equal(text.substr(0, start.size()), start, {},
                                                           [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Where a browser's WebSocket can put it: `bearer.TOKEN`, beside the protocol that it speaks. A token has none of the characters that a
// subprotocol may not have.
constexpr std::string_view protocol_prefix = "bearer.";

void find_in_protocols(std::string_view protocols, std::vector<std::string>& found) {
  while (!protocols.empty()) {
    const std::size_t end = std::min(protocols.find(','), protocols.size());
    if (const std::string_view one = trimmed(protocols.substr(0, end)); one.starts_with(protocol_prefix))
      found.emplace_back(one.substr(protocol_prefix.size()));
    protocols.remove_prefix(std::min(end + 1, protocols.size()));
  }
}

} // namespace

std::vector<std::string> tokens_of(const http_request& request) {
  std::vector<std::string> found;
  constexpr std::string_view scheme = "bearer ";
  if (const std::string_view given = request.header("Authorization"); starts_with_ignoring_case(given, scheme))
    found.emplace_back(trimmed(given.substr(scheme.size())));
  find_in_protocols(request.header("Sec-WebSocket-Protocol"), found);
  if (auto given = request.query("token")) found.push_back(std::move(*given));
  return found;
}

bool are_claimed(const token_claims& claims, token_right right, std::string_view room) {
  switch (right) {
  case token_right::any: return true;
  case token_right::join: return claims.may_join(room);
  case token_right::publish: return claims.may_publish(room);
  }
  return false;
}

bool is_of_another_site(const http_request& request) {
  const std::string_view origin = request.header("Origin");
  const std::size_t host = origin.find("://");
  return !origin.empty() && (host == std::string_view::npos || origin.substr(host + 3) != request.header("Host"));
}

token_answer answer_of(token_refusal why) {
  constexpr std::string_view realm = "Bearer realm=\"ringcast\"";
  // RFC 6750 3.1: who brought nothing is told no error.
  if (why == token_refusal::missing) return {.status = http_status::unauthorized, .challenge = std::string{realm}};
  const auto with = [&](http_status status, std::string_view error) {
    return token_answer{.status = status, .challenge = fmt::format(R"({}, error="{}", error_description="{}")", realm, error, sentence_of(why))};
  };
  if (why == token_refusal::several) return with(http_status::bad_request, "invalid_request");
  if (why == token_refusal::room || why == token_refusal::user || why == token_refusal::certificate)
    return with(http_status::forbidden, "insufficient_scope");
  return with(http_status::unauthorized, "invalid_token");
}

std::expected<std::string, std::string> read_secret_file(const std::string& path) {
  auto text = read_key_file(path);
  if (text) text->resize(without_line_end(*text).size());
  return text;
}

std::expected<void, std::string> token_gate::load() {
  auto fresh = std::make_shared<token_keys>();
  if (!options_.hs256_key_file.empty()) {
    const auto text = read_secret_file(options_.hs256_key_file);
    if (!text) return std::unexpected(text.error());
    if (auto added = fresh->add_secret(std::as_bytes(std::span{*text})); !added)
      return std::unexpected(fmt::format("{}: {}", options_.hs256_key_file, added.error()));
  }
  if (!options_.jwks_file.empty()) {
    const auto text = read_key_file(options_.jwks_file);
    if (!text) return std::unexpected(text.error());
    if (auto added = fresh->add_set(*text); !added) return std::unexpected(fmt::format("{}: {}", options_.jwks_file, added.error()));
  }
  const std::lock_guard lock{mutex_};
  keys_ = std::move(fresh);
  return {};
}

const who_may* token_gate::rule_of(token_right right, std::string_view room) const {
  if (right == token_right::any) return nullptr;
  const auto found = std::ranges::find_if(rooms_, [&](const room_rights& each) { return matches_room_pattern(each.pattern, room); });
  if (found == rooms_.end()) return nullptr;
  const std::optional<who_may>& who = right == token_right::join ? found->join : found->publish;
  return who ? &*who : nullptr;
}

bool token_gate::permits(const token_claims& claims, token_right right, std::string_view room) const {
  const bool claimed = are_claimed(claims, right, room);
  const who_may* const rule = rule_of(right, room);
  return rule != nullptr ? rule->permits(claims, claimed) : claimed;
}

std::expected<token_gate::guest, token_refusal> token_gate::judge_without_token(token_right right, std::string_view room) const {
  const auto may = [&](token_right what) {
    const who_may* const rule = rule_of(what, room);
    return rule != nullptr ? rule->anyone : !options_.is_on();
  };
  if (may(right)) return guest{.claims = {}, .has_token = false, .may_publish = may(token_right::publish)};
  const who_may* const rule = rule_of(right, room);
  return std::unexpected(rule != nullptr && !rule->asks_for_token() ? token_refusal::room : token_refusal::missing);
}

std::expected<token_gate::guest, token_refusal> token_gate::judge(const http_request& request, token_right right, std::string_view room) {
  auto judged = judge_request(request, right, room);
  if (!judged) count(judged.error());
  return judged;
}

std::expected<token_gate::guest, token_refusal> token_gate::judge_request(const http_request& request, token_right right,
                                                                          std::string_view room) const {
  const std::optional<std::string> named = user_by_certificate(request);
  if (named && !check_member_name(*named)) return std::unexpected(token_refusal::certificate);
  const token_claims everything{
      .user = named.value_or(""), .user_by_certificate = named.has_value(), .rooms = {"*"}, .publish = {"*"}, .expires_s = {}};
  const std::vector<std::string> tokens = options_.is_on() ? tokens_of(request) : std::vector<std::string>{};
  if (tokens.empty() && request.is_admin && !is_of_another_site(request)) return guest{.claims = everything, .may_publish = true};
  if (tokens.size() > 1) return std::unexpected(token_refusal::several);
  if (tokens.empty()) {
    if (named && !options_.is_on()) return judge_claims(token_claims{everything}, right, room);
    auto judged = judge_without_token(right, room);
    if (judged && named) judged = guest{.claims = everything, .may_publish = judged->may_publish};
    return judged;
  }
  auto claims = check(tokens.front());
  if (!claims) return std::unexpected(claims.error());
  if (named && !claims->user.empty() && claims->user != *named) return std::unexpected(token_refusal::user);
  if (named) claims->user_by_certificate = std::exchange(claims->user, *named).empty();
  return judge_claims(std::move(*claims), right, room);
}

// A connection by TLS has shown a certificate: without one there is none (--tls-client-ca).
std::optional<std::string> token_gate::user_by_certificate(const http_request& request) const {
  if (options_.user_by == certificate_user::off) return std::nullopt;
  auto tls = request.tls();
  if (!tls) return std::nullopt;
  if (options_.user_by == certificate_user::subject) return std::move(tls->peer_common_name);
  return tls->peer_names.empty() ? std::string{} : std::move(tls->peer_names.front());
}

std::expected<token_gate::guest, token_refusal> token_gate::judge(std::string_view token, std::string_view room,
                                                                  std::string_view user_by_certificate) {
  auto claims = check(token);
  if (claims && claims->user.empty() && !user_by_certificate.empty()) {
    claims->user = user_by_certificate;
    claims->user_by_certificate = true;
  }
  auto judged = claims ? judge_claims(std::move(*claims), token_right::join, room) : std::unexpected(claims.error());
  if (!judged) count(judged.error());
  return judged;
}

std::expected<token_gate::guest, token_refusal> token_gate::judge_claims(token_claims&& claims, token_right right, std::string_view room) const {
  if (!permits(claims, right, room)) return std::unexpected(token_refusal::room);
  const bool may_publish = permits(claims, token_right::publish, room);
  return guest{.claims = std::move(claims), .may_publish = may_publish};
}

std::expected<token_claims, token_refusal> token_gate::check(std::string_view token) const {
  using namespace std::chrono;
  return check_token(token, *keys(), options_.audience, duration_cast<seconds>(system_clock::now().time_since_epoch()).count());
}

std::shared_ptr<const token_keys> token_gate::keys() const {
  const std::lock_guard lock{mutex_};
  return keys_;
}

} // namespace ringcast

#include "apps/ringcast-server/member.hpp"

#include "apps/ringcast-server/strict_json.hpp"
#include <ringcast/close_code.hpp>

#include <chrono>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

namespace ringcast {

namespace {

// {"token":"..."} around the largest token.
constexpr std::size_t renewal_bytes_max = token_bytes_max + 64;
constexpr std::string_view renewal_start = "{\"token\":";

// Nobody changes these.
member without_token[] = {{.gaps = false}, {.gaps = true}, {.gaps = false, .numbered = true}, {.gaps = true, .numbered = true}};

void note_claims(member& who, token_claims&& claims, std::string_view room) {
  who.has_token = true;
  who.may_publish = claims.may_publish(room);
  who.user = std::move(claims.user);
  who.user_by_certificate = claims.user_by_certificate;
  who.expires_s = claims.expires_s;
}

// The token in a text of {"token":"..."} and nothing else.
std::expected<std::string, token_refusal> read_renewal(std::string_view text) {
  if (text.size() > renewal_bytes_max) return std::unexpected(token_refusal::too_large);
  const auto parsed = parse_json_object(text);
  if (!parsed || parsed->size() != 1 || !parsed->begin()->is_string()) return std::unexpected(token_refusal::malformed);
  return parsed->begin()->get<std::string>();
}

// A connection stays whose it is.
std::expected<token_claims, token_refusal> judge_renewal(token_gate& gate, std::string_view text, std::string_view room, const member& who) {
  const auto token = read_renewal(text);
  if (!token) return gate.count(token.error()), std::unexpected(token.error());
  auto claims = gate.judge(*token, room);
  if (claims && claims->user.empty() && who.user_by_certificate) {
    claims->user = who.user;
    claims->user_by_certificate = true;
  }
  if (claims && claims->user != who.user) return gate.count(token_refusal::claims), std::unexpected(token_refusal::claims);
  return claims;
}

void refuse(upgrade_request_view& upgrade, token_refusal why) {
  const token_answer answer = answer_of(why);
  upgrade.add_header("WWW-Authenticate", answer.challenge);
  upgrade.refuse(answer.status, sentence_of(why));
}

void renew(token_gate& gate, websocket_ref ws, member& who, std::string_view text) {
  const std::string* const room = ws.room_name();
  if (room == nullptr) return; // it is leaving
  auto claims = judge_renewal(gate, text, *room, who);
  if (!claims) return ws.close(token_over, sentence_of(claims.error()));
  note_claims(who, std::move(*claims), *room);
  close_at_expiry(ws, who);
  ws.send_text(who.expires_s ? fmt::format(R"({{"token":{{"expires":{}}}}})", *who.expires_s) : R"({"token":{"expires":null}})");
}

} // namespace

void* keep_member(const member& wanted) {
  if (!wanted.has_token) return &without_token[(wanted.gaps ? 1 : 0) + (wanted.numbered ? 2 : 0)];
  return new member(wanted);
}

void drop_member(void* kept) {
  if (auto* who = static_cast<member*>(kept); who != nullptr && who->has_token) delete who;
}

std::optional<std::string> own_name(const shared_gate& gate, upgrade_request_view& upgrade, const member& who,
                                    const std::optional<std::string>& asked) {
  if (who.user.empty()) return asked.value_or("");
  if (!asked || *asked == who.user) return who.user;
  gate->count(token_refusal::user);
  refuse(upgrade, token_refusal::user);
  return std::nullopt;
}

bool let_in(const shared_gate& gate, upgrade_request_view& upgrade, token_right right, member& who) {
  if (gate == nullptr || !gate->asks(upgrade.request())) return true;
  const std::string_view room = upgrade.request().parameter("room");
  auto claims = gate->judge(upgrade.request(), right, room);
  if (claims) {
    note_claims(who, std::move(*claims), room);
    return true;
  }
  refuse(upgrade, claims.error());
  return false;
}

bool let_in(const shared_gate& gate, const http_request& request, token_right right, http_responder responder) {
  if (gate == nullptr || !gate->asks(request)) return true;
  const auto claims = gate->judge(request, right, request.parameter("room"));
  if (claims) return true;
  const token_answer answer = answer_of(claims.error());
  responder.respond(answer.status, "application/json", json_error(sentence_of(claims.error())), "WWW-Authenticate: " + answer.challenge + "\r\n");
  return false;
}

// One that was accepted because clocks differ is over when it would not be accepted any more.
void close_at_expiry(websocket_ref ws, const member& who) {
  if (!who.expires_s) return ws.keep_open();
  using namespace std::chrono;
  const system_clock::duration now = system_clock::now().time_since_epoch();
  const seconds expires{*who.expires_s};
  const auto end = expires > now ? expires : expires + seconds{token_skew_s};
  ws.close_after(ceil<milliseconds>(end - now), token_over, sentence_of(token_refusal::expired));
}

bool is_for_room(token_gate& gate, websocket_ref ws, member& who, const message_view& message) {
  if (who.numbered && gate.wants_tokens() && message.op == opcode::text && message.text().starts_with(renewal_start)) {
    renew(gate, ws, who, message.text());
    return false;
  }
  if (who.may_publish) return true;
  gate.count(token_refusal::room);
  ws.close(static_cast<std::uint16_t>(close_code::policy_violation), sentence_of(token_refusal::room));
  return false;
}

} // namespace ringcast

#include "apps/ringcast-server/member.hpp"

#include "apps/ringcast-server/strict_json.hpp"
#include <ringcast/close_code.hpp>
#include <ringcast/deferred_request.hpp>

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
member without_token[] = {{.may_publish = false},
                          {.gaps = true, .may_publish = false},
                          {.numbered = true, .may_publish = false},
                          {.gaps = true, .numbered = true, .may_publish = false},
                          {},
                          {.gaps = true},
                          {.numbered = true},
                          {.gaps = true, .numbered = true}};

// The token in a text of {"token":"..."} and nothing else.
std::expected<std::string, token_refusal> read_renewal(std::string_view text) {
  if (text.size() > renewal_bytes_max) return std::unexpected(token_refusal::too_large);
  const auto parsed = parse_json_object(text);
  if (!parsed || parsed->size() != 1 || !parsed->begin()->is_string()) return std::unexpected(token_refusal::malformed);
  return parsed->begin()->get<std::string>();
}

// A connection stays whose it is.
std::expected<token_gate::guest, token_refusal> judge_renewal(token_gate& gate, std::string_view text, std::string_view room, const member& who) {
  const auto token = read_renewal(text);
  if (!token) return gate.count(token.error()), std::unexpected(token.error());
  auto judged = gate.judge(*token, room, who.user_by_certificate ? who.user : std::string{});
  if (judged && judged->claims.user != who.user) return gate.count(token_refusal::claims), std::unexpected(token_refusal::claims);
  return judged;
}

void renew(token_gate& gate, websocket_ref ws, member& who, std::string_view text) {
  const std::string* const room = ws.room_name();
  if (room == nullptr) return; // it is leaving
  auto judged = judge_renewal(gate, text, *room, who);
  if (!judged) return ws.close(token_over, sentence_of(judged.error()));
  note_guest(who, std::move(*judged));
  close_at_expiry(ws, who);
  ws.send_text(who.expires_s ? fmt::format(R"({{"token":{{"expires":{}}}}})", *who.expires_s) : R"({"token":{"expires":null}})");
}

} // namespace

void note_claims(member& who, token_claims&& claims, std::string_view room) {
  const bool may_publish = claims.may_publish(room);
  note_guest(who, {.claims = std::move(claims), .may_publish = may_publish});
}

void note_guest(member& who, token_gate::guest&& came) {
  who.has_token = came.has_token;
  who.may_publish = came.may_publish;
  who.user = std::move(came.claims.user);
  who.user_by_certificate = came.claims.user_by_certificate;
  who.expires_s = came.claims.expires_s;
}

void keep_member(upgrade_request_view& upgrade, const member& wanted) {
  if (auto* const given = static_cast<member*>(user_of(upgrade)))
    *given = wanted;
  else
    upgrade.set_user(wanted.has_token || wanted.is_told
                         ? new member(wanted)
                         : &without_token[(wanted.gaps ? 1 : 0) + (wanted.numbered ? 2 : 0) + (wanted.may_publish ? 4 : 0)]);
}

void drop_member(void* kept) {
  if (auto* who = static_cast<member*>(kept); who != nullptr && (who->has_token || who->is_told)) delete who;
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

bool is_for_room(const shared_gate& gate, websocket_ref ws, member& who, const message_view& message) {
  if (gate != nullptr && gate->wants_tokens() && who.has_token && who.numbered && message.op == opcode::text && message.text().starts_with(renewal_start)) {
    renew(*gate, ws, who, message.text());
    return false;
  }
  if (who.may_publish) return true;
  if (gate != nullptr) gate->count(token_refusal::room);
  ws.close(static_cast<std::uint16_t>(close_code::policy_violation), sentence_of(token_refusal::room));
  return false;
}

} // namespace ringcast

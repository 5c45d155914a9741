#include "apps/ringcast-server/doors.hpp"

#include <ringcast/spawn.hpp>

#include <source_location>
#include <utility>

namespace ringcast {

namespace {

constexpr std::string_view challenge = "Bearer realm=\"ringcast\""; // RFC 9110 11.6.1: a 401 has one

// Refuses by what its upgrade was begun with, so that it is counted and logged as every refusal of an endpoint.
const websocket_endpoint refusing{.on_upgrade =
                                      [](upgrade_request_view& upgrade) {
                                        const auto& said = *static_cast<const application_verdict*>(user_of(upgrade));
                                        if (said.status == http_status::unauthorized) upgrade.add_header("WWW-Authenticate", challenge);
                                        upgrade.refuse(said.status, said.why);
                                      },
                                  .event_streams = true};

task<void> ask_then_upgrade(application_gate& gate, deferred_request received, const websocket_endpoint& to, token_right right) {
  application_verdict said = co_await gate.judge(received, right);
  if (!said.is_permitted()) co_return received.upgrade(refusing, &said);
  auto* const who = new member;
  note_claims(*who, std::move(said.claims), received.view().parameter("room"));
  received.upgrade(to, who);
}

task<void> ask_then_hand_on(application_gate& gate, deferred_request received, const http_handler& to, token_right right) {
  const application_verdict said = co_await gate.judge(received, right);
  if (said.is_permitted()) co_return received.hand_on(to);
  const std::string headers = said.status == http_status::unauthorized ? "WWW-Authenticate: " + std::string{challenge} + "\r\n" : std::string{};
  received.respond(said.status, "application/json", json_error(said.why), headers);
}

void refuse(upgrade_request_view& upgrade, token_refusal why) {
  const token_answer answer = answer_of(why);
  upgrade.add_header("WWW-Authenticate", answer.challenge);
  upgrade.refuse(answer.status, sentence_of(why));
}

bool let_in(const shared_gate& gate, const http_request& request, token_right right, http_responder responder) {
  const auto judged = gate->judge(request, right, request.parameter("room"));
  if (judged) return true;
  const token_answer answer = answer_of(judged.error());
  responder.respond(answer.status, "application/json", json_error(sentence_of(judged.error())), "WWW-Authenticate: " + answer.challenge + "\r\n");
  return false;
}

} // namespace

void add_behind(routes_below& to, std::string_view pattern, websocket_endpoint endpoint, const doors& by, token_right right) {
  endpoint = told_to(by.ledger, std::move(endpoint));
  if (by.application == nullptr) return to.add(pattern, std::move(endpoint));
  endpoint.registered_at = std::source_location::current();
  // There as long as the routes are, which is longer than any coroutine and connection.
  to.add("GET", pattern,
         [gate = by.application, kept = std::make_shared<const websocket_endpoint>(std::move(endpoint)),
          right](const http_request& request, http_responder responder) { spawn(ask_then_upgrade(*gate, {request, responder}, *kept, right)); });
}

http_handler behind(const doors& by, token_right right, http_handler handler) {
  if (by.application != nullptr)
    return [gate = by.application, kept = std::make_shared<const http_handler>(std::move(handler)),
            right](const http_request& request, http_responder responder) { spawn(ask_then_hand_on(*gate, {request, responder}, *kept, right)); };
  if (by.gate == nullptr) return handler;
  return [gate = by.gate, handler = std::move(handler), right](const http_request& request, http_responder responder) {
    if (let_in(gate, request, right, responder)) handler(request, responder);
  };
}

bool let_in(const doors& by, upgrade_request_view& upgrade, token_right right, member& who) {
  const std::string_view room = upgrade.request().parameter("room");
  if (by.application != nullptr) {
    who = *static_cast<const member*>(user_of(upgrade));
  } else if (by.gate != nullptr) {
    auto came = by.gate->judge(upgrade.request(), right, room);
    if (!came) return refuse(upgrade, came.error()), false;
    note_guest(who, std::move(*came));
  }
  if (by.ledger != nullptr) who.is_told = true, who.room = room, who.address = upgrade.request().peer.text();
  return true;
}

std::optional<std::string> own_name(const doors& by, upgrade_request_view& upgrade, const member& who, const std::optional<std::string>& asked) {
  if (who.user.empty() || by.application != nullptr) return asked.value_or(who.user);
  if (!asked || *asked == who.user) return who.user;
  if (by.gate != nullptr) by.gate->count(token_refusal::user);
  refuse(upgrade, token_refusal::user);
  return std::nullopt;
}

} // namespace ringcast

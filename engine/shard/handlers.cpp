#include "engine/shard/handlers.hpp"
#include "engine/connection/handle_access.hpp"

#include "engine/base/log.hpp"
#include "engine/shard/http_router.hpp"
#include "engine/shard/shard.hpp"
#include <ringcast/detail/clock.hpp>

#include <exception>
#include <utility>

namespace ringcast::engine {

// --- the rule ---

template <class Call> bool handlers::call(connection_handle who, std::string_view what, const std::source_location& where, Call&& callback) {
  const connection_handle before = std::exchange(running_, who);
  const std::uint64_t began_ns = watch_ != nullptr ? now_ns() : 0;
  bool done = false;
  try {
    callback();
    done = true;
  } catch (...) {
    on_thrown(who, what, where);
  }
  if (watch_ != nullptr) [[unlikely]]
    watch_->look(what, where, began_ns);
  running_ = before;
  return done;
}

void handlers::log_thrown(std::string_view what, const std::source_location& where) {
  shard_.count_failed_handler();
  const std::string place = where.line() == 0 ? std::string{"of the library"} : fmt::format("registered at {}:{}", where.file_name(), where.line());
  try {
    throw;
  } catch (const std::exception& thrown) {
    log_error("{} {} threw: {}", what, place, thrown.what());
  } catch (...) {
    log_error("{} {} threw something that is not a std::exception", what, place);
  }
}

void handlers::on_thrown(connection_handle who, std::string_view what, const std::source_location& where) {
  log_thrown(what, where);
  connection* c = shard_.find(who);
  if (c == nullptr) return;
  if (c->phase == connection_phase::http)
    shard_.http().fail_request(*c);
  else
    shard_.websockets().close(*c, static_cast<std::uint16_t>(close_code::internal_error), "the handler failed");
}

// --- told where it is read ---

void handlers::message(connection& c, const message_view& view) {
  const websocket_endpoint& to = *c.endpoint;
  if (to.on_message) call(shard_.handle_of(c), "on_message", to.registered_at, [&] { to.on_message(handle_access::ref(shard_, c), view); });
}

void handlers::control(connection& c, opcode op, std::span<const std::byte> payload) {
  const websocket_endpoint& to = *c.endpoint;
  if (to.on_control) call(shard_.handle_of(c), "on_control", to.registered_at, [&] { to.on_control(handle_access::ref(shard_, c), op, payload); });
}

void handlers::request(connection& c, const route& to, const http_request& received) {
  const connection_handle who = shard_.handle_of(c);
  call(who, "the handler", to.registered_at, [&] { to.handler(received, handle_access::responder(shard_, who)); });
}

bool handlers::upgrade(connection& c, const websocket_endpoint& endpoint, upgrade_request_view& decision) {
  return !endpoint.on_upgrade || call(shard_.handle_of(c), "on_upgrade", endpoint.registered_at, [&] { endpoint.on_upgrade(decision); });
}

void handlers::going_away(connection& c, std::chrono::milliseconds retry_after) {
  const websocket_endpoint& to = *c.endpoint;
  if (!to.on_going_away) return;
  call(shard_.handle_of(c), "on_going_away", to.registered_at, [&] { to.on_going_away(handle_access::ref(shard_, c), retry_after); });
}

void handlers::access(const access_taker& taker, const access_entry& told) {
  call({}, "on_access", {}, [&] { taker(told); });
}

void handlers::internal_closed(connection& c, std::string_view reason) { c.endpoint->on_close(handle_access::ref(shard_, c), c.close_code, reason); }

void handlers::internal_drained(connection& c) { c.endpoint->on_drain(handle_access::ref(shard_, c)); }

// --- noted ---

void handlers::note(connection& c, user_event what) {
  if (c.untold == 0) untold_.push_back(shard_.handle_of(c));
  c.untold |= static_cast<std::uint8_t>(what);
}

void handlers::note_closed(connection& c, std::string_view reason) {
  if (!reason.empty()) words_[c.slot].reason = reason;
  note(c, user_event::closed);
}

void handlers::note_violation(connection& c, violation broken) {
  words_[c.slot].broken = broken;
  note(c, user_event::closing);
}

void handlers::note_attempt_failed(connection& c, const client_error& error) {
  last_words& words = words_[c.slot];
  words.reason = error.text;
  words.error = error;
  note(c, user_event::attempt_failed);
}

void handlers::note_discarded(const websocket_endpoint& endpoint, void* user) {
  if (user == nullptr || !endpoint.on_discard) return;
  calls_.push_back({[&endpoint, user] { endpoint.on_discard(user); }, {}, "on_discard", endpoint.registered_at});
}

void handlers::note_answer(std::function<void()> call, connection_handle asked_by, const std::source_location& where) {
  calls_.push_back({std::move(call), asked_by, "the callback of a question", where});
}

// A member that does not listen to such notices learns from its connection that what it said was not published.
void handlers::note_cluster(connection_handle who, const std::string& room, cluster_state what) {
  connection* const member = shard_.find(who);
  if (member == nullptr) return;
  const auto tell = [this, who, room, what] {
    connection* const c = shard_.find(who);
    if (c == nullptr || !c->is_open_websocket()) return;
    if (c->endpoint->on_cluster)
      c->endpoint->on_cluster(handle_access::ref(shard_, *c), room, what);
    else if (what == cluster_state::refused)
      shard_.websockets().close(*c, static_cast<std::uint16_t>(close_code::try_again_later), "what was said could not be published");
  };
  calls_.push_back({tell, who, "on_cluster", member->endpoint == nullptr ? std::source_location{} : member->endpoint->registered_at});
}

void handlers::note_posted(std::function<void()> call, const std::source_location& where) {
  calls_.push_back({std::move(call), {}, "the function", where});
}

// --- told ---

// Also what the callbacks make happen meanwhile. It ends, because each kind happens to a connection once, or needs a completion.
void handlers::run() {
  if (!undecided_.empty()) untold_.insert(untold_.end(), undecided_.begin(), undecided_.end());
  undecided_.clear();
  while (has_untold()) {
    for (std::size_t i = 0; i < untold_.size(); ++i) tell(untold_[i]);
    untold_.clear();
    calling_.swap(calls_);
    for (waiting_call& next : calling_) call(next.asked_by, next.what, next.where, next.call);
    calling_.clear();
  }
}

void handlers::tell(connection_handle who) {
  connection* const found = shard_.find(who);
  if (found == nullptr) return;
  connection& c = *found; // not released while something is untold
  const auto take = [&c](user_event what) {
    if (!is_untold(c, what)) return false;
    c.untold &= static_cast<std::uint8_t>(~static_cast<std::uint8_t>(what));
    return true;
  };
  while (c.untold != 0) {
    // Of a client that has let go meanwhile the endpoint is another one, which hears nothing.
    const websocket_endpoint* to = c.endpoint;
    if (take(user_event::opened)) {
      if (to->on_open) call(who, "on_open", to->registered_at, [&] { to->on_open(handle_access::ref(shard_, c)); });
      shard_.rooms().tell_users(c);
      shard_.input().begin(c);
    } else if (take(user_event::gap)) {
      tell_gap(c);
    } else if (take(user_event::dropped)) {
      tell_dropped(c);
    } else if (take(user_event::drained)) {
      if (c.is_open_websocket() && to->on_drain) call(who, "on_drain", to->registered_at, [&] { to->on_drain(handle_access::ref(shard_, c)); });
    } else if (is_untold(c, user_event::leaving)) {
      // It is set until the seats are gone, so that closing here does not tell it again.
      if (c.memberships != nullptr && to->on_leave) call(who, "on_leave", to->registered_at, [&] { to->on_leave(handle_access::ref(shard_, c)); });
      shard_.rooms().leave_all(c);
      take(user_event::leaving);
    } else if (take(user_event::closing)) {
      const auto words = words_.find(c.slot);
      shard_.websockets().say_close(c, words == words_.end() ? violation::none : words->second.broken);
    } else if (must_wait(c)) {
      undecided_.push_back(who);
      return;
    } else if (take(user_event::closed)) {
      tell_closed(c);
    } else if (take(user_event::attempt_failed)) {
      tell_attempt_failed(c);
    }
  }
  if (c.phase == connection_phase::ending) shard_.closing().release_if_done(c);
}

// Its output has stopped in front of the gap, and goes on behind what is said here.
void handlers::tell_gap(connection& c) {
  const websocket_endpoint& to = *c.endpoint;
  const auto told = shard_.output().take_gap(c);
  if (told && c.is_open_websocket()) {
    if (told->anew.epoch != 0 && to.on_reset)
      call(shard_.handle_of(c), "on_reset", to.registered_at, [&] { to.on_reset(handle_access::ref(shard_, c), told->anew); });
    else if (told->anew.epoch == 0 && to.on_gap)
      call(shard_.handle_of(c), "on_gap", to.registered_at, [&] { to.on_gap(handle_access::ref(shard_, c), told->first, told->last); });
  }
  shard_.output().go_on(c);
}

void handlers::tell_dropped(connection& c) {
  const websocket_endpoint& to = *c.endpoint;
  const std::uint64_t messages = shard_.rates().take_dropped(c);
  if (messages > 0 && c.is_open_websocket() && to.on_dropped)
    call(shard_.handle_of(c), "on_dropped", to.registered_at, [&] { to.on_dropped(handle_access::ref(shard_, c), messages); });
}

// A client's end tells what TCP took. That is known in the turn behind the last flush, or by a completion that comes.
bool handlers::must_wait(const connection& c) const { return c.is_client && is_untold(c, user_event::closed) && outbox::is_undecided(c); }

void handlers::tell_closed(connection& c) {
  const auto found = words_.extract(c.slot);
  const std::string_view reason = found.empty() ? std::string_view{} : found.mapped().reason;
  const websocket_endpoint& to = *c.endpoint;
  const std::uint16_t code = c.close_code;
  const auto [link, clean] = c.is_client ? shard_.seats().take_link(c) : std::pair<client_link*, bool>{};
  if (to.on_close) call(shard_.handle_of(c), "on_close", to.registered_at, [&] { to.on_close(handle_access::ref(shard_, c), code, reason); });
  // A client catches what its callbacks throw, because it has someone to tell.
  if (link != nullptr) link->on_link_closed(code, reason, clean, shard_.output().taken_bytes(c));
}

void handlers::tell_attempt_failed(connection& c) {
  const auto found = words_.extract(c.slot);
  client_link* const link = shard_.seats().take_link(c).first;
  if (link == nullptr || found.empty()) return;
  client_error error = found.mapped().error;
  error.text = found.mapped().reason;
  link->on_attempt_failed(shard_.handle_of(c), error);
}

} // namespace ringcast::engine

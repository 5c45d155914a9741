// The side of a client that lives on its shard: attempts to connect, the open connection, the end of it, and the events. The way of its messages
// is in client_queue.cpp.
#include "engine/base/log.hpp"
#include "engine/client/client_core.hpp"
#include "engine/client/client_host.hpp"
#include "engine/shard/shard.hpp"
#include <ringcast/close_code.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <string>
#include <utility>

namespace ringcast::engine {

namespace {

// RFC 8305 5 and 8: never below 10 ms, and 2 s is the most that it recommends.
std::uint64_t attempt_delay_ms(std::chrono::milliseconds asked) {
  return static_cast<std::uint64_t>(std::clamp<std::chrono::milliseconds::rep>(asked.count(), 10, 2'000));
}
// Attempts of one client at the same time. A name with more addresses than this that are all silent is no name of a server that works, and a
// crowd of clients must not run out of descriptors over it.
constexpr std::size_t racing_max = 16;

// Codes by which a server says that it is the server's own trouble and not the end of the conversation (RFC 6455 7.4.1, IANA).
bool invites_to_return(std::uint16_t code) {
  switch (static_cast<close_code>(code)) {
  case close_code::going_away:
  case close_code::internal_error:
  case close_code::service_restart:
  case close_code::try_again_later:
  case close_code::bad_gateway: return true;
  default: return false;
  }
}

} // namespace

const websocket_endpoint& client_core::event_endpoint() {
  static const auto core = [](websocket_ref ws) -> client_core& { return *static_cast<client_core*>(ws.user()); };
  static const websocket_endpoint endpoint{
      .on_open = [](websocket_ref ws) { core(ws).on_open(); },
      .on_message = [](websocket_ref ws, const message_view& message) { core(ws).on_message(message); },
      .on_drain = [](websocket_ref ws) { core(ws).hand_over_waiting(false); },
      .on_control = [](websocket_ref ws, opcode op, std::span<const std::byte> payload) { core(ws).on_control(op, payload); }};
  return endpoint;
}

client_core& client_core::of_timer(timer_node& node) { return *static_cast<client_timer&>(node).owner; }

// --- events ---

// Calls a user's callback unless the client was stopped; exceptions pass.
template <class Call> void client_core::emit(Call&& call) {
  struct guard {
    client_core& c;
    explicit guard(client_core& core) : c(core) { c.in_event_.store(true, std::memory_order_seq_cst); }
    ~guard() {
      c.in_event_.store(false, std::memory_order_seq_cst);
      if (c.muted_.load(std::memory_order_seq_cst)) c.in_event_.notify_all();
    }
  } running{*this};
  if (!muted_.load(std::memory_order_seq_cst)) call();
}

// Calls one of them. Whatever it throws, the user hears of it, and the connection that there may be is closed.
template <class Callback, class... Values> void client_core::tell(std::string_view what, const Callback& callback, Values&&... values) {
  if (!callback) return;
  try {
    emit([&] { callback(std::forward<Values>(values)...); });
  } catch (...) {
    home_->owner().user_code().log_thrown(what, callback.where);
    tell_thrown();
    if (step_ != step::open) return;
    shard& own = home_->owner();
    if (connection* c = own.find(connection_)) own.close_websocket(*c, static_cast<std::uint16_t>(close_code::internal_error), "a callback failed");
  }
}

// Inside a handler of exceptions.
void client_core::tell_thrown() {
  std::string why = "a callback threw something that is not a std::exception";
  try {
    throw;
  } catch (const std::exception& thrown) {
    why = fmt::format("a callback threw: {}", thrown.what());
  } catch (...) {
  }
  tell_error({.kind = client_error_kind::handler, .text = why});
}

// What on_error throws itself is nobody else's to hear.
void client_core::tell_error(const client_error& error) {
  if (!events_.on_error) return;
  try {
    emit([&] { events_.on_error(error); });
  } catch (...) {
    home_->owner().user_code().log_thrown("on_error", events_.on_error.where);
  }
}

// --- attempts ---

void client_core::begin_connecting() {
  if (step_ == step::closing) {
    reopen_ = true;
    return;
  }
  if (step_ != step::idle) return;
  reopen_ = false;
  ever_open_ = false;
  backoff_.reset();
  set_state(client_state::connecting);
  begin_attempt();
}

void client_core::begin_attempt() {
  if (home_->owner().is_stopping()) return finish_closed(static_cast<std::uint16_t>(close_code::going_away), "the client's loop is ending", false);
  const std::uint64_t now = home_->owner().turn_ms();
  const auto timeout_ms = static_cast<std::uint64_t>(std::max<std::chrono::milliseconds::rep>(options_.connect_timeout.count(), 1));
  ++attempt_;
  attempt_deadline_ms_ = now + timeout_ms;
  if (resume_) plan_.target = resume_->target();
  addresses_.clear();
  next_address_ = 0;
  if (const auto numeric = numeric_address(connect_host_, connect_port_)) {
    addresses_.push_back(*numeric);
    return try_next_address();
  }
  step_ = step::resolving;
  arm_timer(attempt_deadline_ms_);
  resolve(connect_host_, connect_port_,
          [self = shared_from_this(), attempt = attempt_](const resolved_name& answer) { self->on_resolved(attempt, answer); });
}

// RFC 8305 5. The addresses are in the order of their preference, the families taking turns (resolver.hpp).
void client_core::try_next_address() {
  cancel_timer();
  step_ = step::connecting;
  int failed = 0;
  while (may_try_another()) {
    const auto begun = home_->owner().connecting().connect(*this, addresses_[next_address_++], attempt_deadline_ms_);
    if (!begun) {
      failed = begun.error();
      continue;
    }
    racing_.push_back(*begun);
    if (may_try_another()) arm_timer(home_->owner().turn_ms() + attempt_delay_ms(options_.attempt_delay));
    return;
  }
  if (!racing_.empty()) return;
  if (failed != 0) return attempt_failed({.kind = client_error_kind::connect, .text = std::strerror(failed)});
  attempt_failed({.kind = client_error_kind::timed_out, .text = "the host's name was not found in time"});
}

bool client_core::may_try_another() const {
  shard& own = home_->owner();
  return next_address_ < addresses_.size() && racing_.size() < racing_max && own.turn_ms() < attempt_deadline_ms_ && !own.is_stopping();
}

// The race is decided where the connect completes, so that no second one goes on to TLS and the upgrade.
void client_core::on_connected(connection_handle attempt) {
  cancel_timer();
  std::erase(racing_, attempt);
  let_go(static_cast<std::uint16_t>(close_code::going_away), {});
  connection_ = attempt;
  addresses_.clear();
  next_address_ = 0;
}

void client_core::on_attempt_failed(connection_handle attempt, const client_error& error) {
  if (attempt == connection_) {
    connection_ = {};
    return attempt_failed(error);
  }
  std::erase(racing_, attempt);
  if (may_try_another()) return try_next_address();
  if (racing_.empty()) attempt_failed(error);
}

// Of what there is: the attempts that race, or the connection. An attempt that is under way is cancelled, and its socket closed when that is done.
void client_core::let_go(std::uint16_t code, std::string_view reason) {
  for (const connection_handle attempt : std::exchange(racing_, {})) home_->owner().connecting().let_go(attempt, code, reason);
  home_->owner().connecting().let_go(std::exchange(connection_, {}), code, reason);
}

void client_core::attempt_failed(const client_error& error) {
  cancel_timer();
  step_ = step::idle;
  tell_error(error);
  try_again_or_close(error.retry_after, !error.is_fatal, static_cast<std::uint16_t>(close_code::abnormal), error.text, false);
}

void client_core::try_again_or_close(std::chrono::milliseconds at_least, bool may, std::uint16_t code, std::string_view reason, bool clean,
                                     backoff::from lowest) {
  std::optional<std::chrono::milliseconds> delay;
  if (may && !home_->owner().is_stopping()) delay = backoff_.next(std::min(at_least, options_.retry_after_max), lowest);
  if (!delay) return finish_closed(code, reason, clean);
  step_ = step::waiting;
  set_state(client_state::reconnecting);
  arm_timer(home_->owner().turn_ms() + static_cast<std::uint64_t>(delay->count()));
  tell("on_reconnecting", events_.on_reconnecting, backoff_.attempts(), *delay);
}

void client_core::on_timer() {
  if (step_ == step::waiting) return begin_attempt();
  if (step_ == step::connecting) return try_next_address();
  if (step_ == step::resolving) attempt_failed({.kind = client_error_kind::timed_out, .text = "the host's name was not found in time"});
}

// --- the open connection and its end ---

void client_core::on_accepted(std::string_view subprotocol) {
  step_ = step::open;
  backed_up_ = false;
  opened_ms_ = home_->owner().turn_ms();
  brought_message_ = false;
  retry_after_ = {};
  if (resume_) resume_->on_open();
  const std::lock_guard lock(lock_);
  subprotocol_ = subprotocol;
  // A disconnect() that waits in the queue has already said what the state is.
  if (state_.load(std::memory_order_relaxed) != client_state::closing && !stopped_) set_state_locked(client_state::open);
}

void client_core::on_open() {
  // What was sent earlier stands in front of what the callback sends.
  hand_over_waiting(false);
  if (!std::exchange(ever_open_, true)) {
    return tell("on_open", events_.on_open);
  }
  reconnected_.fetch_add(1, std::memory_order_relaxed);
  tell("on_reconnected", events_.on_reconnected);
}

void client_core::on_message(const message_view& message) { resume_ ? on_numbered(message) : tell_message(message); }

void client_core::on_numbered(const message_view& message) {
  const room_resume::taken got = resume_->take(message.op, message.payload);
  switch (got.what) {
  case room_resume::kind::going_away: retry_after_ = got.retry_after; return;
  case room_resume::kind::joined:
  case room_resume::kind::repeated: return;
  case room_resume::kind::resumed: return tell("on_resumed", events_.on_resumed, got.heard, got.newest);
  case room_resume::kind::gap: return tell("on_gap", events_.on_gap, got.heard, got.newest);
  case room_resume::kind::message_behind_gap: tell("on_gap", events_.on_gap, got.heard, got.newest); break;
  case room_resume::kind::message: break;
  case room_resume::kind::broken: return refuse_unnumbered();
  }
  message_view bare = message;
  bare.payload = message.payload.subspan(got.head_bytes);
  tell_message(bare);
}

// It cannot be gone on from: what was heard would not be known.
void client_core::refuse_unnumbered() {
  tell_error({.kind = client_error_kind::bad_handshake, .text = "the server does not number its messages, which client_options::resume needs"});
  shard& own = home_->owner();
  connection* const c = own.find(connection_);
  if (c != nullptr && step_ == step::open)
    own.close_websocket(*c, static_cast<std::uint16_t>(close_code::protocol_error), "a message without its number");
}

void client_core::tell_message(const message_view& message) {
  received_.fetch_add(1, std::memory_order_relaxed);
  brought_message_ = true;
  tell("on_message", events_.on_message, message);
}

void client_core::on_control(opcode op, std::span<const std::byte> payload) { tell("on_control", events_.on_control, op, payload); }

void client_core::on_ending() {
  if (step_ == step::open) hand_over_waiting(true);
}

void client_core::on_link_closed(std::uint16_t code, std::string_view reason, bool clean, std::uint64_t taken) {
  connection_ = {};
  const unsent_messages unsent = count_unsent(taken);
  const bool ours = step_ == step::closing;
  // Our own Close frame says nothing about how it ended when none came back (RFC 6455 7.1.5).
  if (ours && !clean) code = static_cast<std::uint16_t>(close_code::abnormal);
  step_ = step::idle;
  tell("on_disconnected", events_.on_disconnected, code, reason, unsent);
  // A server that accepts and ends at once is no success, and one that has no room now is not served by coming back soon.
  const bool later = clean && code == static_cast<std::uint16_t>(close_code::try_again_later);
  const bool lived = home_->owner().turn_ms() - opened_ms_ >=
                     static_cast<std::uint64_t>(std::max<std::chrono::milliseconds::rep>(options_.reconnect.reset_after.count(), 0));
  if (lived || (brought_message_ && !later)) backoff_.reset();
  try_again_or_close(retry_after_, !ours && (!clean || invites_to_return(code)), code, reason, clean,
                     later ? backoff::from::initial_delay : backoff::from::zero);
}

void client_core::begin_disconnecting(std::uint16_t code, std::string_view reason) {
  switch (step_) {
  case step::idle:
    // The state was set when disconnect() was called, and nothing is left that would change it.
    return set_state(client_state::closed);
  case step::closing: reopen_ = false; return;
  case step::resolving:
  case step::connecting:
  case step::waiting:
    cancel_timer();
    ++attempt_; // an answer to the name comes too late
    step_ = step::idle;
    let_go(code, reason);
    return finish_closed(static_cast<std::uint16_t>(close_code::abnormal), "disconnected before the connection was open", false);
  case step::open: break;
  }
  hand_over_waiting(true);
  step_ = step::closing;
  set_state(client_state::closing);
  shard& own = home_->owner();
  if (connection* c = own.find(connection_)) own.close_websocket(*c, code, reason);
}

void client_core::finish_closed(std::uint16_t code, std::string_view reason, bool clean) {
  step_ = step::idle;
  drop_waiting();
  if (!std::exchange(reopen_, false)) {
    set_state(client_state::closed);
    return tell("on_close", events_.on_close, code, reason, clean);
  }
  tell("on_close", events_.on_close, code, reason, clean);
  begin_connecting();
}

// --- where it lives ---

// stop(): nobody is told anything any more.
void client_core::detach() {
  const std::shared_ptr<client_core> self = leave_host();
  let_go(static_cast<std::uint16_t>(close_code::going_away), {});
}

void client_core::host_is_gone() {
  const bool was_idle = step_ == step::idle && state() == client_state::closed;
  const std::shared_ptr<client_core> self = leave_host();
  connection_ = {};
  racing_.clear();
  constexpr auto code = static_cast<std::uint16_t>(close_code::going_away);
  if (!was_idle) tell("on_close", events_.on_close, code, "the client's loop has ended", false);
}

// From here on the queue takes nothing and the shard does nothing for this client. Returns what kept it alive.
std::shared_ptr<client_core> client_core::leave_host() {
  if (const connection* c = home_->owner().find(connection_)) (void)count_unsent(home_->owner().output().taken_bytes(*c));
  {
    const std::lock_guard lock(lock_);
    host_ = nullptr;
    gone_ = true;
    set_state_locked(client_state::closed);
    drop_messages(std::as_const(outgoing_).bytes());
    outgoing_.release();
  }
  drop_messages(std::as_const(taken_).bytes());
  taken_.release();
  drop_waiting();
  cancel_timer();
  step_ = step::idle;
  list_link<in_client_host>::unlink();
  return std::move(attached_self);
}

void client_core::set_state(client_state s) {
  const std::lock_guard lock(lock_);
  if (!stopped_) set_state_locked(s);
}

void client_core::arm_timer(std::uint64_t at_ms) {
  if (!timer_) timer_.emplace(*this, home_->timer_kind());
  home_->owner().timers().arm(*timer_, at_ms);
}

void client_core::cancel_timer() {
  if (timer_) home_->owner().timers().cancel(*timer_);
}

} // namespace ringcast::engine

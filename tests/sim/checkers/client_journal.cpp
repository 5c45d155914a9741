#include "tests/sim/checkers/client_journal.hpp"

#include <ringcast/close_code.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace ringcast::sim {

std::string_view name_of(client_event::kind what) {
  switch (what) {
  case client_event::kind::open: return "open";
  case client_event::kind::message: return "message";
  case client_event::kind::error: return "error";
  case client_event::kind::disconnected: return "disconnected";
  case client_event::kind::closed: return "closed";
  case client_event::kind::reconnecting: return "reconnecting";
  case client_event::kind::reconnected: return "reconnected";
  }
  return "?";
}

void client_journal::attach(client& c) {
  using kind = client_event::kind;
  c.on_open([this] { note({.what = kind::open}); });
  c.on_message([this](const message_view& m) {
    const auto what = check_payload(m.text());
    if (what)
      heard.push_back(*what);
    else
      failures.push_back("a message that nobody said");
    ++heard_since_open;
    note({.what = kind::message});
  });
  c.on_error([this](const client_error& error) { note({.what = kind::error, .error = error.kind}, error.text); });
  c.on_disconnected([this](std::uint16_t code, std::string_view reason) { note({.what = kind::disconnected, .code = code}, reason); });
  c.on_close([this](std::uint16_t code, std::string_view reason, bool clean) { note({.what = kind::closed, .code = code, .clean = clean}, reason); });
  c.on_reconnecting(
      [this](unsigned attempt, std::chrono::milliseconds delay) { note({.what = kind::reconnecting, .attempt = attempt, .delay = delay}); });
  c.on_reconnected([this] { note({.what = kind::reconnected}); });
}

void client_journal::will_connect() {
  started_ = true;
  if (now_ == phase::closed && connects_ == 0) told_to_end_ = false;
  if (now_ == phase::closed || told_to_end_) ++connects_;
}

void client_journal::note(client_event e, std::string_view text) {
  e.at_ns = world_.now_ns();
  world_.trace("client event: {} code {} error {} clean {} attempt {} delay {} '{}'", name_of(e.what), e.code, static_cast<int>(e.error), e.clean,
               e.attempt, e.delay.count(), text);
  if (inside_) fail("it came inside another event", e);
  if (stopped_) fail("it came after stop()", e);
  inside_ = true;
  judge(e);
  events.push_back(e);
  if (on_event) on_event(events.back());
  inside_ = false;
}

void client_journal::judge(const client_event& e) {
  using kind = client_event::kind;
  if (!started_) return fail("it came before connect()", e);
  if (now_ == phase::closed && connects_ > 0) {
    --connects_;
    now_ = phase::attempting;
    ever_open_ = false;
    attempts_ = 0;
    not_before_ns_ = 0;
  }
  switch (e.what) {
  case kind::open:
  case kind::reconnected:
    if (now_ != phase::attempting) return fail("no attempt was under way", e);
    if ((e.what == kind::reconnected) != ever_open_) return fail("on_open is for the first time and on_reconnected for the others", e);
    if (e.at_ns < not_before_ns_) fail("it came before the delay was over", e);
    ever_open_ = true;
    opened_ns_ = e.at_ns;
    heard_since_open = 0;
    now_ = phase::open;
    return;
  case kind::message:
    if (now_ != phase::open) fail("the connection is not open", e);
    return;
  case kind::error:
    if (now_ != phase::attempting) return fail("no attempt was under way", e);
    if (e.at_ns < not_before_ns_) fail("it came before the delay was over", e);
    now_ = phase::failed;
    return;
  case kind::disconnected:
    if (now_ != phase::open) return fail("nothing was open", e);
    judge_success(e);
    now_ = phase::lost;
    return;
  case kind::reconnecting: {
    if (now_ != phase::failed && now_ != phase::lost) return fail("nothing was lost", e);
    if (std::exchange(perhaps_success_, false) && e.attempt == 1) attempts_ = 0;
    if (e.attempt != ++attempts_) fail(fmt::format("it is number {}", attempts_), e);
    const double grown = static_cast<double>(policy_.initial_delay.count()) * std::pow(policy_.multiplier, static_cast<double>(attempts_ - 1));
    // After 1013 the delay lies between the first bound and the next one.
    const double bound =
        std::min(std::exchange(told_later_, false) ? grown * policy_.multiplier : grown, static_cast<double>(policy_.max_delay.count()));
    if (static_cast<double>(e.delay.count()) > bound) fail(fmt::format("its delay is {} ms and its bound {}", e.delay.count(), bound), e);
    // The clock of a turn is read at its begin, in milliseconds.
    not_before_ns_ = e.at_ns + static_cast<std::uint64_t>(std::max<std::int64_t>(e.delay.count() - 2, 0)) * 1'000'000;
    now_ = phase::attempting;
    return;
  }
  case kind::closed:
    if (now_ == phase::closed || (!told_to_end_ && now_ != phase::failed && now_ != phase::lost)) return fail("nothing has ended", e);
    now_ = phase::closed;
    return;
  }
}

// Only a connection that lived or brought a message begins a new row of attempts; see reconnect_policy::reset_after.
void client_journal::judge_success(const client_event& e) {
  const std::uint64_t lived_ns = e.at_ns - opened_ns_;
  const auto enough_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(policy_.reset_after.count(), 0)) * 1'000'000;
  told_later_ = e.code == static_cast<std::uint16_t>(close_code::try_again_later);
  // The client counts in milliseconds; and a connection that was told 1013 is a success of its messages only if it was lost in between.
  perhaps_success_ = lived_ns + 1'000'000 >= enough_ns || heard_since_open > 0;
  if (lived_ns >= enough_ns + 1'000'000 || (heard_since_open > 0 && !told_later_)) attempts_ = 0;
}

void client_journal::fail(std::string_view why, const client_event& e) {
  failures.push_back(fmt::format("event '{}' at {} ns: {} (so far: {})", name_of(e.what), e.at_ns, why, story()));
}

std::size_t client_journal::count(client_event::kind what) const {
  return static_cast<std::size_t>(std::ranges::count(events, what, &client_event::what));
}

std::string client_journal::story() const {
  std::string told;
  for (const client_event& e : events) {
    if (e.what == client_event::kind::message) continue;
    if (!told.empty()) told += ' ';
    told += name_of(e.what);
    if (e.what == client_event::kind::disconnected) told += fmt::format("({})", e.code);
    if (e.what == client_event::kind::closed) told += fmt::format("({} {})", e.code, e.clean ? "clean" : "not clean");
    if (e.what == client_event::kind::error) told += fmt::format("({})", static_cast<int>(e.error));
    if (e.what == client_event::kind::reconnecting) told += fmt::format("({})", e.attempt);
  }
  return told;
}

} // namespace ringcast::sim

#include "engine/shard/rate_gate.hpp"

#include "engine/connection/user_events.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/peer_book.hpp"
#include "engine/shard/refusal_log.hpp"
#include "engine/shard/websocket_side.hpp"
#include <ringcast/close_code.hpp>

#include <algorithm>
#include <utility>

namespace ringcast::engine {

namespace {

// What was dropped is told once in this time: an answer to each message would be as much as was refused.
constexpr std::uint64_t told_interval_ms = 1'000;

} // namespace

void rate_gate::begin(connection& c) {
  if (c.slot >= slots_ && !with_.rules.rates_of(c).is_on()) return;
  buckets& of = buckets_of(c);
  const bool was_paused = is_paused(c);
  of = {};
  if (was_paused) with_.input.look_again(c);
}

rate_gate::buckets& rate_gate::buckets_of(const connection& c) {
  if (c.slot >= slots_) {
    by_slot_.resize(c.slot + 1);
    slots_ = c.slot + 1;
  }
  return by_slot_[c.slot];
}

bool rate_gate::admit(connection& c, const message_view& view) {
  const rate_limits& limits = with_.rules.rates_of(c);
  if (!limits.limit_messages()) return true;
  buckets& of = by_slot_[c.slot];
  const std::uint64_t now_ms = with_.clock.ms;
  const auto passes = [&] { return of.messages.has(limits.messages, now_ms, 1) && of.bytes.has(limits.bytes, now_ms, 1); };
  const over_rate policy = policy_of(c, limits);
  if (policy != over_rate::push_back && !passes()) {
    if (policy == over_rate::close) return close(c), false;
    ++with_.counters.messages_dropped_for_rate;
    if (of.dropped == 0) log_refusal(refusal::message_rate, with_.peers, c);
    note_dropped(c, of, 1);
    return false;
  }
  if (view.is_last) of.messages.take(limits.messages, now_ms, 1);
  of.bytes.take(limits.bytes, now_ms, view.payload.size());
  if (policy == over_rate::push_back && !passes()) pause(c, of, limits);
  return true;
}

bool rate_gate::admit_join(const connection& c) {
  const rate_limit& limit = with_.rules.rates_of(c).joins;
  if (!limit.is_on() || !knows(c)) return true;
  token_bucket& bucket = by_slot_[c.slot].joins;
  if (bucket.has(limit, with_.clock.ms, 1)) {
    bucket.take(limit, with_.clock.ms, 1);
    return true;
  }
  with_.counters.count(refusal::join_rate);
  log_refusal(refusal::join_rate, with_.peers, c);
  return false;
}

over_rate rate_gate::policy_of(const connection& c, const rate_limits& limits) const {
  const bool is_told = c.endpoint->on_dropped && !c.endpoint->in_parts;
  return limits.policy == over_rate::drop && !is_told ? over_rate::push_back : limits.policy;
}

void rate_gate::pause(connection& c, buckets& of, const rate_limits& limits) {
  const std::uint64_t now_ms = with_.clock.ms;
  const auto wait_of = [&](token_bucket& bucket, const rate_limit& limit) {
    return limit.is_on() ? bucket.ms_until(limit, now_ms, token_bucket::portion_of(limit)) : 0;
  };
  const std::uint64_t wait_ms = std::max(wait_of(of.messages, limits.messages), wait_of(of.bytes, limits.bytes));
  of.paused_until_ms = now_ms + wait_ms;
  ++with_.counters.inputs_paused_for_rate;
  with_.input.pause(c);
  with_.timers.look_within(c, wait_ms);
}

void rate_gate::note_refused(connection& c, std::uint32_t messages) {
  if (!c.is_open_websocket() || c.event_stream || !c.endpoint->on_dropped) return;
  note_dropped(c, buckets_of(c), messages);
}

void rate_gate::note_dropped(connection& c, buckets& of, std::uint64_t messages) {
  const std::uint64_t now_ms = with_.clock.ms;
  of.dropped += messages;
  if (of.dropped != messages) return; // it is about to be told, or its timer is armed
  if (now_ms < of.told_next_ms) return with_.timers.look_within(c, of.told_next_ms - now_ms);
  of.told_next_ms = now_ms + told_interval_ms;
  with_.users.note(c, user_event::dropped);
}

void rate_gate::close(connection& c) {
  with_.counters.count(refusal::message_rate);
  log_refusal(refusal::message_rate, with_.peers, c);
  with_.websockets.close(c, static_cast<std::uint16_t>(close_code::policy_violation), "messages come faster than this server takes them");
}

std::uint64_t rate_gate::take_dropped(const connection& c) { return knows(c) ? std::exchange(by_slot_[c.slot].dropped, 0) : 0; }

std::uint64_t rate_gate::look(connection& c) {
  if (!knows(c)) return never;
  buckets& of = by_slot_[c.slot];
  const std::uint64_t now_ms = with_.clock.ms;
  std::uint64_t next_in_ms = never;
  if (of.paused_until_ms > now_ms) {
    next_in_ms = of.paused_until_ms - now_ms;
  } else if (of.paused_until_ms != 0) {
    of.paused_until_ms = 0;
    with_.input.look_again(c);
  }
  if (of.dropped == 0) return next_in_ms;
  if (of.told_next_ms > now_ms) return std::min(next_in_ms, of.told_next_ms - now_ms);
  of.told_next_ms = now_ms + told_interval_ms;
  with_.users.note(c, user_event::dropped);
  return next_in_ms;
}

} // namespace ringcast::engine

#include "apps/load/run/traffic.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace ringcast::load {

using namespace engine;

namespace {

// A message that has not arrived after this long is given up, as far as pacing goes; if it still comes, it counts.
constexpr std::int64_t patience_ns = 3'000'000'000;
constexpr std::int64_t check_interval_ns = 50'000'000;
// How long a slow reader reads at the end: until nothing came for so long, which is more than the time between two probes of a window that was closed
// for a few seconds (RFC 9293 3.8.6.1), and at most so long.
constexpr std::int64_t slow_silence_ns = 2'000'000'000;
constexpr std::int64_t slow_patience_ns = 5'000'000'000;

// How many of the numbers below `end` are index, index + stride, index + 2 * stride...
std::uint32_t count_of(std::uint32_t end, std::uint32_t index, std::uint32_t stride) { return end > index ? (end - index + stride - 1) / stride : 0; }

} // namespace

traffic::traffic(const load_options& options, board& shared, unsigned index)
    : worker{options, shared, index}, window_{options.window()}, slots_{options.slots()}, all_senders_{options.sender_count()},
      filler_{options.size_max}, ledger_{options.mode == load_mode::echo ? size() : std::size_t{size()} * options.sender_count()},
      senders_(count_of(options.sender_count(), index, shared.workers())),
      unheard_{std::size_t{options.sender_count()} * options.slots(), sharing::own}, positions_(options.total_order ? size() : 0) {
  for (unsigned w = 0; w < shared.workers(); ++w) hearing_.push_back(count_of(options.connections - options.slow_count(), w, shared.workers()));
}

bool traffic::open() {
  if (!open_all()) return false;
  for (unsigned i = 0; i < size(); ++i) {
    if (is_slow(i)) stop_reading(i);
  }
  return true;
}

void traffic::run(const load_step& step) {
  const std::int64_t cpu_before_ns = thread_cpu_ns();
  const std::int64_t wait_before_ns = thread_wait_ns();
  if (!begin(step)) return;
  std::int64_t next_check_ns = start_ns_;
  std::uint64_t arrivals_before = arrivals_;
  bool said_quiet = false;
  while (is_going() && !board_.are_all_quiet()) {
    const std::int64_t now = board_.elapsed_ns();
    // What was planned before the end is sent even if this thread slept through it: left out, it would be an omission
    // of our own.
    if (rate_ > 0 && !stopping_) publish_due(std::min(now, stop_ns_ - 1));
    if (now >= stop_ns_) stopping_ = true;
    flush_dirty();
    if (stopping_ && !said_quiet && is_quiet()) {
      said_quiet = true;
      board_.be_quiet();
      continue;
    }
    if (arrivals_ != arrivals_before) board_.note_arrival(index_, now);
    arrivals_before = arrivals_;
    if (now >= next_check_ns) {
      give_up_overdue(now, stopping_ && now - std::max(board_.last_arrival_ns(), stop_ns_) > patience_ns);
      next_check_ns = now + check_interval_ns;
      on_turn();
    }
    std::int64_t wait_ns = 20'000'000;
    if (rate_ > 0 && !stopping_) wait_ns = std::clamp<std::int64_t>(next_planned_ns() - board_.elapsed_ns(), 0, wait_ns);
    turn(wait_ns);
    if (!was_rung()) continue;
    // Another worker may have heard what completes a message of ours.
    for (std::uint32_t m = 0; m < senders_.size(); ++m) advance(m);
  }
  if (step.measured) {
    conclude(step);
    hear_out_the_slow();
    result_.generator_cpu_s = static_cast<double>(thread_cpu_ns() - cpu_before_ns) / 1e9;
    result_.generator_wait_s = static_cast<double>(thread_wait_ns() - wait_before_ns) / 1e9;
  }
  stopping_ = true;
  measuring_ = false;
}

bool traffic::begin(const load_step& step) {
  measuring_ = step.measured;
  if (measuring_) {
    const std::uint64_t other = result_.other_messages;
    const std::uint64_t closed = result_.closed_slow;
    result_ = load_result{};
    result_.measured = true;
    result_.other_messages = other;
    result_.closed_slow = closed;
  }
  rate_ = step.rate;
  stopping_ = false;
  planned_ = 0;
  for (sender& s : senders_) s = {.next = s.next, .completed = s.completed};
  start_ns_ = step.start_ns;
  board_.be_ready();
  while (is_going() && board_.started_ns() == 0) turn(20'000'000);
  if (!is_going()) return false;
  start_ns_ = board_.started_ns();
  stop_ns_ = start_ns_ + static_cast<std::int64_t>(step.seconds * 1e9);
  plan_ = schedule{start_ns_, rate_};
  board_.note_arrival(index_, start_ns_);
  if (rate_ > 0) return true;
  for (std::uint32_t m = 0; m < senders_.size(); ++m) {
    for (std::uint32_t k = 0; k < window_; ++k) publish(m, board_.elapsed_ns());
  }
  return true;
}

void traffic::conclude(const load_step& step) {
  const std::int64_t now = board_.elapsed_ns();
  const std::int64_t last_arrival_ns = board_.last_arrival_ns();
  // Waiting for messages that never come is no part of the measured time.
  result_.seconds = last_arrival_ns > stop_ns_ ? static_cast<double>(last_arrival_ns - start_ns_) / 1e9
                    : now > stop_ns_           ? step.seconds
                                               : static_cast<double>(std::max<std::int64_t>(now - start_ns_, 1)) / 1e9;
  for (const sender& s : senders_) result_.unsent += s.due - s.published;
}

load_result traffic::result() const {
  load_result out = result_;
  out.totals = proof_;
  out.order = order_;
  out.handshakes = handshakes_;
  out.errors = errors_;
  out.compression = compression_;
  out.connections = open_count();
  out.trouble = short_text{trouble()};
  return out;
}

live_counts traffic::counts() const { return {.done = start_ns_ == 0 ? open_count() : arrivals_, .open = open_count(), .errors = errors_}; }

const histogram* traffic::live_latency() const {
  if (!measuring_) return nullptr;
  return rate_ > 0 ? &result_.corrected : &result_.raw;
}

// ---- sending
// ----------------------------------------------------------------------------------------------------------

// Message k of the step is planned for k / rate and sent by sender k % S, whichever worker has it.
std::int64_t traffic::planned_ns(std::uint32_t m, std::uint64_t of_its_own) const { return plan_.due_ns(of_its_own * all_senders_ + number_of(m)); }

std::int64_t traffic::next_planned_ns() const {
  if (senders_.empty()) return stop_ns_;
  return planned_ns(static_cast<std::uint32_t>(planned_ % senders_.size()), planned_ / senders_.size());
}

void traffic::publish_due(std::int64_t now) {
  while (!senders_.empty()) {
    const std::int64_t planned = next_planned_ns();
    if (planned > now) return;
    const auto m = static_cast<std::uint32_t>(planned_ % senders_.size());
    ++planned_;
    sender& from = senders_[m];
    ++from.due;
    // The generator's own lateness, and not the wait for a free place, which is the server's doing.
    if (measuring_ && from.due == from.published + 1 && from.next - from.completed < window_) result_.send_lag.record(now - planned);
    publish_waiting(m);
  }
}

void traffic::publish_waiting(std::uint32_t m) {
  sender& from = senders_[m];
  while (!stopping_ && from.published < from.due && from.next - from.completed < window_) publish(m, planned_ns(m, from.published++));
}

void traffic::publish(std::uint32_t m, std::int64_t planned) {
  sender& from = senders_[m];
  const std::uint32_t s = number_of(m);
  const std::uint32_t number = from.next++;
  const message_tag tag{s, number, planned / tick_ns};
  std::uint32_t hearing = 0;
  for (unsigned w = 0; w < board_.workers(); ++w) hearing += hearing_at(w, s) != 0;
  board_.publish(s, number, {.ticks = tag.ticks, .sent_ns = board_.elapsed_ns()}, hearing);
  ++proof_.sent;
  proof_.expected += options_.hearer_count();
  if (measuring_) ++result_.messages;
  const std::size_t bytes = size_of_message(s, number, options_.size_min, options_.size_max);
  queue_message(m, bytes, [&](std::byte* payload) {
    write_tag(payload, tag);
    std::memcpy(payload + tag_bytes, filler_.from(number), bytes - tag_bytes);
  });
  if (from.dirty) return;
  from.dirty = true;
  dirty_.push_back(m);
}

void traffic::flush_dirty() {
  for (const std::uint32_t m : dirty_) {
    senders_[m].dirty = false;
    flush(m);
  }
  dirty_.clear();
}

// ---- hearing
// ----------------------------------------------------------------------------------------------------------

std::uint32_t traffic::hearing_at(unsigned worker, std::uint32_t s) const {
  const bool is_its_own = s % board_.workers() == worker;
  if (options_.mode == load_mode::echo) return is_its_own ? 1 : 0;
  return hearing_[worker] - (is_its_own && !options_.self ? 1 : 0);
}

// Where the room is ("joined") is no part of the traffic. A message that comes as a binary one is not the one that was sent.
void traffic::on_event(unsigned i, const heard_event& event) {
  if (event.name == "message") return on_message(i, std::as_bytes(std::span{event.data}));
  if (event.name == "binary")
    ++proof_.corrupted;
  else if (event.name != "joined")
    ++result_.other_messages;
}

void traffic::on_message(unsigned i, std::span<const std::byte> payload) {
  received_ = received_ns() - board_.epoch_ns();
  if (is_slow(i)) {
    slow_heard_ns_ = received_;
    return;
  }
  if (received_opcode() != opcode::text) {
    ++proof_.corrupted;
    return;
  }
  if (options_.mode == load_mode::chat && !read_tag(payload)) {
    // A chat puts "NAME: " before what was said, and says things of its own.
    constexpr std::string_view mark = ": ";
    const std::string_view text{reinterpret_cast<const char*>(payload.data()), payload.size()};
    const auto at = text.find(mark);
    if (at == std::string_view::npos) {
      ++result_.other_messages;
      return;
    }
    payload = payload.subspan(at + mark.size());
  }
  const auto tag = read_tag(payload);
  // Both ends are here, so nothing about a message has to be believed: who sent it, which one it is, when, how long it
  // is, each byte.
  if (!tag || tag->sender >= all_senders_ || (options_.mode == load_mode::echo && tag->sender != ordinal(i)) ||
      tag->number >= board_.published(tag->sender) ||
      payload.size() != size_of_message(tag->sender, tag->number, options_.size_min, options_.size_max) || !filler_.matches(payload, tag->number)) {
    ++proof_.corrupted;
    return;
  }
  const auto sent = board_.find(tag->sender, tag->number);
  if (sent && sent->ticks != tag->ticks) {
    ++proof_.corrupted;
    return;
  }
  deliver(i, *tag, sent);
}

void traffic::deliver(unsigned i, const message_tag& tag, const std::optional<board::sent_message>& sent) {
  const bool echo = options_.mode == load_mode::echo;
  const std::size_t pair = echo ? i : std::size_t{i} * all_senders_ + tag.sender;
  const bool not_expected = !echo && !options_.self && ordinal(i) == tag.sender;
  const std::uint32_t expected_before = ledger_.expects(pair);
  const arrival how = ledger_.take(pair, tag.number);
  if (how == arrival::repeated || not_expected) {
    ++proof_.duplicated;
    return;
  }
  if (how == arrival::late) ++proof_.reordered;
  ++arrivals_;
  ++proof_.delivered;
  if (options_.total_order) judge_order(i, tag);
  if (measuring_) {
    ++result_.deliveries;
    if (tag.ticks * tick_ns >= start_ns_ - tick_ns) {
      if (rate_ > 0) result_.corrected.record(received_ - tag.ticks * tick_ns);
      if (sent) result_.raw.record(received_ - sent->sent_ns);
    }
  }
  // What a gap skips is not waited for; it was taken off already when it comes late.
  if (how == arrival::after_gap) {
    for (std::uint32_t skipped = expected_before; skipped < tag.number; ++skipped) arrived(tag.sender, skipped);
  }
  if (how != arrival::late) arrived(tag.sender, tag.number);
}

// Up to its first difference: behind a message that was lost everything stands in another place.
void traffic::judge_order(unsigned i, const message_tag& tag) {
  if (positions_[i] == judged) return;
  const std::uint64_t position = positions_[i]++;
  const heard_message heard{.sender = tag.sender, .number = tag.number};
  const auto first = board_.order().take(position, heard);
  if (!first) {
    ++order_.unjudged;
    return;
  }
  ++order_.compared;
  if (*first == heard) return;
  positions_[i] = judged;
  order_.add({.differing = 1, .position = position, .connection = ordinal(i), .heard = heard, .by_others = *first});
}

void traffic::hear_out_the_slow() {
  if (options_.slow_count() == 0) return;
  const std::int64_t begun_ns = board_.elapsed_ns();
  slow_heard_ns_ = begun_ns;
  for (unsigned i = 0; i < size(); ++i)
    if (is_slow(i) && is_open(i)) read_again(i);
  const auto has_slow = [this] {
    for (unsigned i = 0; i < size(); ++i)
      if (is_slow(i) && is_open(i)) return true;
    return false;
  };
  for (std::int64_t now = begun_ns; is_going() && has_slow() && now - slow_heard_ns_ < slow_silence_ns && now - begun_ns < slow_patience_ns;
       now = board_.elapsed_ns()) {
    turn(20'000'000);
    on_turn();
  }
}

// One more connection of this worker does not have to hear this message any more.
void traffic::arrived(std::uint32_t s, std::uint32_t number) {
  unheard& here = unheard_[std::size_t{s} * slots_ + (number & (slots_ - 1))];
  if (here.number_plus_1 != number + 1) {
    if (here.number_plus_1 > number + 1) return; // It was given up, and another one has its place.
    here = {.number_plus_1 = number + 1, .missing = hearing_at(index_, s)};
  }
  if (here.missing == 0 || --here.missing != 0 || !board_.heard(s, number)) return;
  if (is_ours(s))
    advance(s / board_.workers());
  else
    board_.ring(s % board_.workers());
}

// Moves on over what is complete, and sends what waited for that.
void traffic::advance(std::uint32_t m) {
  sender& from = senders_[m];
  while (from.completed != from.next && board_.is_complete(number_of(m), from.completed)) {
    ++from.completed;
    if (rate_ > 0) {
      publish_waiting(m);
    } else if (!stopping_) {
      publish(m, board_.elapsed_ns());
    }
  }
}

void traffic::give_up_overdue(std::int64_t now, bool all) {
  for (std::uint32_t m = 0; m < senders_.size(); ++m) {
    sender& from = senders_[m];
    while (from.completed != from.next) {
      const auto oldest = board_.find(number_of(m), from.completed);
      if (!all && oldest && now - oldest->sent_ns <= patience_ns) break;
      board_.give_up(number_of(m), from.completed);
      advance(m);
    }
  }
}

bool traffic::is_quiet() const {
  return std::ranges::all_of(senders_, [](const sender& s) { return s.completed == s.next; });
}

void traffic::on_read(unsigned) { flush_dirty(); }

void traffic::on_ended(unsigned i, stage was, const std::string& why) {
  if (was == stage::open && is_slow(i)) {
    --errors_;
    ++result_.closed_slow;
    return;
  }
  fail(open_count() || was == stage::open ? fmt::format("connection {}: {}", ordinal(i), why) : why);
}

} // namespace ringcast::load

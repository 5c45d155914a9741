#include "apps/ringcast-load/traffic.hpp"

#include "apps/ringcast-load/clock.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace ringcast {

namespace {

// A message that has not arrived after this long is given up, as far as pacing goes; if it still comes, it counts.
constexpr std::int64_t patience_ns = 3'000'000'000;

unsigned sender_count(const load_options& options, unsigned count) {
  return options.mode == load_mode::echo ? count : options.senders;
}

} // namespace

traffic::traffic(const load_options& options, unsigned first_ordinal, unsigned count, progress& shown)
    : connection_set{options, first_ordinal, count}, progress_{shown}, window_{options.window()},
      ring_{std::bit_ceil(options.window())}, filler_{options.size_max},
      ledger_{options.mode == load_mode::echo ? count : std::size_t{count} * sender_count(options, count)},
      senders_(sender_count(options, count)),
      outstanding_(senders_.size() * ring_), epoch_ns_{clock_ns()} {
  if (options.mode == load_mode::slow_reader)
    slow_ = std::min(std::max(1U, count / 10), count - static_cast<unsigned>(senders_.size()));
  if (options.mode != load_mode::echo) hearers_ = count - slow_ - (options.self ? 0 : 1);
  share_ = static_cast<double>(count) / options.connections;
}

bool traffic::open() {
  if (!open_all()) return false;
  for (unsigned i = size() - slow_; i < size(); ++i) stop_reading(i);
  return true;
}

bool traffic::run(double seconds, double rate, bool measured) {
  if (!trouble().empty()) return false;
  measuring_ = measured;
  if (measured) {
    result_ = load_result{};
    result_.measured = true;
  }
  const std::int64_t cpu_before = thread_cpu_ns();
  rate_ = rate * share_;
  stopping_ = false;
  planned_ = 0;
  for (sender& s : senders_) s = {.next = s.next, .completed = s.completed};
  start_ns_ = elapsed_ns();
  const std::int64_t stop_ns = start_ns_ + static_cast<std::int64_t>(seconds * 1e9);
  if (rate_ <= 0) {
    for (std::uint32_t s = 0; s < senders_.size(); ++s) {
      for (std::uint32_t k = 0; k < window_; ++k) publish(s, elapsed_ns());
    }
  }
  std::int64_t last_arrival_ns = start_ns_;
  std::int64_t next_check_ns = start_ns_;
  std::uint64_t arrivals_before = arrivals_;
  std::int64_t now = start_ns_;
  while (trouble().empty()) {
    now = elapsed_ns();
    // What was planned before the end is sent even if this thread slept through it: left out, it would be an omission of our own.
    if (rate_ > 0 && !stopping_) publish_due(std::min(now, stop_ns - 1));
    if (now >= stop_ns) stopping_ = true;
    flush_dirty();
    if (stopping_ && is_quiet()) break;
    if (arrivals_ != arrivals_before) last_arrival_ns = now;
    arrivals_before = arrivals_;
    if (now >= next_check_ns) {
      give_up_overdue(now, stopping_ && now - std::max(last_arrival_ns, stop_ns) > patience_ns);
      next_check_ns = now + 50'000'000;
      on_turn();
    }
    std::int64_t wait_ns = 20'000'000;
    if (rate_ > 0 && !stopping_) {
      const auto next = start_ns_ + static_cast<std::int64_t>(static_cast<double>(planned_) * 1e9 / rate_);
      wait_ns = std::clamp<std::int64_t>(next - elapsed_ns(), 0, wait_ns);
    }
    turn(wait_ns);
  }
  if (measured) {
    result_.seconds = static_cast<double>(std::max(now, std::int64_t{1}) - start_ns_) / 1e9;
    // Waiting for messages that never come is no part of the measured time.
    if (last_arrival_ns > stop_ns)
      result_.seconds = static_cast<double>(last_arrival_ns - start_ns_) / 1e9;
    else if (now > stop_ns)
      result_.seconds = seconds;
    result_.generator_cpu_s = static_cast<double>(thread_cpu_ns() - cpu_before) / 1e9;
    result_.messages = part_.sent;
    result_.deliveries = part_.delivered;
    for (const sender& s : senders_) result_.unsent += s.due - s.published;
  }
  settle_lost();
  return trouble().empty();
}

load_result traffic::result() const {
  load_result out = result_;
  out.totals = before_;
  out.handshakes = handshakes_;
  out.errors = errors_;
  out.connections = open_count();
  out.trouble = trouble();
  return out;
}

void traffic::publish_due(std::int64_t now) {
  for (;;) {
    const auto planned = start_ns_ + static_cast<std::int64_t>(static_cast<double>(planned_) * 1e9 / rate_);
    if (planned > now) return;
    const auto s = static_cast<std::uint32_t>(planned_ % senders_.size());
    ++planned_;
    sender& from = senders_[s];
    ++from.due;
    // The generator's own lateness, and not the wait for a free place, which is the server's doing.
    if (measuring_ && from.due == from.published + 1 && from.next - from.completed < window_)
      result_.send_lag.record(now - planned);
    publish_waiting(s);
  }
}

void traffic::publish_waiting(std::uint32_t s) {
  sender& from = senders_[s];
  while (!stopping_ && from.published < from.due && from.next - from.completed < window_)
    publish(s, planned_ns(s, from.published++));
}

std::int64_t traffic::planned_ns(std::uint32_t s, std::uint64_t of_its_own) const {
  return start_ns_ + static_cast<std::int64_t>(static_cast<double>(of_its_own * senders_.size() + s) * 1e9 / rate_);
}

void traffic::publish(std::uint32_t s, std::int64_t planned) {
  sender& from = senders_[s];
  const std::uint32_t number = from.next++;
  const message_tag tag{s, number, planned / tick_ns};
  slot(s, number) = {.ticks = tag.ticks, .sent_ns = elapsed_ns(), .missing = hearers_};
  ++part_.sent;
  part_.expected += hearers_;
  const std::size_t bytes = size_of_message(s, number, options_.size_min, options_.size_max);
  if (hearers_ == 0) from.completed = from.next;
  queue_message(s, bytes, [&](std::byte* payload) {
    write_tag(payload, tag);
    std::memcpy(payload + tag_bytes, filler_.from(number), bytes - tag_bytes);
  });
  if (from.waiting) return;
  from.waiting = true;
  dirty_.push_back(s);
}

void traffic::flush_dirty() {
  for (const std::uint32_t s : dirty_) {
    senders_[s].waiting = false;
    flush(s);
  }
  dirty_.clear();
}

void traffic::on_message(unsigned i, std::span<const std::byte> payload) {
  received_ = received_ns() - epoch_ns_;
  if (options_.mode == load_mode::chat) {
    // A chat puts "NAME: " before what was said, and says things of its own.
    constexpr std::string_view mark = ": ";
    const std::string_view text{reinterpret_cast<const char*>(payload.data()), payload.size()};
    if (!read_tag(payload)) {
      const auto at = text.find(mark);
      if (at == std::string_view::npos) {
        ++result_.other_messages;
        return;
      }
      payload = payload.subspan(at + mark.size());
    }
  }
  const auto tag = read_tag(payload);
  const bool echo = options_.mode == load_mode::echo;
  // Both ends are here, so nothing about a message has to be believed: who sent it, which one it is, when, how long it
  // is, each byte.
  if (!tag || tag->sender >= senders_.size() || (echo && tag->sender != i) ||
      tag->number >= senders_[tag->sender].next ||
      payload.size() != size_of_message(tag->sender, tag->number, options_.size_min, options_.size_max) ||
      !filler_.matches(payload, tag->number)) {
    ++part_.corrupted;
    return;
  }
  const bool still_known = senders_[tag->sender].next - tag->number <= ring_;
  if (still_known && slot(tag->sender, tag->number).ticks != tag->ticks) {
    ++part_.corrupted;
    return;
  }
  deliver(i, tag->sender, *tag);
}

void traffic::deliver(unsigned i, std::uint32_t s, const message_tag& tag) {
  const bool echo = options_.mode == load_mode::echo;
  const std::size_t pair = echo ? i : std::size_t{i} * senders_.size() + s;
  const bool not_expected = !echo && !options_.self && i == s;
  const std::uint32_t expected_before = ledger_.expects(pair);
  const arrival how = ledger_.take(pair, tag.number);
  if (how == arrival::repeated || not_expected) {
    ++part_.duplicated;
    return;
  }
  if (how == arrival::late) ++part_.reordered;
  ++arrivals_;
  ++part_.delivered;
  const bool still_known = senders_[s].next - tag.number <= ring_;
  if (measuring_ && tag.ticks * tick_ns >= start_ns_ - tick_ns) {
    if (rate_ > 0) result_.corrected.record(received_ - tag.ticks * tick_ns);
    if (still_known) result_.raw.record(received_ - slot(s, tag.number).sent_ns);
  }
  // What a gap skips is not waited for; it was taken off already when it comes late.
  if (how == arrival::after_gap) {
    for (std::uint32_t skipped = expected_before; skipped < tag.number; ++skipped) arrived(s, skipped);
  }
  if (how != arrival::late) arrived(s, tag.number);
}

void traffic::arrived(std::uint32_t s, std::uint32_t number) {
  sender& from = senders_[s];
  if (number < from.completed) return; // It was given up before.
  outstanding& message = slot(s, number);
  if (message.missing) --message.missing;
  while (from.completed != from.next && slot(s, from.completed).missing == 0) {
    ++from.completed;
    if (rate_ > 0) {
      publish_waiting(s);
    } else if (!stopping_) {
      publish(s, elapsed_ns());
    }
  }
}

void traffic::give_up_overdue(std::int64_t now, bool all) {
  for (std::uint32_t s = 0; s < senders_.size(); ++s) {
    sender& from = senders_[s];
    while (from.completed != from.next && (all || now - slot(s, from.completed).sent_ns > patience_ns)) {
      const std::uint32_t number = from.completed;
      if (slot(s, number).missing) {
        slot(s, number).missing = 1;
        arrived(s, number);
      } else {
        ++from.completed;
      }
    }
  }
}

bool traffic::is_quiet() const {
  return std::ranges::all_of(senders_, [](const sender& s) { return s.completed == s.next; });
}

// What this part's messages should have caused and did not.
void traffic::settle_lost() {
  if (trouble().empty() && part_.expected > part_.delivered) part_.lost = part_.expected - part_.delivered;
  before_.add(part_);
  part_ = {};
}

void traffic::on_read(unsigned) { flush_dirty(); }

void traffic::on_ended(unsigned i, stage was, const std::string& why) {
  if (was == stage::open && is_slow(i) && slow_) {
    --errors_;
    ++result_.closed_slow;
    return;
  }
  fail(open_count() || was == stage::open ? fmt::format("connection {}: {}", i, why) : why);
}

void traffic::on_turn() {
  const histogram& latency = rate_ > 0 ? result_.corrected : result_.raw;
  const bool opening = start_ns_ == 0;
  progress_.tick(clock_ns(), {.phase = opening      ? "opening"
                                                                : measuring_ ? "measuring"
                                                                             : "warming up",
                                                       .done = opening ? open_count() : arrivals_,
                                                       .unit = opening ? "connections" : "messages",
                                                       .open = open_count(),
                                                       .errors = errors_,
                                                       .latency = opening || !measuring_ ? nullptr : &latency});
}

std::int64_t traffic::elapsed_ns() const { return clock_ns() - epoch_ns_; }

} // namespace ringcast

#include "apps/load/run/resume.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ringcast::load {

using namespace engine;

namespace {

// After this long without a message, all members being back, what has not come will not come.
constexpr std::int64_t patience_ns = 3'000'000'000;
constexpr std::int64_t joining_patience_ns = 10'000'000'000;
constexpr std::int64_t check_interval_ns = 20'000'000;
// "About" --cut-seconds.
constexpr double cut_shortest = 0.5;
constexpr double cut_longest = 1.5;
// Positions whose message is compared between members, 32 MiB of them; of later ones only the number is judged.
constexpr std::size_t positions_compared_max = std::size_t{1} << 22;

std::string_view text_of(std::span<const std::byte> payload) { return {reinterpret_cast<const char*>(payload.data()), payload.size()}; }

// "41\nTEXT": the number, and how many bytes stand before the text. Nothing if it is not of this form.
struct numbered {
  std::uint64_t number = 0;
  std::size_t head_bytes = 0;
};
std::optional<numbered> read_number(std::span<const std::byte> payload) {
  const std::string_view text = text_of(payload);
  numbered out;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.number);
  if (error != std::errc{} || end == text.data() + text.size() || *end != '\n') return {};
  out.head_bytes = static_cast<std::size_t>(end - text.data()) + 1;
  return out;
}

// "EPOCH:SEQ", the epoch in 16 digits: the id of an event.
struct event_id {
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
};
std::optional<event_id> read_id(std::string_view text) {
  constexpr std::size_t digits = 16;
  if (text.size() < digits + 2 || text[digits] != ':') return {};
  event_id out;
  const char* const end = text.data() + text.size();
  const auto epoch = std::from_chars(text.data(), text.data() + digits, out.epoch, 16);
  const auto number = std::from_chars(text.data() + digits + 1, end, out.number);
  if (epoch.ec != std::errc{} || epoch.ptr != text.data() + digits || number.ec != std::errc{} || number.ptr != end) return {};
  return out;
}

struct hello {
  std::uint64_t epoch = 0;
  std::uint64_t newest = 0;
  bool resumed = false;
};
std::optional<hello> read_hello(std::span<const std::byte> payload) {
  const auto json = nlohmann::json::parse(text_of(payload), nullptr, false);
  if (!json.is_object() || !json.contains("epoch") || !json.contains("seq") || !json.contains("resumed")) return {};
  if (!json["epoch"].is_string() || !json["seq"].is_number_unsigned() || !json["resumed"].is_boolean()) return {};
  const std::string digits = json["epoch"];
  hello out{.newest = json["seq"], .resumed = json["resumed"]};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.epoch, 16);
  if (error != std::errc{} || end != digits.data() + digits.size()) return {};
  return out;
}

} // namespace

resume::resume(const load_options& options, board& shared, unsigned index)
    : worker{options, shared, index}, own_senders_{options.senders > index ? (options.senders - index + shared.workers() - 1) / shared.workers() : 0},
      filler_{options.size_max}, ledger_{std::size_t{size()} * options.senders}, members_(size()), next_numbers_(own_senders_) {
  for (unsigned i = 0; i < size(); ++i) {
    std::seed_seq seeds{options.seed, ordinal(i)};
    members_[i].random.seed(seeds);
  }
}

bool resume::open() {
  if (!open_all()) return false;
  const std::int64_t give_up_ns = board_.elapsed_ns() + joining_patience_ns;
  while (is_going() && joined_ < size()) {
    turn(20'000'000);
    on_turn();
    if (board_.elapsed_ns() > give_up_ns) fail(fmt::format("{} of {} members were not told where the room is", size() - joined_, size()));
  }
  return is_going();
}

void resume::run(const load_step& step) {
  const std::int64_t cpu_before_ns = thread_cpu_ns();
  const std::int64_t wait_before_ns = thread_wait_ns();
  if (!begin_step(step)) return;
  std::int64_t next_check_ns = 0;
  while (is_going()) {
    const std::int64_t now = board_.elapsed_ns();
    // What was planned before the end is sent even if this thread slept through it.
    if (!stopping_) publish_due(std::min(now, stop_ns_ - 1));
    if (now >= stop_ns_ && !std::exchange(stopping_, true)) board_.be_quiet();
    cut_and_return(now);
    if (now >= next_check_ns) {
      if (is_over(now)) break;
      if (stopping_ && away_ != 0 && now - std::max(last_arrival_ns_, all_back_ns()) > joining_patience_ns) {
        fail(fmt::format("{} members that were cut did not come back, or were not told where the room is", away_));
      }
      next_check_ns = now + check_interval_ns;
      on_turn();
    }
    std::int64_t wake_ns = now + check_interval_ns;
    if (!stopping_) wake_ns = std::min(wake_ns, next_planned_ns());
    if (!changes_.empty()) wake_ns = std::min(wake_ns, changes_.top().when_ns);
    // A change that waits for an opening to end is due, and the socket of that one wakes us.
    turn(has_opening_room() ? std::max<std::int64_t>(wake_ns - board_.elapsed_ns(), 0) : 1'000'000);
  }
  if (step.measured) {
    conclude(step);
    result_.generator_cpu_s = static_cast<double>(thread_cpu_ns() - cpu_before_ns) / 1e9;
    result_.generator_wait_s = static_cast<double>(thread_wait_ns() - wait_before_ns) / 1e9;
  }
  measuring_ = false;
}

bool resume::begin_step(const load_step& step) {
  measuring_ = step.measured;
  result_.measured = measuring_;
  stopping_ = false;
  planned_ = 0;
  board_.be_ready();
  while (is_going() && board_.started_ns() == 0) turn(20'000'000);
  if (!is_going()) return false;
  start_ns_ = board_.started_ns();
  last_arrival_ns_ = start_ns_;
  stop_ns_ = start_ns_ + static_cast<std::int64_t>(step.seconds * 1e9);
  plan_ = schedule{start_ns_, step.rate};
  if (measuring_) plan_first_cuts();
  return true;
}

void resume::conclude(const load_step& step) {
  result_.seconds = std::max(step.seconds, static_cast<double>(last_arrival_ns_ - start_ns_) / 1e9);
  for (; own_senders_ != 0 && next_planned_ns() < stop_ns_; ++planned_) ++result_.unsent;
}

load_result resume::result() const {
  load_result out = result_;
  out.totals = proof_;
  out.handshakes = handshakes_;
  out.errors = errors_;
  out.compression = compression_;
  out.connections = open_count();
  for (unsigned i = 0; i < size(); ++i) out.resuming.whole_members += has_everything(i);
  out.trouble = short_text{trouble()};
  return out;
}

live_counts resume::counts() const { return {.done = proof_.delivered, .open = open_count(), .errors = errors_}; }

// ---- publishing
// -------------------------------------------------------------------------------------------------------

// Message k of the step is planned for k / rate and sent by sender k % S, whichever worker has it.
std::int64_t resume::next_planned_ns() const {
  if (own_senders_ == 0) return stop_ns_;
  return plan_.due_ns(planned_ / own_senders_ * options_.senders + ordinal(static_cast<unsigned>(planned_ % own_senders_)));
}

void resume::publish_due(std::int64_t now) {
  for (std::int64_t planned = next_planned_ns(); own_senders_ != 0 && planned <= now; planned = next_planned_ns()) {
    const auto m = static_cast<unsigned>(planned_ % own_senders_);
    // A sender hears itself, so what it has said and not heard is on its way: no more of it than the window.
    if (next_numbers_[m] - ledger_.expects(pair_of(m, ordinal(m))) >= options_.window()) return;
    ++planned_;
    if (measuring_) result_.send_lag.record(board_.elapsed_ns() - planned);
    publish(m, planned);
  }
}

void resume::publish(unsigned m, std::int64_t planned_ns) {
  const std::uint32_t sender = ordinal(m);
  const message_tag tag{sender, next_numbers_[m]++, planned_ns / tick_ns};
  board_.publish(sender, tag.number, {.ticks = tag.ticks, .sent_ns = board_.elapsed_ns()}, 0);
  ++proof_.sent;
  proof_.expected += options_.connections;
  if (measuring_) ++result_.messages;
  const std::size_t bytes = size_of_message(sender, tag.number, options_.size_min, options_.size_max);
  queue_message(m, bytes, [&](std::byte* payload) {
    write_tag(payload, tag);
    std::memcpy(payload + tag_bytes, filler_.from(tag.number), bytes - tag_bytes);
  });
  flush(m);
}

// ---- being cut, and coming back
// ---------------------------------------------------------------------------------------

void resume::plan_first_cuts() {
  for (unsigned i = 0; i < size(); ++i) {
    if (!can_be_cut(i)) continue;
    if (options_.cut_all) {
      changes_.push({start_ns_, i});
      ++to_catch_up_;
    } else {
      plan_next_cut(i, start_ns_);
    }
  }
}

// The time between two cuts has no memory, so that they are spread evenly from the start.
void resume::plan_next_cut(unsigned i, std::int64_t now) {
  if (options_.cut_all || !measuring_ || stopping_ || !can_be_cut(i)) return;
  const double mean_s = options_.cut_s * (1 - options_.cut_share) / options_.cut_share;
  std::exponential_distribution<double> stays{1 / mean_s};
  changes_.push({now + static_cast<std::int64_t>(stays(members_[i].random) * 1e9), i});
}

std::int64_t resume::away_until(unsigned i, std::int64_t now) {
  if (options_.cut_all) {
    result_.resuming.return_ns = start_ns_ + static_cast<std::int64_t>(options_.cut_s * 1e9);
    return result_.resuming.return_ns;
  }
  std::uniform_real_distribution<double> away{cut_shortest * options_.cut_s, cut_longest * options_.cut_s};
  return now + static_cast<std::int64_t>(away(members_[i].random) * 1e9);
}

void resume::cut_and_return(std::int64_t now) {
  while (!changes_.empty() && changes_.top().when_ns <= now && is_going()) {
    const unsigned i = changes_.top().i;
    if (is_open(i)) {
      changes_.pop();
      if (stopping_) continue;
      drop(i);
      ++away_;
      ++result_.resuming.cut;
      changes_.push({away_until(i, now), i});
    } else {
      if (!has_opening_room()) return;
      changes_.pop();
      members_[i].awaits_hello = true;
      members_[i].dialed_ns = now;
      if (!begin(i)) return;
    }
  }
}

std::string resume::more_query(unsigned i) const {
  const member& m = members_[i];
  return m.has_joined ? fmt::format("seq=1&since={:016x}:{}", m.epoch, m.position) : "seq=1";
}

std::string resume::last_event_id(unsigned i) const {
  const member& m = members_[i];
  return m.has_joined ? fmt::format("{:016x}:{}", m.epoch, m.position) : std::string{};
}

// ---- hearing
// ----------------------------------------------------------------------------------------------------------

void resume::on_message(unsigned i, std::span<const std::byte> payload) {
  member& m = members_[i];
  if (m.awaits_hello) return on_hello(i, payload);
  const auto read = received_opcode() == opcode::text ? read_number(payload) : std::nullopt;
  if (!read) return hear(i, {}, payload);
  hear(i, read->number, payload.subspan(read->head_bytes));
}

// "gap" says what numbers and proof say besides, "close" what the end of the connection does. Of binary messages there are none.
void resume::on_event(unsigned i, const heard_event& event) {
  member& m = members_[i];
  const std::span<const std::byte> data = std::as_bytes(std::span{event.data});
  if (m.awaits_hello) return on_hello(i, event.name == "joined" ? data : std::span<const std::byte>{});
  if (event.name == "gap" || event.name == "close") return;
  const auto id = read_id(event.last_id);
  const bool is_ours = event.name == "message" && id && id->epoch == m.epoch;
  hear(i, is_ours ? std::optional{id->number} : std::nullopt, data);
}

void resume::hear(unsigned i, std::optional<std::uint64_t> number, std::span<const std::byte> text) {
  member& m = members_[i];
  last_arrival_ns_ = received_ns() - board_.epoch_ns();
  const auto tag = read_tag(text);
  // Both ends are here, so nothing about a message has to be believed.
  if (!number || !tag || tag->sender >= options_.senders || tag->number >= board_.published(tag->sender) ||
      text.size() != size_of_message(tag->sender, tag->number, options_.size_min, options_.size_max) || !filler_.matches(text, tag->number)) {
    ++proof_.corrupted;
    return;
  }
  take_number(m, *number, *tag);
  deliver(i, *tag);
  look_at_catching_up(i);
}

void resume::on_hello(unsigned i, std::span<const std::byte> payload) {
  member& m = members_[i];
  const auto told = read_hello(payload);
  if (!told)
    return fail(fmt::format("{} does not say where the room is: the first {} is JSON with epoch, seq and resumed", dialer_.where(),
                            is_event_stream(i) ? "event, joined," : "message of ?seq=1"));
  m.awaits_hello = false;
  m.newest = told->newest;
  if (!m.has_joined) {
    ++joined_;
    m.has_joined = m.knows_position = true;
    m.epoch = told->epoch;
    m.position = told->newest;
    if (!order_epoch_) {
      order_epoch_ = told->epoch;
      order_first_ = told->newest + 1;
    }
    return;
  }
  --away_;
  ++(told->resumed ? result_.resuming.resumed : result_.resuming.not_resumed);
  if (!told->resumed) {
    m.knows_position = false;
    if (told->epoch != m.epoch) m.position = 0;
    m.epoch = told->epoch;
  }
  m.is_catching_up = true;
  look_at_catching_up(i);
}

void resume::look_at_catching_up(unsigned i) {
  member& m = members_[i];
  if (!m.is_catching_up || m.position < m.newest) return;
  m.is_catching_up = false;
  const std::int64_t now = received_ns() - board_.epoch_ns();
  if (measuring_) result_.catch_up.record(now - m.dialed_ns);
  plan_next_cut(i, now);
  if (options_.cut_all && --to_catch_up_ == 0) {
    result_.storm_end_ns = now;
    result_.storms = 1;
  }
}

void resume::take_number(member& m, std::uint64_t number, const message_tag& tag) {
  const bool is_next = !m.knows_position || number == m.position + 1;
  m.knows_position = true;
  m.position = number;
  if (m.is_catching_up && number <= m.newest) ++result_.resuming.replayed;
  bool is_same = true;
  if (m.epoch == order_epoch_ && number >= order_first_ && number - order_first_ < positions_compared_max) {
    const std::size_t at = number - order_first_;
    const std::uint64_t what = (std::uint64_t{tag.sender} << 32 | tag.number) + 1; // 0: nobody has heard it yet.
    if (order_.size() <= at) order_.resize(at + 1);
    if (order_[at] == 0) order_[at] = what;
    is_same = order_[at] == what;
  }
  if (!is_next || !is_same) ++result_.resuming.misnumbered;
}

void resume::deliver(unsigned i, const message_tag& tag) {
  member& m = members_[i];
  const arrival how = ledger_.take(pair_of(i, tag.sender), tag.number);
  if (how == arrival::repeated) {
    ++proof_.duplicated;
    return;
  }
  if (how == arrival::late) ++proof_.reordered;
  ++m.heard;
  ++proof_.delivered;
  if (!measuring_) return;
  ++result_.deliveries;
  // What was said while it was away is as old as it was away, which says nothing of the server.
  const bool is_live = m.position > m.newest;
  if (is_live && tag.ticks * tick_ns >= start_ns_ - tick_ns) result_.corrected.record(last_arrival_ns_ - tag.ticks * tick_ns);
}

std::int64_t resume::all_back_ns() const { return stop_ns_ + static_cast<std::int64_t>(cut_longest * options_.cut_s * 1e9); }

bool resume::has_everything(unsigned i) const {
  std::uint64_t said = 0;
  for (unsigned s = 0; s < options_.senders; ++s) said += board_.published(s);
  return members_[i].heard == said;
}

bool resume::is_over(std::int64_t now) const {
  if (!board_.are_all_quiet() || away_ != 0) return false;
  if (now - std::max(last_arrival_ns_, stop_ns_) > patience_ns) return true;
  for (unsigned i = 0; i < size(); ++i) {
    if (!has_everything(i)) return false;
  }
  return true;
}

void resume::on_ended(unsigned i, stage was, const std::string& why) {
  fail(joined_ || was == stage::open ? fmt::format("connection {}: {}", ordinal(i), why) : why);
}

} // namespace ringcast::load

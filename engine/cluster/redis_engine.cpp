#include "engine/cluster/redis_engine.hpp"

#include "engine/base/keyed_hash.hpp"
#include "engine/base/log.hpp"
#include "engine/cluster/redis_script.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <fmt/format.h>
#include <utility>
#include <vector>

namespace ringcast::engine {

namespace {

// Nobody has had it before: the key of the hash is random.
std::uint64_t new_random() {
  static std::atomic<std::uint64_t> drawn;
  const std::uint64_t said[] = {drawn.fetch_add(1, std::memory_order_relaxed), 0x7265646973};
  return std::max<std::uint64_t>(keyed_hash(std::as_bytes(std::span{said})), 1);
}

std::string_view text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
std::span<const std::byte> bytes_of_text(std::string_view text) { return std::as_bytes(std::span{text}); }

// A server that answers so does not order rooms, now: another one does, or it will.
bool is_of_the_server(std::string_view error) {
  for (const std::string_view word : {"READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "WRONGPASS", "CLUSTERDOWN", "MOVED"})
    if (error.starts_with(word)) return true;
  return false;
}

std::optional<std::uint64_t> read_number(std::string_view text, int base = 10) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size() ? std::optional{number} : std::nullopt;
}

} // namespace

std::expected<redis_options, std::string> redis_options_of(const cluster_options& said) {
  auto to = parse_redis_url(said.redis);
  if (!to) return std::unexpected(to.error());
  // Where braces are, Redis Cluster would see another slot.
  if (said.prefix.empty() || said.prefix.find_first_of("{} \r\n") != std::string::npos)
    return std::unexpected(std::string{"the prefix of a cluster is some characters without braces and spaces"});
  if (said.messages_kept == 0 || said.seconds_kept == 0)
    return std::unexpected(std::string{"a cluster that keeps nothing loses what a server misses"});
  return redis_options{.to = std::move(*to), .prefix = said.prefix, .messages_kept = said.messages_kept, .kept_for_ms = said.seconds_kept * 1'000ULL};
}

redis_engine::redis_engine(ring& io, const redis_options& options)
    : options_(options), commands_{.link = redis_link(io, options_.to, 0), .asked_ = {}},
      subscriptions_{.link = redis_link(io, options_.to, redis_link::operations), .asked_ = {}} {}

std::string redis_engine::key_of(std::string_view room, std::string_view suffix) const {
  return fmt::format("{}:{{{}}}{}", options_.prefix, room, suffix);
}

std::string_view redis_engine::room_of(std::string_view channel) const {
  const std::size_t before = options_.prefix.size() + 2;
  return channel.size() > before + 1 ? channel.substr(before, channel.size() - before - 1) : std::string_view{};
}

// --- what is asked ---

void redis_engine::subscribe(std::string_view room) {
  append_command(subscriptions_.link.output(), {"SUBSCRIBE", key_of(room, "")});
  subscriptions_.asked_.push_back({.question = what::subscribe, .room = std::string{room}});
}

void redis_engine::unsubscribe(std::string_view room) {
  append_command(subscriptions_.link.output(), {"UNSUBSCRIBE", key_of(room, "")});
  subscriptions_.asked_.push_back({.question = what::unsubscribe, .room = std::string{room}});
}

void redis_engine::ask_top(std::string_view room) { ask_script(what::top, room, 0, "top", {}); }

void redis_engine::read(std::string_view room, std::uint64_t from) {
  ask_script(what::read, room, from, "read", {fmt::format("{}", from), fmt::format("{}", batches_at_once)});
}

void redis_engine::publish(std::string_view room, std::uint64_t id, std::uint32_t messages, std::span<const std::byte> batch) {
  ask_script(what::publish, room, id, "publish",
             {fmt::format("{}", messages), fmt::format("{}", options_.messages_kept), key_of(room, ""), text_of(batch)});
}

void redis_engine::ask_script(what question, std::string_view room, std::uint64_t id, std::string_view kind,
                              std::initializer_list<std::string_view> more) {
  const std::string hash = key_of(room, ":m"), stream = key_of(room, ":s");
  const std::string epoch = fmt::format("{:016x}", new_random()), kept_for = fmt::format("{}", options_.kept_for_ms);
  std::array<std::string_view, 4> rest{};
  std::ranges::copy(more, rest.begin());
  asked made{.question = question, .room = std::string{room}, .id = id};
  switch (more.size()) {
  case 0: append_command(made.command, {"EVALSHA", script_name_, "2", hash, stream, kind, epoch, kept_for}); break;
  case 2: append_command(made.command, {"EVALSHA", script_name_, "2", hash, stream, kind, epoch, kept_for, rest[0], rest[1]}); break;
  default: append_command(made.command, {"EVALSHA", script_name_, "2", hash, stream, kind, epoch, kept_for, rest[0], rest[1], rest[2], rest[3]});
  }
  if (forgotten_)
    meanwhile_.push_back(std::move(made));
  else
    put(std::move(made));
}

void redis_engine::put(asked&& question) {
  commands_.link.output().append(question.command);
  commands_.asked_.push_back(std::move(question));
}

void redis_engine::send() {
  commands_.link.send();
  subscriptions_.link.send();
}

// --- what is answered ---

void redis_engine::on_completion(const completion& done) {
  (done.tag.slot < redis_link::operations ? commands_ : subscriptions_).link.on_completion(done);
}

void redis_engine::poll() {
  for (side* const s : {&commands_, &subscriptions_}) {
    if (s->link.now() == redis_link::state::open && !s->greeted && s->asked_.empty()) greet(*s);
    while (const auto reply = s->link.next()) {
      if (s == &commands_)
        on_command_reply(reply->value());
      else
        on_subscription_reply(reply->value());
    }
  }
  if (up_ && (commands_.link.now() != redis_link::state::open || subscriptions_.link.now() != redis_link::state::open))
    close_both(commands_.link.now() != redis_link::state::open ? commands_.link.why() : subscriptions_.link.why());
  if (std::exchange(down_untold_, false)) listener_->on_down(why_down_);
  if (!up_ && commands_.greeted && subscriptions_.greeted) {
    up_ = true;
    attempts_ = 0;
    why_said_.clear();
    listener_->on_up();
  }
}

// Who we are; on the side of the commands, that the script is there, and that this server orders anything at all.
void redis_engine::greet(side& s) {
  std::string& out = s.link.output();
  const redis_address& to = options_.to;
  if (!to.user.empty() || !to.password.empty()) {
    if (to.user.empty())
      append_command(out, {"AUTH", to.password});
    else
      append_command(out, {"AUTH", to.user, to.password});
    s.asked_.push_back({.question = what::greeting});
  }
  if (&s == &subscriptions_) {
    append_command(out, {"PING"});
    s.asked_.push_back({.question = what::ping});
    return;
  }
  if (to.database != 0) {
    append_command(out, {"SELECT", fmt::format("{}", to.database)});
    s.asked_.push_back({.question = what::greeting});
  }
  append_command(out, {"SCRIPT", "LOAD", redis_script});
  s.asked_.push_back({.question = what::load});
  append_command(out, {"ROLE"});
  s.asked_.push_back({.question = what::role});
}

void redis_engine::on_command_reply(const resp_value& reply) {
  if (commands_.asked_.empty()) return close_both("it answers what nobody has asked");
  asked question = std::move(commands_.asked_.front());
  commands_.asked_.pop_front();
  if (!reply.is_error()) {
    on_answer(question, reply);
  } else if (reply.text().starts_with("NOSCRIPT")) {
    // All that is on its way behind it fails like that, too: it is said again behind them, in its order.
    forgotten_ = true;
    again_.push_back(std::move(question));
  } else {
    on_error(question, reply.text());
  }
  if (forgotten_ && commands_.asked_.empty()) say_again();
}

void redis_engine::say_again() {
  forgotten_ = false;
  append_command(commands_.link.output(), {"SCRIPT", "LOAD", redis_script});
  commands_.asked_.push_back({.question = what::load});
  for (std::deque<asked>* const questions : {&again_, &meanwhile_})
    for (asked& question : std::exchange(*questions, {})) put(std::move(question));
}

void redis_engine::on_error(const asked& question, std::string_view why) {
  if (question.question <= what::ping || is_of_the_server(why)) return close_both(why);
  if (question.question == what::publish)
    listener_->on_refused(question.id, why);
  else
    listener_->on_failed(question.room, why);
}

void redis_engine::on_answer(const asked& question, const resp_value& reply) {
  const auto epoch = reply[0].number(16);
  switch (question.question) {
  case what::load: script_name_ = reply.text(); return;
  case what::role:
    if (reply[0].text() != "master") return close_both("it is a replica");
    commands_.greeted = true;
    return;
  case what::ping: commands_.pinged = false; return;
  case what::top: {
    const auto sequence = reply[1].number(), base = reply[2].number();
    if (!epoch || !sequence || !base) return listener_->on_failed(question.room, "it does not say where the room stands");
    return listener_->on_top(question.room, {*epoch, *sequence, *base});
  }
  case what::publish: {
    const auto first = reply[1].number();
    if (!epoch || !first) return listener_->on_refused(question.id, "it does not say which number it has given");
    return listener_->on_published(question.id, {*epoch, *first});
  }
  case what::read: {
    std::vector<cluster_batch> batches;
    const resp_value entries = reply[1];
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::string_view id = entries[i][0].text();
      const resp_value fields = entries[i][1];
      const auto last = read_number(id.substr(0, id.find('-'))), messages = fields[1].number();
      if (!last || !messages || *messages == 0 || *messages > *last || *messages > UINT32_MAX) continue; // told as a gap
      batches.push_back({*last + 1 - *messages, static_cast<std::uint32_t>(*messages), bytes_of_text(fields[3].text())});
    }
    if (!epoch) return listener_->on_failed(question.room, "it does not say of which epoch it tells");
    return listener_->on_range(question.room, question.id, *epoch, batches, entries.size() == batches_at_once);
  }
  case what::greeting:
  case what::subscribe:
  case what::unsubscribe: return;
  }
}

void redis_engine::on_subscription_reply(const resp_value& reply) {
  if (reply[0].text() == "message") return on_message(reply[1].text(), reply[2].text());
  if (subscriptions_.asked_.empty()) return close_both("it answers what nobody has asked");
  const asked question = std::move(subscriptions_.asked_.front());
  subscriptions_.asked_.pop_front();
  if (reply.is_error()) return on_error(question, reply.text());
  switch (question.question) {
  case what::ping:
    subscriptions_.greeted = true;
    subscriptions_.pinged = false;
    return;
  case what::subscribe: return listener_->on_subscribed(question.room);
  default: return;
  }
}

// "EPOCH:FIRST:COUNT\n" and the batch. What is none is told as a gap, when the next one comes or the room is compared.
void redis_engine::on_message(std::string_view channel, std::string_view text) {
  const std::size_t line = text.find('\n');
  if (line == std::string_view::npos) return;
  const std::string_view head = text.substr(0, line);
  const std::size_t first_at = head.find(':'), count_at = head.rfind(':');
  if (first_at == std::string_view::npos || count_at <= first_at) return;
  const auto epoch = read_number(head.substr(0, first_at), 16), first = read_number(head.substr(first_at + 1, count_at - first_at - 1)),
             count = read_number(head.substr(count_at + 1));
  if (!epoch || !first || !count || *first == 0 || *count == 0 || *count > UINT32_MAX || *first > UINT64_MAX - *count) return;
  listener_->on_batch(room_of(channel), *epoch, {*first, static_cast<std::uint32_t>(*count), bytes_of_text(text.substr(line + 1))});
}

// --- it comes and goes ---

// Views of a connection's own words do not outlive it.
void redis_engine::close_both(std::string_view said) {
  const std::string why{said};
  for (side* const s : {&commands_, &subscriptions_}) {
    s->link.close(why);
    s->asked_.clear();
    s->greeted = s->pinged = false;
  }
  again_.clear();
  meanwhile_.clear();
  forgotten_ = attempting_ = false;
  if (std::exchange(up_, false)) {
    down_untold_ = true;
    why_down_ = why;
  } else {
    note_why(why);
  }
  const std::uint64_t delay_ms = std::min(delay_ms_max, delay_ms_min << std::min(attempts_++, 10u));
  next_attempt_ms_ = now_ms_ + delay_ms / 2 + new_random() % (delay_ms / 2);
}

void redis_engine::note_why(const std::string& why) {
  if (std::exchange(why_said_, why) != why) log_warning("there is no engine of the cluster at {}: {}", options_.to.text(), why);
}

void redis_engine::on_tick(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  for (side* const s : {&commands_, &subscriptions_}) look_at(*s, now_ms);
  const auto is_gone = [](const side& s) { return s.link.now() == redis_link::state::apart; };
  if (attempting_ && !up_ && (is_gone(commands_) || is_gone(subscriptions_)))
    close_both(is_gone(commands_) ? commands_.link.why() : subscriptions_.link.why());
  if (!is_gone(commands_) || !is_gone(subscriptions_) || now_ms < next_attempt_ms_) return;
  attempting_ = true;
  commands_.link.begin(now_ms);
  subscriptions_.link.begin(now_ms);
}

void redis_engine::look_at(side& s, std::uint64_t now_ms) {
  s.link.on_tick(now_ms);
  if (s.link.now() != redis_link::state::open) return;
  const std::uint64_t silent_ms = now_ms - s.link.heard_ms();
  if (silent_ms >= silence_ms_max && !s.asked_.empty()) return close_both("it has not answered for two seconds");
  if (silent_ms < silence_ms_max / 2 || s.pinged || !s.greeted) return;
  s.pinged = true;
  append_command(s.link.output(), {"PING"});
  s.asked_.push_back({.question = what::ping});
  s.link.send();
}

bool redis_engine::end() {
  const bool first = commands_.link.end();
  return subscriptions_.link.end() && first;
}

} // namespace ringcast::engine

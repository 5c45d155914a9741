#include "engine/room/home_cluster.hpp"

#include "engine/base/keyed_hash.hpp"
#include "engine/base/log.hpp"
#include "engine/base/log_rate.hpp"
#include <ringcast/detail/clock.hpp>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

namespace ringcast::engine {

namespace {

// No other shard and no other process has the same: the key of the hash is random.
std::uint64_t new_writer() {
  static std::atomic<std::uint64_t> writers;
  const std::uint64_t said[] = {writers.fetch_add(1, std::memory_order_relaxed), 0x636c7573746572};
  return keyed_hash(std::as_bytes(std::span{said}));
}

void log_refused(std::string_view what, std::string_view room, std::string_view why) {
  static constinit log_rate rate;
  const auto [may_say, left_out] = rate.ask(now_ms());
  if (may_say) log_warning("the engine of the cluster refused {} {}: {} (and {} others before)", what, room, why, left_out);
}

} // namespace

home_cluster::home_cluster(home_table& homes, cluster_engine& engine) : homes_(homes), engine_(engine), own_(new_writer()) { engine.tell(*this); }

// --- rooms come and go ---

void home_cluster::made(home_room& home) {
  home.cluster = std::make_unique<clustered>();
  home.cluster->place = rooms_.size();
  rooms_.push_back(&home);
}

void home_cluster::forgotten(const home_room& home) {
  const std::size_t place = home.cluster->place;
  rooms_[place] = rooms_.back();
  rooms_[place]->cluster->place = place;
  rooms_.pop_back();
}

bool home_cluster::needs(home_room& home) const {
  const clustered& state = *home.cluster;
  if (state.at != clustered::step::apart || state.is_sending || !state.sent.empty()) return true;
  return home.rate.ms_until(home.rules->messages, homes_.now_ms_, token_bucket::tokens_max) > 0;
}

home_room* home_cluster::find(std::string_view room) {
  const auto found = homes_.rooms_.find(room);
  return found == homes_.rooms_.end() || found->second->cluster == nullptr ? nullptr : found->second.get();
}

void home_cluster::members_changed(home_room& home) {
  clustered& state = *home.cluster;
  if (home.members() == 0) {
    state.empty_since_ms = homes_.now_ms_;
  } else if (state.at == clustered::step::apart && engine_.is_up()) {
    begin(home);
  }
}

bool home_cluster::admits(home_room& home, std::uint32_t shard, const claim_record& claim, std::string_view name) {
  clustered& state = *home.cluster;
  if (state.at == clustered::step::live) return true;
  state.claims.push_back({shard, claim, std::string{name}});
  if (!engine_.is_up()) refuse_claims(state);
  return false;
}

void home_cluster::refuse_claims(clustered& state) {
  for (const clustered::waiting_claim& waits : std::exchange(state.claims, {}))
    homes_.courier_.deliver(waits.shard, record_kind::claim_answer,
                            bytes_of(claim_answer_record{.claim = waits.claim, .verdict = claim_verdict::unavailable, .heard = nullptr}),
                            std::as_bytes(std::span{waits.name}));
}

// Nobody has been here for a while. What is kept would not be kept up any more, so it goes.
void home_cluster::leave(home_room& home) {
  clustered& state = *home.cluster;
  if (engine_.is_up()) command().unsubscribe(home.name);
  state.at = clustered::step::apart;
  state.is_known = false;
  drop_held(state);
  homes_.drop_history(home);
  settle_sent(home);
  homes_.forget(home);
}

// --- where a room stands ---

void home_cluster::begin(home_room& home) {
  home.cluster->at = clustered::step::subscribing;
  command().subscribe(home.name);
}

void home_cluster::ask(home_room& home) {
  clustered& state = *home.cluster;
  state.at = clustered::step::asking;
  state.checked_ms = homes_.now_ms_;
  for (clustered::held_batch& held : state.held) held.asked = true;
  command().ask_top(home.name);
}

void home_cluster::read_until(home_room& home, std::uint64_t wanted) {
  home.cluster->at = clustered::step::reading;
  home.cluster->wanted = wanted;
  command().read(home.name, home.next_sequence);
}

void home_cluster::on_subscribed(std::string_view room) {
  home_room* const home = find(room);
  if (home != nullptr && home->cluster->at == clustered::step::subscribing) ask(*home);
}

void home_cluster::on_top(std::string_view room, const cluster_top& top) {
  home_room* const home = find(room);
  if (home == nullptr) return;
  clustered& state = *home->cluster;
  const bool was_compared = std::exchange(state.is_compared, false);
  if (state.at == clustered::step::apart || state.at == clustered::step::subscribing) return;
  if (!state.is_known) {
    // Its history is what the engine has of it: somebody who comes from another machine goes on here.
    const std::uint64_t kept = std::min(top.sequence, home->rules->history.messages);
    home->epoch = top.epoch;
    home->next_sequence = home->published_end = top.sequence + 1 - kept;
    state.is_known = true;
  } else if (top.epoch != home->epoch) {
    begin_anew(*home, top);
  } else if (state.at == clustered::step::reading) {
    return;
  }
  if (home->next_sequence <= top.sequence) {
    if (state.at == clustered::step::live && was_compared) {
      command().subscribe(home->name);
    }
    read_until(*home, top.sequence);
  } else if (state.at != clustered::step::live) {
    become_live(*home);
  }
}

void home_cluster::on_range(std::string_view room, std::uint64_t from, std::uint64_t epoch, std::span<const cluster_batch> batches, bool more) {
  home_room* const home = find(room);
  if (home == nullptr || home->cluster->at != clustered::step::reading || home->next_sequence != from) return;
  if (epoch != home->epoch) return ask(*home);
  for (const cluster_batch& batch : batches) {
    if (batch.end() <= home->next_sequence) continue;
    if (batch.first > home->next_sequence) lose(*home, batch.first);
    take(*home, batch);
  }
  if (home->next_sequence <= home->cluster->wanted) {
    if (more && home->next_sequence > from) return read_until(*home, home->cluster->wanted);
    lose(*home, home->cluster->wanted + 1);
  }
  become_live(*home);
}

void home_cluster::become_live(home_room& home) {
  clustered& state = *home.cluster;
  state.at = clustered::step::live;
  while (state.at == clustered::step::live && !state.held.empty()) {
    const clustered::held_batch& oldest = state.held.front();
    if (!take_live(home, oldest.epoch, {oldest.first, oldest.messages, oldest.bytes}, oldest.asked)) return;
    state.held_bytes -= oldest.bytes.size();
    state.held.pop_front();
  }
  if (state.at != clustered::step::live) return;
  settle_sent(home);
  if (std::exchange(state.told_lost, false)) tell(home, cluster_state::back);
  // What was read is a part of what they hear.
  if (home.published_end != home.next_sequence) homes_.publish(home);
  for (const clustered::waiting_claim& waits : std::exchange(state.claims, {})) homes_.answer_claim(waits.shard, waits.claim, waits.name);
}

// --- what comes ---

void home_cluster::on_batch(std::string_view room, std::uint64_t epoch, const cluster_batch& batch) {
  home_room* const home = find(room);
  if (home == nullptr) return;
  clustered& state = *home->cluster;
  if (state.at == clustered::step::apart) return;
  if (state.at != clustered::step::live || !take_live(*home, epoch, batch, false)) hold(state, epoch, batch);
}

void home_cluster::hold(clustered& state, std::uint64_t epoch, const cluster_batch& batch) {
  if (state.held_bytes + batch.bytes.size() > clustered::held_bytes_max) return;
  state.held_bytes += batch.bytes.size();
  state.held.push_back({epoch, batch.first, batch.messages, false, {batch.bytes.begin(), batch.bytes.end()}});
}

void home_cluster::drop_held(clustered& state) {
  state.held.clear();
  state.held_bytes = 0;
}

bool home_cluster::take_live(home_room& home, std::uint64_t epoch, const cluster_batch& batch, bool asked) {
  if (epoch != home.epoch) {
    // The engine was asked behind it, and knows another epoch: this one is over.
    if (asked) return true;
    ask(home);
    return false;
  }
  if (batch.end() <= home.next_sequence) return true; // it was read
  if (batch.first > home.next_sequence) {
    read_until(home, batch.first - 1);
    return false;
  }
  take(home, batch);
  return true;
}

// Begins with the next number or in front of it, and ends behind it.
void home_cluster::take(home_room& home, const cluster_batch& batch) {
  const auto view = batch_view::read(batch.bytes, batch.messages);
  if (!view) return lose(home, batch.end());
  const auto ours = view->writer == own_ ? sent_.find(view->id) : sent_.end();
  const bool is_ours = ours != sent_.end() && ours->second.room == home.name && ours->second.authors.size() == batch.messages;
  for (std::size_t i = home.next_sequence - batch.first; i < view->messages.size(); ++i) {
    try {
      append(home, view->messages[i], is_ours ? ours->second.authors[i] : clustered::author{.hears = true});
    } catch (const std::bad_alloc&) {
      // Nobody hears it, and everybody is told so.
      lose(home, batch.first + i + 1);
    }
  }
  if (is_ours) end_sent(ours->first);
}

void home_cluster::append(home_room& home, const batch_message& message, const clustered::author& by) {
  if (by.report_id != 0) home.reports.push_back({by.shard, by.report_id, home.next_sequence});
  homes_.append(home, message.op, message.payload, by.connection, by.hears);
}

// What is in front of `end` will not come any more.
void home_cluster::lose(home_room& home, std::uint64_t end) { break_log(home, end, false); }

// What had numbers before may have been lost, and others have got them.
void home_cluster::begin_anew(home_room& home, const cluster_top& top) {
  homes_.publish(home);
  home.epoch = top.epoch;
  break_log(home, top.base + 1, true);
}

void home_cluster::break_log(home_room& home, std::uint64_t next, bool anew) {
  ++(anew ? counters_.resets : counters_.gaps);
  homes_.publish(home);
  homes_.drop_history(home);
  home.next_sequence = home.published_end = next;
  for (const home_room::branch& b : home.branches)
    if (b.members > 0)
      homes_.courier_.deliver(b.shard, record_kind::log_break, bytes_of(log_break_record{b.room, {anew ? home.epoch : 0, next - 1}}), {});
}

// --- what is said ---

void home_cluster::publish(home_room& home, const clustered::author& by, opcode op, std::span<const std::byte> payload) {
  clustered& state = *home.cluster;
  if (!engine_.is_up() || sent_bytes_ + payload.size() > sent_bytes_max) return refuse(by);
  state.batch.append(op, payload);
  state.authors.push_back(by);
  sent_bytes_ += payload.size();
  if (state.is_sending) return;
  state.is_sending = true;
  sending_.push_back(&home);
}

void home_cluster::send() {
  for (home_room* const home : sending_) {
    clustered& state = *home->cluster;
    state.is_sending = false;
    const std::uint64_t id = ++last_id_;
    sent_.emplace(id, sent_batch{.room = home->name, .bytes = state.batch.payload_bytes(), .authors = std::move(state.authors)});
    state.sent.push_back(id);
    command().publish(home->name, id, state.batch.messages(), state.batch.finish(own_, id));
    state.batch = {};
    state.authors.clear();
  }
  sending_.clear();
  engine_.send();
}

void home_cluster::on_published(std::uint64_t id, const room_position& first) {
  const auto found = sent_.find(id);
  if (found == sent_.end()) return; // it has come back already
  found->second.first = first;
  if (home_room* const home = find(found->second.room)) {
    settle_sent(*home);
    homes_.forget(*home);
  }
}

void home_cluster::on_refused(std::uint64_t id, std::string_view why) {
  const auto found = sent_.find(id);
  if (found == sent_.end()) return;
  log_refused("what was said in", found->second.room, why);
  for (const clustered::author& by : found->second.authors) refuse(by);
  end_sent(id);
}

// Of what the engine has numbered: whoever waits for a report has it when the message has come here and was given to the members. Where it does not
// come, because nobody listens here, or because it was lost behind that, its number is the report.
void home_cluster::settle_sent(home_room& home) {
  const clustered& state = *home.cluster;
  const bool comes = home.members() > 0 || state.at != clustered::step::apart;
  for (std::size_t i = state.sent.size(); i-- > 0;) {
    const std::uint64_t id = state.sent[i];
    const sent_batch& batch = sent_.at(id);
    if (batch.first.epoch == 0 && !batch.is_unknown) continue;
    if (comes && state.at != clustered::step::live) continue;
    if (comes && batch.first.epoch == home.epoch && batch.first.sequence >= home.next_sequence) continue;
    room_position at = batch.first;
    for (const clustered::author& by : batch.authors) {
      report(by, at);
      ++at.sequence;
    }
    end_sent(id);
  }
}

void home_cluster::end_sent(std::uint64_t id) {
  const auto ended = sent_.extract(id);
  sent_bytes_ -= ended.mapped().bytes;
  home_room* const home = find(ended.mapped().room);
  if (home == nullptr) return;
  std::erase(home->cluster->sent, id);
}

void home_cluster::report(const clustered::author& by, const room_position& at) {
  if (by.report_id == 0) return;
  homes_.courier_.deliver(by.shard, record_kind::report_expect,
                          bytes_of(report_expect_record{.report_id = by.report_id, .shards = 0, .position = at, .unavailable = at.epoch == 0}), {});
}

void home_cluster::refuse(const clustered::author& by) {
  report(by, {});
  if (by.connection != 0)
    homes_.courier_.deliver(by.shard, record_kind::cluster_notice,
                            bytes_of(cluster_notice_record{.room = {}, .connection = by.connection, .what = cluster_state::refused}), {});
}

// --- the engine comes and goes ---

void home_cluster::tell(home_room& home, cluster_state what) {
  for (const home_room::branch& b : home.branches)
    if (b.members > 0)
      homes_.courier_.deliver(b.shard, record_kind::cluster_notice, bytes_of(cluster_notice_record{.room = b.room, .connection = 0, .what = what}),
                              {});
}

void home_cluster::on_up() {
  log_info("the engine of the cluster is there");
  for (home_room* const home : rooms_)
    if (home->members() > 0) begin(*home);
}

void home_cluster::on_down(std::string_view why) {
  log_warning("the engine of the cluster is lost: {}", why);
  ++counters_.losses;
  for (home_room* const home : rooms_) {
    clustered& state = *home->cluster;
    const bool was_there = state.at != clustered::step::apart;
    state.at = clustered::step::apart;
    state.is_compared = false;
    drop_held(state);
    refuse_claims(state);
    if (was_there && !std::exchange(state.told_lost, true)) tell(*home, cluster_state::lost);
  }
  // Nobody knows of these: who waits is told so, and who listens hears them if they were taken.
  for (auto& [id, batch] : sent_) {
    if (batch.first.epoch != 0) continue;
    batch.is_unknown = true;
    for (clustered::author& by : batch.authors) {
      report(by, {});
      by.report_id = 0;
    }
  }
  for (home_room* const home : rooms_) settle_sent(*home);
}

void home_cluster::on_failed(std::string_view room, std::string_view why) {
  home_room* const home = find(room);
  if (home == nullptr) return;
  clustered& state = *home->cluster;
  state.is_compared = false;
  if (state.at == clustered::step::apart) return;
  log_refused("a question about", home->name, why);
  refuse_claims(state);
  if (state.at == clustered::step::live) return; // it is compared again
  if (!std::exchange(state.told_lost, true)) tell(*home, cluster_state::lost);
  state.at = clustered::step::apart; // look_at() begins anew
  state.checked_ms = homes_.now_ms_;
  drop_held(state);
}

// --- the clock ---

void home_cluster::on_tick() {
  engine_.on_tick(homes_.now_ms_);
  for (std::size_t looked = std::min(rooms_.size(), rooms_at_once); looked > 0 && !rooms_.empty(); --looked) {
    if (next_looked_at_ >= rooms_.size()) next_looked_at_ = 0;
    look_at(*rooms_[next_looked_at_++]);
  }
}

void home_cluster::look_at(home_room& home) {
  clustered& state = *home.cluster;
  if (home.members() == 0) {
    if (state.at == clustered::step::apart && !state.is_known) return homes_.forget(home);
    if (engine_.is_up() && state.claims.empty() && !state.is_sending && homes_.now_ms_ >= state.empty_since_ms + linger_ms) leave(home);
    return;
  }
  if (!engine_.is_up()) return;
  if (state.at == clustered::step::apart) {
    if (homes_.now_ms_ >= state.checked_ms + retry_interval_ms) begin(home);
    return;
  }
  if (state.at != clustered::step::live || homes_.now_ms_ < state.checked_ms + compare_interval_ms) return;
  state.checked_ms = homes_.now_ms_;
  state.is_compared = true;
  command().ask_top(home.name);
}

void home_cluster::stop() {
  for (home_room* const home : rooms_) refuse_claims(*home->cluster);
  for (auto& [id, batch] : sent_) {
    for (clustered::author& by : batch.authors) {
      report(by, {});
      by.report_id = 0;
    }
  }
}

} // namespace ringcast::engine

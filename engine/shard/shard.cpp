#include "engine/shard/shard.hpp"

#include "engine/room/home_cluster.hpp"

#include <ringcast/detail/assert.hpp>
#include <ringcast/detail/clock.hpp>
#include <ringcast/detail/waiter.hpp>

#include <algorithm>
#include <cstddef>

namespace ringcast::engine {

namespace {

thread_local shard* in_turn = nullptr;

// Several shards may take turns on one thread, as those of a simulation do.
class turn_scope {
 public:
  explicit turn_scope(shard& s) : before_(in_turn), here_(s.coroutines()) { in_turn = &s; }
  ~turn_scope() { in_turn = before_; }
  turn_scope(const turn_scope&) = delete;
  turn_scope& operator=(const turn_scope&) = delete;

 private:
  shard* before_;
  scheduler::scope here_;
};

} // namespace

shard* shard::current() { return in_turn; }

void shard::run() {
  while (turn()) {
  }
}

bool shard::turn() {
  const turn_scope here{*this};
  submit_and_wait();
  take_completions();
  take_records();
  expire_timers();
  run_callbacks();
  publish_and_flush();
  if (found_) count_turn();
  if (!stopping_.may_end() || (cluster_ != nullptr && !cluster_->end())) return true;
  ring_->submit(); // the last descriptors are closed
  mesh_.set_ended(index());
  return false;
}

// --- submit what the last turn prepared, and wait ---

void shard::submit_and_wait() {
  if (!doorbell_armed_) {
    doorbell_armed_ = true;
    ring_->arm_doorbell({operation::doorbell}, bell().fd(), &doorbell_value_);
  }
  accepting_.arm_accepts();
  ring_->submit_and_wait(plan_wait());
  bell().awake();
  ++counters_.turns;
  clock_.ns = engine::now_ns();
  clock_.ms = clock_.ns / 1'000'000;
}

wait_plan shard::plan_wait() {
  const std::uint32_t served = outbox_.members_served_by_last_flush();
  const bool rooms_busy = options_.coalesce_wait_us != 0 && served >= busy_turn_members;
  // Messages are worth the look; a handshake that is a few microseconds late is not.
  if (!rooms_busy && messages_came_ && idle_.look_again(clock_.ns)) return {.timeout_ns = 0};
  bell().prepare_sleep();
  if (has_work()) {
    bell().awake();
    return {.timeout_ns = 0};
  }
  wait_plan plan{.timeout_ns = UINT64_MAX};
  const std::uint64_t next = wheel_.next_deadline_ms();
  if (next != timer_wheel::never) plan.timeout_ns = next > clock_.ms ? (next - clock_.ms) * 1'000'000 : 1;
  // What the last flush left to settle is settled within a millisecond even if nothing happens.
  if (rooms_.has_unsettled()) plan.timeout_ns = std::min<std::uint64_t>(plan.timeout_ns, 1'000'000);
  if (rooms_busy) {
    // Rooms are busy: what else is published within a short wait goes out in the same sends. The wait ends when as many have said something
    // as were served. Answers to single connections gain nothing by waiting, and do not wait.
    plan.min_wait_us = options_.coalesce_wait_us;
    plan.batch = served;
  }
  return plan;
}

bool shard::has_orders() const {
  return mesh_.bell(index()).stop_asked() || draining_.has_step() || (options_.orders != nullptr && options_.orders->version() != orders_obeyed_);
}

bool shard::has_work() const {
  return port_.has_work() || inbox_.has_records() || receiving_.has_work() || input_.has_work() || tls_.has_work() || closing_.has_work() ||
         users_.has_untold() || connection_list_.has_work() || home_.has_unpublished() || stopping_.has_step() ||
         (clients_ != nullptr && clients_->has_ready()) || (cluster_ != nullptr && stop_.takes_publications && cluster_->has_work()) ||
         scheduler_.has_ready() || (!stop_.is_stopping && has_orders());
}

// --- completions ---

void shard::take_completions() {
  share_.begin();
  input_.begin_turn();
  messages_before_ = counters_.messages_received;
  const std::uint32_t completions = ring_->for_each_completion([this](const completion& done) { dispatch(done); });
  found_ = completions > 0 || port_.has_work() || inbox_.has_records();
  if (found_) {
    idle_.on_found();
    ledger_.note_busy_turn();
    messages_came_ = counters_.messages_received != messages_before_;
  }
  // The failures of one large flush may be more than the ring has places for; all of them belong to this turn.
  while (ring_->has_overflow()) {
    ring_->submit_and_wait({.timeout_ns = 0});
    ring_->for_each_completion([this](const completion& done) { dispatch(done); });
  }
  // The failures of the last flush stand before all other completions, so they are known now.
  outbox_.settle();
  rooms_.settle();
  home_.reclaim();
  closing_.shut_down_finished();
}

void shard::dispatch(const completion& done) {
  switch (done.tag.op) {
  case operation::receive: return receiving_.on_receive(done.tag, done);
  case operation::inline_send: return outbox_.on_inline_send_failed(done.tag, done.result);
  case operation::member_send: return outbox_.on_member_send_failed(done.tag, done.result);
  case operation::send: {
    connection* c = connections_.find(done.tag.slot, done.tag.generation);
    RINGCAST_ASSERT(c != nullptr);
    return outbox_.on_send(*c, done.result);
  }
  case operation::poll_receive: return receiving_.on_poll(done.tag, done);
  case operation::accept: return accepting_.on_accept(done.tag, done);
  case operation::doorbell: doorbell_armed_ = false; return;
  case operation::connect: return connecting_.on_connect(done.tag, done);
  case operation::cluster: return cluster_->on_completion(done);
  case operation::none:
  case operation::cancel:
  }
}

// --- mesh and inbox ---

void shard::take_records() {
  records_.drain_overflow();
  if (!stop_.is_stopping) [[likely]]
    obey_orders();
  records_.drain_mesh();
  records_.drain_inbox();
  if (cluster_ != nullptr && stop_.takes_publications) cluster_->poll();
  connection_list_.go_on();
  if (clients_ != nullptr) clients_->run_ready();
  // Input that waited for its share of a turn.
  tls_.continue_handshakes();
  input_.continue_stopped();
  input_.continue_waiting();
  receiving_.poll_again();
}

// What a server asks of all its shards, whatever else they are doing.
void shard::obey_orders() {
  if (options_.orders != nullptr && options_.orders->version() != orders_obeyed_) [[unlikely]] {
    server_orders::orders given = options_.orders->given();
    orders_obeyed_ = given.version;
    if (given.changed) change(std::move(*given.changed));
    if (given.drain) draining_.begin(*given.drain);
  }
  if (draining_.has_step()) [[unlikely]]
    draining_.go_on();
  if (bell().stop_asked()) [[unlikely]]
    stopping_.begin();
}

void shard::change(running_options to) {
  options_.limits = to.limits;
  options_.allowed_origins = std::move(to.allowed_origins);
  connections_.for_each([this](connection& c) { watch_.on_changed_limits(c); });
}

// --- timers ---

void shard::expire_timers() {
  wheel_.expire(clock_.ms, [this](timer_node& node) { on_timer(node); });
  ledger_.bound();
}

void shard::on_timer(timer_node& node) {
  if (node.kind == waiter::timer_kind) return waiter::on_timer(node);
  switch (static_cast<shard_timer>(node.kind)) {
  case shard_timer::accept: return accepting_.on_timer();
  case shard_timer::stop: return stopping_.on_timer();
  case shard_timer::trim: return ledger_.on_trim();
  case shard_timer::history: return keep_history();
  case shard_timer::drain: return draining_.on_timer();
  case shard_timer::cluster: return on_cluster_tick();
  case shard_timer::client: return clients_->on_timer(node);
  case shard_timer::connection: break;
  }
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winvalid-offsetof"
  // The node is a member of a connection; every compiler that ringcast supports lays it out at a fixed offset.
  watch_.on_timer(*reinterpret_cast<connection*>(reinterpret_cast<std::byte*>(&node) - offsetof(connection, timer)));
#pragma clang diagnostic pop
}

void shard::on_cluster_tick() {
  wheel_.arm(cluster_timer_, clock_.ms + cluster_tick_ms);
  home_.cluster()->on_tick();
}

void shard::keep_history() {
  home_.tell_counts();
  if (home_.expire() || home_.has_presence_due()) wheel_.arm(history_timer_, clock_.ms + history_interval_ms);
}

// --- callbacks ---

// What users have written: no list is half changed here, and what they say goes out with this turn.
void shard::run_callbacks() {
  run_clients_before_their_end();
  users_.run();
  if (scheduler_.has_ready()) {
    scheduler_.run_ready();
    users_.run();
  }
  closing_.release_ended();
}

// Before the turn says the Close frames of clients: what their coroutines and callbacks answer to the messages of this turn stands in front.
void shard::run_clients_before_their_end() {
  if (clients_ == nullptr || !users_.has_untold()) return;
  if (scheduler_.has_ready()) scheduler_.run_ready();
  clients_->run_ready();
}

// --- publish and flush ---

void shard::publish_and_flush() {
  // The logs of a shard that stops have an end, and what comes behind it is heard on other servers.
  if (cluster_ != nullptr) stop_.takes_publications ? home_.cluster()->send() : home_.cluster()->stop();
  home_.publish_spans();
  if ((home_.kept().bytes() > 0 || home_.has_readers() || home_.has_presence_due()) && !history_timer_.armed()) [[unlikely]]
    wheel_.arm(history_timer_, clock_.ms + history_interval_ms);
  if (stop_.is_stopping) [[unlikely]]
    stopping_.go_on();
  outbox_.flush();
  rooms_.end_turn();
  // The kernel gets its buffers back behind the sends that read from them: both are taken up by the next submit.
  buffers_.recycle();
  receiving_.cancel_receives();
  receiving_.rearm_parked();
  port_.flush();
}

// One look at the clock for all messages of the turn.
void shard::count_turn() {
  const std::uint64_t took_ns = engine::now_ns() - clock_.ns;
  counters_.turn_times.record(took_ns);
  const std::uint64_t messages = counters_.messages_received - messages_before_;
  if (messages > 0) counters_.receive_to_send.record(took_ns, messages);
}

// --- its end ---

void shard::end_tasks() {
  // What is left of handlers goes first: they hold seats and views, and may say something to other shards as they go.
  const turn_scope here{*this};
  scheduler_.destroy_tasks();
  port_.flush();
}

void shard::drop_rooms() {
  end_tasks();
  records_.drop_records();
  rooms_.clear();
  home_.drop_history();
  outbox_.settle();
  home_.reclaim();
}

} // namespace ringcast::engine

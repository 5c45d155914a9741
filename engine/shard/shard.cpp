#include "engine/shard/shard.hpp"

#include "engine/base/clock.hpp"
#include "engine/io/socket.hpp"

#include <algorithm>
#include <cstddef>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace ringcast {

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

shard::shard(std::uint32_t index, const shard_options& options, mesh& between, inbox& from_threads, const http_router& router,
             std::unique_ptr<ring> r)
    : room_host(index, options.compression.window()), options_(options), mesh_(between), port_(between, index), inbox_(from_threads), router_(router),
      ring_(std::move(r)), buffers_(*ring_, blocks_, receive_buffers, receive_buffer_bytes), timers_(ringcast::now_ms()),
      home_(blocks_, *this, index, between.shard_count(), compressor_, options_.compression),
      rooms_(*this, home_, between.shard_count(), between.record_bytes_max(), options.limits.send_queue_bytes_max, options.policy),
      outbox_(*this, rooms_, *ring_, blocks_), handlers_(*this), now_ms_(ringcast::now_ms()), idle_(options.spin_us * 1000ULL),
      scheduler_(timers_, &between.bell(index)) {
  reserve_descriptor_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  scheduler_.on_exception([this](std::exception_ptr thrown, const std::source_location& where) {
    try {
      std::rethrow_exception(std::move(thrown));
    } catch (...) {
      handlers_.log_thrown("the task", where);
    }
  });
}

shard::~shard() {
  for (const int listener : listeners_)
    if (listener >= 0) close_now(listener);
  if (reserve_descriptor_ >= 0) close_now(reserve_descriptor_);
  blocks_.give_back(hot_);
}

void shard::end_tasks() {
  // What is left of handlers goes first: they hold seats and views, and may say something to other shards as they go.
  const turn_scope here{*this};
  scheduler_.destroy_tasks();
  port_.flush();
}

void shard::drop_rooms() {
  end_tasks();
  drop_records();
  rooms_.clear();
  outbox_.settle();
  home_.reclaim();
}

void shard::add_listener(int listener, const tls_identity* identity) {
  listeners_.push_back(listener);
  identities_.push_back(identity);
  accept_armed_.push_back(false);
}

void shard::run() {
  while (turn()) {
  }
}

bool shard::turn() {
  const turn_scope here{*this};
  if (!doorbell_armed_) {
    doorbell_armed_ = true;
    ring_->arm_doorbell({operation::doorbell}, mesh_.bell(index_).fd(), &doorbell_value_);
  }
  for (std::uint32_t i = 0; i < listeners_.size(); ++i)
    if (listeners_[i] >= 0 && !accept_armed_[i] && !accept_failing_) arm_accept(i);

  ring_->submit_and_wait(plan_wait());
  mesh_.bell(index_).awake();
  ++counters_.turns;
  now_ns_ = ringcast::now_ns();
  now_ms_ = now_ns_ / 1'000'000;

  budget_.begin(work_done_elsewhere(), turn_work_bytes_max);
  // Those who are stopped from now on are continued in a later turn.
  stopped_before_.insert(stopped_before_.end(), stopped_.begin(), stopped_.end());
  stopped_.clear();

  const std::uint64_t messages = counters_.messages;
  const std::uint32_t completions = ring_->for_each_completion([this](const completion& done) { dispatch(done); });
  if (completions > 0 || port_.has_work() || inbox_.has_records()) {
    idle_.on_found();
    ++busy_turns_;
    messages_came_ = counters_.messages != messages;
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
  shut_down_finished();

  drain_overflow();
  if (!stopping_ && mesh_.bell(index_).stop_asked()) begin_stop();
  drain_mesh();
  inbox_.drain([this](std::uint32_t kind, std::span<const std::byte> bytes) { return record_work(index_, kind, bytes); }, records_work_per_turn_max);
  if (clients_ != nullptr) clients_->run_ready();
  continue_handshakes();
  receive_again();
  timers_.expire(now_ms_, [this](timer_node& node) { on_timer(node); });
  bound_memory();
  // What users have written: no list is half changed here, and what they say goes out with this turn.
  run_clients_before_their_end();
  handlers_.run();
  if (scheduler_.has_ready()) {
    scheduler_.run_ready();
    handlers_.run();
  }
  release_ended();

  home_.publish_spans();
  if (stopping_) [[unlikely]]
    go_on_with_stop();
  outbox_.flush();
  rooms_.end_turn();
  // The kernel gets its buffers back behind the sends that read from them: both are taken up by the next submit.
  buffers_.recycle();
  cancel_receives();
  rearm_parked();
  port_.flush();
  if (!may_end()) return true;
  ring_->submit(); // the last descriptors are closed
  mesh_.set_ended(index_);
  return false;
}

void shard::drain_mesh() {
  mesh_.drain(
      index_, [this](std::uint32_t from, std::uint32_t kind, std::span<const std::byte> bytes) { return record_work(from, kind, bytes); },
      records_work_per_turn_max);
}

// What did not fit into the lanes to other shards waits in our port, and above the bound nothing is taken in that would make more of it.
// It runs behind the completions, since records make output and the failures of the last flush come before any. Their records are taken
// meanwhile, so two shards that wait for each other both go on. A shard that is to stop takes nothing any more, so it has no need to wait;
// and one that waited for a shard that has ended would do so for ever.
void shard::drain_overflow() {
  port_.flush();
  if (port_.overflow_bytes() > mesh_overflow_bytes_max) ++counters_.turns_held_by_overflow;
  while (port_.overflow_bytes() > mesh_overflow_bytes_max && !mesh_.bell(index_).stop_asked() && port_.waits_for_the_living()) {
    drain_mesh();
    port_.flush();
    // Whoever makes room may need this core for it.
    std::this_thread::yield();
  }
}

void shard::dispatch(const completion& done) {
  switch (done.tag.op) {
  case operation::receive: return on_receive(done.tag, done);
  case operation::inline_send: return outbox_.on_inline_send_failed(done.tag, done.result);
  case operation::member_send: return outbox_.on_member_send_failed(done.tag, done.result);
  case operation::send: {
    connection* c = connections_.find(done.tag.slot, done.tag.generation);
    RINGCAST_ASSERT(c != nullptr);
    return outbox_.on_send(*c, done.result);
  }
  case operation::poll_receive: return on_poll(done.tag, done);
  case operation::accept: return on_accept(done.tag, done);
  case operation::doorbell: return on_doorbell();
  case operation::connect: return on_connect(done.tag, done);
  case operation::none:
  case operation::cancel:
  }
}

void shard::on_doorbell() { doorbell_armed_ = false; }

bool shard::has_work() const {
  return port_.has_work() || inbox_.has_records() || !poll_again_.empty() || !hellos_waiting_.empty() || !answers_waiting_.empty() ||
         !input_again_.empty() || !stopped_.empty() || !stopped_before_.empty() || !parked_.empty() || !finishing_.empty() || !ended_.empty() ||
         handlers_.has_untold() || home_.has_unpublished() || has_stop_step() || (clients_ != nullptr && clients_->has_ready()) ||
         scheduler_.has_ready() || (!stopping_ && mesh_.bell(index_).stop_asked());
}

wait_plan shard::plan_wait() {
  const std::uint32_t served = outbox_.members_served_by_last_flush();
  const bool rooms_busy = options_.coalesce_wait_us != 0 && served >= busy_turn_members;
  // Messages are worth the look; a handshake that is a few microseconds late is not.
  if (!rooms_busy && messages_came_ && idle_.look_again(now_ns_)) return {.timeout_ns = 0};
  doorbell& bell = mesh_.bell(index_);
  bell.prepare_sleep();
  if (has_work()) {
    bell.awake();
    return {.timeout_ns = 0};
  }
  wait_plan plan{.timeout_ns = UINT64_MAX};
  const std::uint64_t next = timers_.next_deadline_ms();
  if (next != timer_wheel::never) plan.timeout_ns = next > now_ms_ ? (next - now_ms_) * 1'000'000 : 1;
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

} // namespace ringcast

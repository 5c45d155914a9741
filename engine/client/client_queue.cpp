// The way of a client's messages on its shard: out of the queue that its users fill, to the connection, and what TCP took of them.
#include "engine/client/client_core.hpp"
#include "engine/client/client_host.hpp"
#include "engine/shard/shard.hpp"

#include <cstring>
#include <utility>

namespace ringcast::engine {

namespace {

// Buffers above this size go back when they have run empty.
constexpr std::size_t buffer_bytes_kept = 256 * 1024;

} // namespace

// The client has something to do: what its users queued, the answer to a name, or stop().
void client_core::run() {
  bool stopped = false;
  std::optional<std::pair<std::uint64_t, resolved_name>> answer;
  {
    const std::lock_guard lock(lock_);
    listed_ = false;
    commands_ = 0;
    stopped = stopped_;
    std::swap(outgoing_, taken_);
    answer = std::exchange(answer_, std::nullopt);
    home_ = host_;
  }
  if (home_ == nullptr) return;
  if (stopped) return detach();
  if (attached_self == nullptr) home_->attach(*this);
  if (answer && answer->first == attempt_ && step_ == step::resolving) {
    if (answer->second.addresses.empty()) {
      attempt_failed({.kind = client_error_kind::name_lookup, .text = answer->second.error});
    } else {
      addresses_ = std::move(answer->second.addresses);
      try_next_address();
    }
  }
  work_on_records();
}

void client_core::work_on_records() {
  std::span<const std::byte> rest = taken_.bytes();
  while (!rest.empty()) {
    record_head head;
    std::memcpy(&head, rest.data(), sizeof head);
    const std::span<const std::byte> bytes = rest.subspan(sizeof head, head.bytes);
    rest = rest.subspan(sizeof head + head.bytes);
    switch (head.kind) {
    case queued_kind::connect: begin_connecting(); break;
    case queued_kind::disconnect: begin_disconnecting(head.close_code, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}); break;
    default: take_message(head, bytes);
    }
  }
  tell_drained();
  taken_.clear();
  if (taken_.capacity() > buffer_bytes_kept) taken_.release();
}

void client_core::take_message(const record_head& head, std::span<const std::byte> payload) {
  const bool has_waiting = waiting_.size() > waiting_begin_;
  if (step_ == step::open && !has_waiting && !backed_up_ && hand_over(head, payload)) return;
  const bool offline = step_ == step::resolving || step_ == step::connecting || step_ == step::waiting;
  if (step_ == step::open || (offline && options_.offline == offline_policy::keep && head.kind != queued_kind::ping)) {
    waiting_.append(std::as_bytes(std::span{&head, 1}));
    waiting_.append(payload);
    return;
  }
  if (head.kind != queued_kind::ping) dropped_.fetch_add(1, std::memory_order_relaxed);
  forget_queued(sizeof head + payload.size());
}

// False when the connection takes nothing any more.
bool client_core::hand_over(const record_head& head, std::span<const std::byte> payload) {
  shard& own = home_->owner();
  connection* c = own.find(connection_);
  if (c == nullptr) return false;
  handed_.settle(own.output().taken_bytes(*c));
  const send_status result = own.websockets().send(*c, opcode_of(head.kind), payload);
  if (result == send_status::closed) return false;
  backed_up_ = result == send_status::above_watermark;
  if (head.kind != queued_kind::ping) note_handed(*c, head.bytes);
  forget_queued(sizeof head + payload.size());
  return true;
}

// Until the connection has enough, or all of it.
void client_core::hand_over_waiting(bool all) {
  backed_up_ = false;
  while (waiting_begin_ < waiting_.size() && step_ == step::open && (all || !backed_up_)) {
    const std::span<const std::byte> rest = std::as_const(waiting_).bytes().subspan(waiting_begin_);
    record_head head;
    std::memcpy(&head, rest.data(), sizeof head);
    if (!hand_over(head, rest.subspan(sizeof head, head.bytes))) return;
    waiting_begin_ += sizeof head + head.bytes;
  }
  if (waiting_begin_ < waiting_.size()) return;
  waiting_begin_ = 0;
  waiting_.clear();
  if (waiting_.capacity() > buffer_bytes_kept) waiting_.release();
  tell_drained();
}

void client_core::tell_drained() {
  if (!was_full_.load(std::memory_order_relaxed) || queued_bytes_.load(std::memory_order_relaxed) > options_.queue_bytes_max / 2) return;
  was_full_.store(false, std::memory_order_relaxed);
  if (step_ == step::open) tell("on_drain", events_.on_drain);
}

void client_core::hold_input(bool hold) {
  if (home_ != nullptr) home_->owner().connecting().hold_input(connection_, hold);
}

template <class Visit> void client_core::for_each_head(std::span<const std::byte> records, Visit&& visit) {
  while (!records.empty()) {
    record_head head;
    std::memcpy(&head, records.data(), sizeof head);
    records = records.subspan(sizeof head + head.bytes);
    visit(head);
  }
}

void client_core::drop_messages(std::span<const std::byte> records) {
  for_each_head(records, [this](const record_head& head) {
    if (head.kind == queued_kind::connect || head.kind == queued_kind::disconnect) return;
    if (head.kind != queued_kind::ping) dropped_.fetch_add(1, std::memory_order_relaxed);
    forget_queued(sizeof head + head.bytes);
  });
}

void client_core::drop_waiting() {
  drop_messages(std::as_const(waiting_).bytes().subspan(waiting_begin_));
  waiting_begin_ = 0;
  waiting_.release();
}

// --- what TCP has taken ---

void client_core::note_handed(const connection& c, std::uint32_t payload_bytes) {
  const outbox& output = home_->owner().output();
  handed_.add(output.taken_bytes(c) + output.untaken_bytes(c), payload_bytes);
  ++handed_count_;
  count_sent(c.behind != nullptr);
}

// What the next flush hands over counts as taken, as it does in the outbox.
void client_core::count_sent(bool some_waits) { sent_.store(handed_count_ - (some_waits ? handed_.untaken() : 0), std::memory_order_relaxed); }

void client_core::on_output_taken(std::uint64_t taken, bool more_waits) {
  handed_.settle(taken);
  count_sent(more_waits);
}

// The connection is over.
unsent_messages client_core::count_unsent(std::uint64_t taken) {
  handed_.settle(taken);
  const handed_messages::rest lost = handed_.give_up();
  handed_count_ -= lost.messages;
  count_sent(false);
  lost_.fetch_add(lost.messages, std::memory_order_relaxed);
  unsent_messages unsent{.lost = lost.messages, .lost_bytes = lost.payload_bytes};
  const auto keep = [&unsent](const record_head& head) {
    if (head.kind != queued_kind::text && head.kind != queued_kind::binary) return;
    ++unsent.kept;
    unsent.kept_bytes += head.bytes;
  };
  for_each_head(std::as_const(waiting_).bytes().subspan(waiting_begin_), keep);
  const std::lock_guard lock(lock_);
  if (options_.offline == offline_policy::keep) for_each_head(std::as_const(outgoing_).bytes(), keep);
  return unsent;
}

} // namespace ringcast::engine

#include <ringcast/sender.hpp>

#include "engine/base/limits.hpp"
#include "engine/mesh/inbox.hpp"
#include "engine/room/records.hpp"
#include "engine/server/websocket_session.hpp"
#include "engine/shard/shard.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

namespace ringcast {

using namespace engine;

namespace {

send_status status_of(inbox_result result) {
  switch (result) {
  case inbox_result::queued: return send_status::queued;
  case inbox_result::full: return send_status::dropped;
  case inbox_result::closed:
  case inbox_result::too_large: break;
  }
  return send_status::closed;
}

} // namespace

sender::sender(connection_handle connection, shard& owner, std::shared_ptr<sender_state> state)
    : connection_(connection), owner_(&owner), to_(&owner.from_threads()), state_(std::move(state)) {}

bool sender::is_open() const noexcept { return state_ != nullptr && state_->open.load(std::memory_order_relaxed); }

ready<send_status> sender::send(opcode op, std::span<const std::byte> payload) const {
  if (!is_open()) return {send_status::closed};
  if (shard::current() == owner_) {
    connection* c = owner_->find(connection_);
    if (c == nullptr) return {send_status::closed};
    if (c->behind != nullptr && c->behind->own_bytes() > high_watermark_bytes) return {send_status::dropped};
    return {owner_->websockets().send(*c, op, payload) == send_status::closed ? send_status::closed : send_status::queued};
  }
  const deliver_record head{.connection = connection_.value, .op = op, .close_code = 0};
  if (sizeof head + payload.size() <= to_->record_bytes_max())
    return {status_of(to_->push(static_cast<std::uint32_t>(record_kind::deliver), bytes_of(head), payload))};
  // Too large for a record: the bytes travel as memory that the shard frees.
  auto copied = std::make_unique_for_overwrite<std::byte[]>(payload.size());
  std::copy(payload.begin(), payload.end(), copied.get());
  const deliver_large_record large{head, copied.get(), payload.size()};
  const send_status status = status_of(to_->push(static_cast<std::uint32_t>(record_kind::deliver_large), bytes_of(large)));
  if (status == send_status::queued) (void)copied.release();
  return {status};
}

namespace {

// On the connection's shard. What was appended in this very turn may all go out with its flush: then there is no backlog, and nobody would tell
// of its end, so it is looked at again in the next.
void set_when_drained(shard& here, connection_handle who, const std::shared_ptr<sender_state>& state, const std::weak_ptr<event>& waits) {
  const std::shared_ptr<event> waiting = waits.lock();
  if (waiting == nullptr) return;
  connection* c = here.find(who);
  if (c == nullptr || here.output().waiting_bytes(*c) <= high_watermark_bytes) return waiting->set();
  if (c->behind != nullptr) {
    std::erase_if(state->draining, [](const auto& each) { return each.expired(); });
    return state->draining.push_back(waits);
  }
  auto again = std::make_unique<std::function<void(shard&)>>([who, state, waits](shard& there) { set_when_drained(there, who, state, waits); });
  if (here.from_threads().push(static_cast<std::uint32_t>(record_kind::run), bytes_of(run_message{again.get()})) != inbox_result::queued)
    return waiting->set();
  (void)again.release();
}

} // namespace

task<send_status> sender::drained(wait_limits limits) const {
  // The parts of this that are needed, since it may be gone when the wait is over.
  const auto state = state_;
  if (!is_open()) co_return send_status::closed;
  const auto room = std::make_shared<event>();
  auto asked = std::make_unique<std::function<void(shard&)>>(
      [who = connection_, state, waits = std::weak_ptr<event>{room}](shard& there) { set_when_drained(there, who, state, waits); });
  const send_status sent = status_of(to_->push(static_cast<std::uint32_t>(record_kind::run), bytes_of(run_message{asked.get()})));
  if (sent != send_status::queued) co_return sent;
  (void)asked.release();
  switch (co_await room->wait(std::move(limits))) {
  case wait_result::timed_out: co_return send_status::timed_out;
  case wait_result::stopped: co_return send_status::stopped;
  case wait_result::done: break;
  }
  co_return state->open.load(std::memory_order_relaxed) ? send_status::queued : send_status::closed;
}

ready<send_status> sender::ping(std::string_view payload) const {
  return send(opcode::ping, std::as_bytes(std::span{payload.substr(0, control_payload_bytes_max)}));
}

ready<send_status> sender::close(std::uint16_t code, std::string_view reason) const {
  if (!is_open()) return {send_status::closed};
  const deliver_record head{.connection = connection_.value, .op = opcode::close, .close_code = code};
  if (shard::current() == owner_) {
    if (connection* c = owner_->find(connection_)) owner_->close_websocket(*c, code, reason);
    return {send_status::queued};
  }
  reason = reason.substr(0, close_reason_bytes_max);
  return {status_of(to_->push(static_cast<std::uint32_t>(record_kind::close), bytes_of(head), std::as_bytes(std::span{reason})))};
}

} // namespace ringcast

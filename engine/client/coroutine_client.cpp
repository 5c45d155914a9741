#include <ringcast/coroutine_client.hpp>

#include "engine/base/limits.hpp"
#include "proto/byte_buffer.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringcast {

using namespace engine;

namespace {

// A wait for an event that wakes everybody who waits for it.
class [[nodiscard]] event_awaiter : waiter {
 public:
  event_awaiter(waiter_queue& queue, wait_limits limits) noexcept : queue_(queue), limits_(std::move(limits)) {}
  bool await_ready() noexcept { return is_over(limits_, at_stop::ends); }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    queue_.append(*this);
    wait(handle, limits_, at_stop::ends);
  }
  wait_result await_resume() noexcept { return finish(); }

 private:
  waiter_queue& queue_;
  wait_limits limits_;
};

} // namespace

struct coroutine_client::record_head {
  std::uint32_t bytes;
  opcode op;
  bool behind_gap;
  room_position at; // epoch 0: not known
};

struct coroutine_client::buffers {
  byte_buffer arrived; // messages that nobody has received
  byte_buffer reading; // those that receive() hands out
};

coroutine_client::coroutine_client(std::string_view url, client_options options)
    : client_(url, std::move(options), on_this_shard), messages_(std::make_unique<buffers>()) {
  const auto on_open = [this] {
    ++opens_;
    wake_all(connecting_);
  };
  client_.on_open(on_open);
  client_.on_reconnected(on_open);
  client_.on_message([this](const message_view& message) { keep(message.op, message.payload); });
  client_.on_control([this](opcode op, std::span<const std::byte> payload) {
    if (control_frames_wanted_) keep(op, payload);
  });
  client_.on_error([this](const client_error& error) { end_.http_status = error.http_status; });
  client_.on_gap([this](const room_position&, const room_position&) { gap_is_next_ = true; });
  client_.on_disconnected([this](std::uint16_t, std::string_view, const unsent_messages& unsent) { unsent_ = unsent; });
  client_.on_drain([this] { wake_all(sending_); });
  client_.on_close([this](std::uint16_t code, std::string_view reason, bool) {
    closed_ = true;
    end_.why = client_end::kind::closed;
    end_.code = code;
    end_.reason = reason;
    for (waiter_queue* queue : {&connecting_, &receiving_, &sending_, &closing_}) wake_all(*queue);
  });
}

coroutine_client::~coroutine_client() { client_.stop(); }

void coroutine_client::wake_all(waiter_queue& queue) {
  while (!queue.empty()) queue.front().complete(wait_result::done);
}

client_end coroutine_client::end_of(wait_result how) const {
  if (how == wait_result::timed_out) return {.why = client_end::kind::timed_out};
  if (how == wait_result::stopped) return {.why = client_end::kind::stopped};
  return end_;
}

task<std::expected<void, client_end>> coroutine_client::connect(wait_limits limits) {
  if (closed_) end_ = {};
  closed_ = false;
  // It may open and end again before this coroutine is resumed: then it was connected.
  const std::uint64_t opens_before = opens_;
  client_.connect();
  while (client_.state() != client_state::open && opens_ == opens_before && !closed_) {
    const wait_result how = co_await event_awaiter(connecting_, limits);
    if (how == wait_result::done) continue;
    (void)client_.disconnect();
    co_return std::unexpected(end_of(how));
  }
  if (closed_ && opens_ == opens_before) co_return std::unexpected(end_of(wait_result::done));
  co_return std::expected<void, client_end>{};
}

void coroutine_client::keep(opcode op, std::span<const std::byte> payload) {
  const bool behind_gap = !is_control(op) && std::exchange(gap_is_next_, false);
  const record_head head{
      .bytes = static_cast<std::uint32_t>(payload.size()), .op = op, .behind_gap = behind_gap, .at = client_.position().value_or(room_position{})};
  messages_->arrived.append(std::as_bytes(std::span{&head, 1}));
  messages_->arrived.append(payload);
  if (messages_->arrived.size() > high_watermark_bytes && !holding_) {
    holding_ = true;
    client_.hold_input(true);
  }
  // A receive() that waits goes on waiting behind a control frame.
  if (!receiving_.empty() && (!is_control(op) || awaits_frames_)) receiving_.front().complete(wait_result::done);
}

bool coroutine_client::has_record() const { return read_ < messages_->reading.size() || !messages_->arrived.empty(); }

bool coroutine_client::has_message(bool control_frames) {
  rest_ = {}; // receive_into() asks only when it has given out all of its message
  awaits_frames_ = control_frames;
  control_frames_wanted_ |= control_frames;
  while (!control_frames && has_record() && is_control(front_op())) (void)take();
  return has_record();
}

message_view coroutine_client::take() {
  if (read_ == messages_->reading.size()) turn_over();
  record_head head;
  std::memcpy(&head, messages_->reading.data() + read_, sizeof head);
  const std::span<std::byte> payload = messages_->reading.bytes().subspan(read_ + sizeof head, head.bytes);
  read_ += sizeof head + head.bytes;
  if (!is_control(head.op)) {
    behind_gap_ = head.behind_gap;
    if (head.at.epoch != 0) position_ = head.at;
  }
  return {.op = head.op, .payload = payload};
}

std::expected<message_view, client_end> coroutine_client::received(wait_result how, bool control_frames) {
  if (has_message(control_frames)) return take();
  return std::unexpected(end_of(how));
}

opcode coroutine_client::front_op() {
  if (read_ == messages_->reading.size()) turn_over();
  record_head head;
  std::memcpy(&head, messages_->reading.data() + read_, sizeof head);
  return head.op;
}

// What has arrived is handed out next.
void coroutine_client::turn_over() {
  messages_->reading.clear();
  std::swap(messages_->reading, messages_->arrived);
  read_ = 0;
  if (std::exchange(holding_, false)) client_.hold_input(false);
}

coroutine_client::receive_awaiter coroutine_client::receive(wait_limits limits) { return {*this, std::move(limits)}; }
coroutine_client::receive_frame_awaiter coroutine_client::receive_frame(wait_limits limits) { return {*this, std::move(limits)}; }

coroutine_client::receive_into_awaiter coroutine_client::receive_into(std::span<std::byte> into, wait_limits limits) {
  return {*this, into, std::move(limits)};
}

received_part coroutine_client::take_part(std::span<std::byte> into) {
  const std::size_t bytes = std::min(into.size(), rest_.size());
  if (bytes > 0) std::memcpy(into.data(), rest_.data(), bytes);
  rest_ = rest_.subspan(bytes);
  return {.op = rest_op_, .bytes = bytes, .end_of_message = rest_.empty()};
}

coroutine_client::send_awaiter coroutine_client::send(opcode op, std::span<const std::byte> payload, wait_limits limits) {
  return {*this, op, payload, std::move(limits)};
}
coroutine_client::send_awaiter coroutine_client::send_text(std::string_view text, wait_limits limits) {
  return send(opcode::text, std::as_bytes(std::span{text}), std::move(limits));
}
coroutine_client::send_awaiter coroutine_client::send_binary(std::span<const std::byte> bytes, wait_limits limits) {
  return send(opcode::binary, bytes, std::move(limits));
}

task<void> coroutine_client::close(std::uint16_t code, std::string_view reason) {
  if (client_.disconnect(code, reason) != send_status::queued) co_return;
  while (!closed_)
    if (co_await event_awaiter(closing_, {}) != wait_result::done) co_return;
}

} // namespace ringcast

#include "engine/server/websocket_session.hpp"

#include "engine/connection/handle_access.hpp"
#include "engine/room/outbox.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <limits>
#include <utility>

namespace ringcast::engine {

namespace {

// In front of a copied message, so that its answer can be framed in place like that of a received one.
constexpr std::size_t header_room = 16;
// A message up to this size is copied before a coroutine gets it. The coroutine may keep it as long as it likes, and a lease would keep the
// whole receive buffer with it, at most sixteen times what is leased; to copy as little as this costs less than to ask whether it will.
constexpr std::size_t copied_bytes_max = receive_buffer_bytes / 16 - header_room;
// Receive buffers that coroutines keep while they wait for something else: 4 MiB, as of hot buffers. Then larger messages are copied, too.
constexpr std::size_t leased_blocks_max = 4 * 1024 * 1024 / receive_buffer_bytes;

websocket_session& session_of(websocket_ref ws) { return *static_cast<websocket_session*>(ws.user()); }

struct coroutine_endpoint final : session_endpoint {
  explicit coroutine_endpoint(const upgrade_options& made_for);
  std::size_t held_bytes(const void* user) const override { return static_cast<const websocket_session*>(user)->held_bytes(); }
  void drop_waiting(void* user) const override { static_cast<websocket_session*>(user)->drop_waiting(); }

  upgrade_options options;
};

websocket_endpoint make_endpoint(const upgrade_options& options) {
  const auto milliseconds = [](const std::optional<std::chrono::milliseconds>& given) -> std::optional<std::uint32_t> {
    if (!given) return std::nullopt;
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(given->count(), 0, std::numeric_limits<std::int32_t>::max()));
  };
  return {.on_message = [](websocket_ref ws, const message_view& view) { session_of(ws).on_message(view); },
          .on_drain = [](websocket_ref ws) { session_of(ws).on_drain(); },
          .on_control = [](websocket_ref ws, opcode op, std::span<const std::byte> payload) { session_of(ws).on_control(op, payload); },
          .answers_pings = options.answer_pings,
          .message_bytes_max = options.message_bytes_max,
          .in_parts = options.in_parts,
          .ping_interval_ms = milliseconds(options.ping_interval),
          .pong_timeout_ms = milliseconds(options.pong_timeout),
          .idle_timeout_ms = milliseconds(options.idle_timeout),
          .rates = options.rates,
          .allowed_origins = options.allowed_origins,
          .on_gap = [](websocket_ref ws, std::uint64_t first, std::uint64_t last) { session_of(ws).on_gap({first, last}); },
          .on_reset = [](websocket_ref ws, const room_position&) { session_of(ws).on_gap({}); },
          .on_close =
              [](websocket_ref ws, std::uint16_t code, std::string_view reason) {
                session_of(ws).on_close(code, reason, handle_access::connection_of(ws).closing.state() != close_state::close_sent);
              },
          .subprotocols = options.subprotocols,
          .compression = options.compression,
          .is_internal = true};
}

coroutine_endpoint::coroutine_endpoint(const upgrade_options& made_for) : options(made_for) { endpoint = make_endpoint(made_for); }

} // namespace

// A program has a handful of sets of options, each found by comparing.
const websocket_endpoint& websocket_session::endpoint_of(shard& owner, const upgrade_options& options) {
  auto& known = owner.endpoints();
  for (const auto& each : known)
    if (static_cast<const coroutine_endpoint&>(*each).options == options) return each->endpoint;
  known.push_back(std::make_unique<coroutine_endpoint>(options));
  return known.back()->endpoint;
}

void websocket_session::attach(connection& c, std::string_view subprotocol) {
  connection_ = &c;
  handle_ = owner_->handle_of(c);
  subprotocol_ = subprotocol;
  ++references_;
}

void websocket_session::release() noexcept {
  if (--references_ > 0) return;
  drop_current();
  drop_waiting();
  delete this;
}

void websocket_session::drop_waiting() noexcept {
  for (; waiting_begin_ < waiting_.size(); ++waiting_begin_) owner_->blocks().give_back(waiting_[waiting_begin_].memory);
  waiting_bytes_ = 0;
}

std::size_t websocket_session::held_bytes() const {
  std::size_t sum = current_memory_.capacity + (current_lease_ != nullptr ? receive_buffer_bytes : 0);
  for (std::size_t i = waiting_begin_; i < waiting_.size(); ++i) sum += waiting_[i].memory.capacity;
  return sum;
}

// --- receiving ---

void websocket_session::on_message(const message_view& view) {
  if (receiving_ == nullptr || !receiving_->is_waiting() || waiting_begin_ < waiting_.size()) return enqueue(view);
  deliver(view);
}

void websocket_session::deliver(const message_view& view) {
  current_ = view;
  current_used_ = 0;
  current_unfinished_ = false;
  const bool large = view.in_receive_buffer && view.payload.size() > copied_bytes_max;
  const bool leasable = large && owner_->buffers().contains(view.payload.data()) && owner_->buffers().leased_blocks() < leased_blocks_max;
  // A large one stands in the hot buffer or in the connection's own block.
  const bool lendable = large && !leasable && owner_->received().can_lend(*connection_, view.payload);
  if (!leasable && !lendable) {
    const waiting_message kept = copy(view);
    current_ = kept.view;
    current_memory_ = kept.memory;
  }
  // The slot stays the connection's until the end of the turn, whatever the coroutine does to it.
  connection& from = *connection_;
  ++references_;
  receiving_->complete_now();
  // It did not come back: the bytes stay for it beyond this turn.
  if (has_current() && current_lease_ == nullptr && current_memory_.bytes == nullptr) {
    if (leasable) {
      current_lease_ = owner_->buffers().lease(current_.payload.data());
    } else {
      const receive_memory::lent_memory lent = owner_->received().lend(from, view.payload);
      current_memory_ = lent.memory;
      current_is_hot_ = lent.is_hot;
    }
  }
  release();
}

websocket_session::waiting_message websocket_session::copy(const message_view& view) {
  const block memory = owner_->blocks().take(header_room + view.payload.size());
  if (!view.payload.empty()) std::memcpy(memory.bytes + header_room, view.payload.data(), view.payload.size());
  return {memory, {.op = view.op, .payload = {memory.bytes + header_room, view.payload.size()}, .is_last = view.is_last, .in_receive_buffer = true}};
}

void websocket_session::enqueue(const message_view& view) {
  if (waiting_begin_ == waiting_.size()) waiting_.clear(), waiting_begin_ = 0;
  waiting_.push_back(copy(view));
  waiting_bytes_ += view.payload.size();
  if (connection_ != nullptr && (waiting_.size() - waiting_begin_ >= waiting_messages_max || waiting_bytes_ >= waiting_bytes_max))
    owner_->input().hold(*connection_);
}

bool websocket_session::take_waiting(bool control_frames) noexcept {
  while (waiting_begin_ < waiting_.size()) {
    const waiting_message next = waiting_[waiting_begin_++];
    waiting_bytes_ -= next.view.payload.size();
    if (waiting_begin_ == waiting_.size() && connection_ != nullptr) owner_->input().release(*connection_);
    if (is_control(next.view.op) && !control_frames) {
      owner_->blocks().give_back(next.memory);
      continue;
    }
    current_ = next.view;
    current_used_ = 0;
    current_memory_ = next.memory;
    return true;
  }
  return false;
}

void websocket_session::drop_current() noexcept {
  if (current_lease_ != nullptr) owner_->buffers().end_lease(current_lease_);
  if (current_is_hot_)
    owner_->received().give_back_hot(current_memory_);
  else if (current_memory_.bytes != nullptr)
    owner_->blocks().give_back(current_memory_);
  current_is_hot_ = false;
  current_lease_ = nullptr;
  current_memory_ = {};
  current_ = {};
  current_unfinished_ = false;
}

void websocket_session::on_control(opcode op, std::span<const std::byte> payload) {
  if (!wants_control_) return;
  enqueue({.op = op, .payload = {const_cast<std::byte*>(payload.data()), payload.size()}});
  if (receiving_ != nullptr && receiving_->is_waiting() && receiving_->control_frames_) receiving_->complete(wait_result::done);
}

void websocket_session::on_close(std::uint16_t code, std::string_view reason, bool by_peer) {
  if (by_peer && wants_control_ && code != 1006) {
    std::byte payload[control_payload_bytes_max];
    enqueue({.op = opcode::close, .payload = {payload, write_close_payload(payload, code, reason)}});
  }
  close_code_ = code;
  close_reason_ = reason;
  owner_->input().release(*connection_);
  connection_ = nullptr;
  if (shared_ != nullptr) shared_->open.store(false, std::memory_order_relaxed);
  if (receiving_ != nullptr && receiving_->is_waiting()) receiving_->complete(wait_result::done);
  on_drain();
  release();
}

void websocket_session::on_gap(const message_gap& lost) {
  if (gaps_.size() - gaps_told_ >= receiver::gaps_kept_max)
    gaps_.back().last = lost.last;
  else
    gaps_.push_back(lost);
  if (receiving_ != nullptr && receiving_->is_waiting() && receiving_->control_frames_) receiving_->complete(wait_result::done);
}

std::optional<message_gap> websocket_session::next_gap() noexcept {
  if (!has_gap()) return std::nullopt;
  const message_gap oldest = gaps_[gaps_told_++];
  if (!has_gap()) gaps_.clear(), gaps_told_ = 0;
  return oldest;
}

// --- sending ---

void websocket_session::on_drain() noexcept {
  while (!draining_.empty()) draining_.front().complete(wait_result::done);
  if (shared_ != nullptr) shared_->on_drain();
}

std::uint64_t websocket_session::waiting_bytes() const {
  if (connection_ == nullptr) return 0;
  if (connection_->behind != nullptr) return connection_->behind->own_bytes();
  return sent_turn_ == owner_->counters().turns ? sent_bytes_ : 0;
}

bool websocket_session::begin_message() noexcept {
  if (connection_ == nullptr || is_sending_message_ || !owner_->websockets().begin_message(*connection_)) return false;
  is_sending_message_ = true;
  has_sent_fragment_ = false;
  return true;
}

void websocket_session::abandon_message() noexcept {
  if (!std::exchange(is_sending_message_, false)) return;
  close(static_cast<std::uint16_t>(close_code::internal_error), "a message was not finished");
}

send_status websocket_session::send(const message_view& what, framing framed) {
  if (connection_ == nullptr) return send_status::closed;
  if (sent_turn_ != owner_->counters().turns) {
    sent_turn_ = owner_->counters().turns;
    sent_bytes_ = 0;
  }
  sent_bytes_ += what.payload.size();
  if (framed == framing::fragment || framed == framing::last_fragment) {
    const opcode op = std::exchange(has_sent_fragment_, true) ? opcode::continuation : what.op;
    const bool is_last = framed == framing::last_fragment;
    if (is_last) is_sending_message_ = false;
    return owner_->websockets().send_fragment(*connection_, op, what.payload, is_last) == send_status::closed ? send_status::closed
                                                                                                              : send_status::queued;
  }
  if (framed == framing::whole_frame) {
    if (!connection_->is_open_websocket()) return send_status::closed;
    if (connection_->message_open) return send_status::in_message;
    std::memcpy(owner_->output().extend(*connection_, what.payload.size()), what.payload.data(), what.payload.size());
    owner_->count_prepared_message(*connection_);
    return send_status::queued;
  }
  const send_status sent = owner_->websockets().send_in_place(*connection_, what);
  return sent == send_status::above_watermark ? send_status::queued : sent;
}

// --- the end ---

void websocket_session::close(std::uint16_t code, std::string_view reason) {
  if (connection_ != nullptr) owner_->close_websocket(*connection_, code, reason);
}

void websocket_session::abandon() noexcept {
  if (connection_ != nullptr) {
    if (std::uncaught_exceptions() > 0)
      close(static_cast<std::uint16_t>(close_code::internal_error), "the handler failed");
    else if (owner_->is_stopping())
      owner_->stopping().say_going_away(*connection_);
    else
      close(static_cast<std::uint16_t>(close_code::normal), {});
  }
  release();
}

std::shared_ptr<sender_state> websocket_session::shared_state() {
  if (shared_ == nullptr) {
    shared_ = std::make_shared<sender_state>();
    shared_->open = is_open();
  }
  return shared_;
}

} // namespace ringcast::engine

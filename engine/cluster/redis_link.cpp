#include "engine/cluster/redis_link.hpp"

#include "engine/io/resolver.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <mutex>

namespace ringcast::engine {

// The answer comes on a thread of the resolver, perhaps when nobody waits any more.
struct redis_link::lookup {
  std::mutex mutex;
  std::optional<resolved_name> answer;
};

redis_link::redis_link(ring& io, const redis_address& to, std::uint32_t slot)
    : io_(io), to_(to), slot_(slot), received_(std::make_unique_for_overwrite<char[]>(receive_bytes)) {}

redis_link::~redis_link() {
  if (socket_ >= 0) close_now(socket_);
}

// --- it is made ---

void redis_link::begin(std::uint64_t now_ms) {
  RINGCAST_ASSERT(state_ == state::apart);
  now_ms_ = begun_ms_ = heard_ms_ = now_ms;
  reader_ = std::make_unique<resp_reader>();
  waiting_.clear();
  if (const auto numeric = numeric_address(to_.host, to_.port)) return connect(*numeric);
  state_ = state::resolving;
  lookup_ = std::make_shared<lookup>();
  resolve(to_.host, to_.port, [found = lookup_](const resolved_name& answer) {
    const std::lock_guard lock{found->mutex};
    found->answer = answer;
  });
}

void redis_link::connect(const socket_address& to) {
  const auto opened = open_client_socket(to);
  if (!opened) {
    why_ = std::strerror(opened.error());
    state_ = state::apart;
    return;
  }
  socket_ = *opened;
  address_ = to;
  state_ = state::connecting;
  in_flight_[connect_operation] = true;
  io_.arm_connect(tag(connect_operation), socket_, reinterpret_cast<const sockaddr*>(&address_.storage), address_.bytes);
}

void redis_link::on_tick(std::uint64_t now_ms) {
  now_ms_ = now_ms;
  if (state_ == state::resolving) {
    std::optional<resolved_name> answer;
    {
      const std::lock_guard lock{lookup_->mutex};
      answer = lookup_->answer;
    }
    if (answer && !answer->addresses.empty()) return connect(answer->addresses.front());
    if (answer) {
      why_ = answer->error;
      state_ = state::apart;
    }
  }
  if ((state_ == state::connecting || state_ == state::resolving) && now_ms >= begun_ms_ + connect_timeout_ms) close("it did not answer");
}

// --- it is used ---

void redis_link::receive() {
  in_flight_[receive_operation] = true;
  io_.arm_receive_into(tag(receive_operation), socket_, received_.get(), receive_bytes);
}

void redis_link::send() {
  if (state_ != state::open || in_flight_[send_operation] || waiting_.empty()) return;
  flying_.clear();
  std::swap(flying_, waiting_);
  flown_ = 0;
  piece_ = {flying_.data(), flying_.size()};
  message_ = {};
  message_.msg_iov = &piece_;
  message_.msg_iovlen = 1;
  in_flight_[send_operation] = true;
  io_.arm_send(tag(send_operation), socket_, &message_);
}

std::optional<resp_reply> redis_link::next() {
  if (state_ != state::open) return std::nullopt;
  auto reply = reader_->next();
  if (!reply && reader_->is_broken()) close("what it says is not RESP");
  return reply;
}

void redis_link::on_completion(const completion& done) {
  const std::uint32_t what = done.tag.slot - slot_;
  in_flight_[what] = false;
  if (state_ == state::closing) return released();
  if (done.result < 0 && done.result != -EINTR && done.result != -EAGAIN) return close(std::strerror(-done.result));
  switch (what) {
  case connect_operation: state_ = state::open; return receive();
  case receive_operation:
    if (done.result == 0) return close("it has closed the connection");
    heard_ms_ = now_ms_;
    if (done.result > 0) reader_->feed({received_.get(), static_cast<std::size_t>(done.result)});
    return receive();
  case send_operation:
    flown_ += static_cast<std::size_t>(std::max(done.result, 0));
    if (flown_ == flying_.size()) return send();
    piece_ = {flying_.data() + flown_, flying_.size() - flown_};
    in_flight_[send_operation] = true;
    return io_.arm_send(tag(send_operation), socket_, &message_);
  }
}

// --- it ends ---

void redis_link::close(std::string_view why) {
  if (state_ == state::apart || state_ == state::closing) return;
  why_ = why;
  state_ = state::closing;
  if (in_flight_[connect_operation]) io_.arm_cancel({operation::none}, tag(connect_operation));
  if (socket_ >= 0) shut_down(socket_);
  released();
}

void redis_link::released() {
  if (std::ranges::any_of(in_flight_, [](bool is) { return is; })) return;
  if (socket_ >= 0) close_now(socket_);
  socket_ = -1;
  ++generation_;
  state_ = state::apart;
}

bool redis_link::end() {
  if (end_asked_ms_ == 0) end_asked_ms_ = now_ms_;
  if (state_ == state::open && in_flight_[send_operation] && now_ms_ < end_asked_ms_ + 1'000) return false;
  close("this end stops");
  return state_ == state::apart;
}

} // namespace ringcast::engine

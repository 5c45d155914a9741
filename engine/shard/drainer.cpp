#include "engine/shard/drainer.hpp"

#include "engine/shard/acceptor.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/stopper.hpp"
#include "engine/shard/websocket_side.hpp"

#include <chrono>
#include <utility>

namespace ringcast::engine {

namespace {

// A look walks over all connections, so it is not taken more often than evenness asks for: a hundred steps of the default.
constexpr std::uint64_t drain_interval_ms = 100;

// Who connected has its request on the way, but for a browser that connects for later. Several round trips.
constexpr std::uint64_t first_request_ms = 1'000;

} // namespace

void drainer::begin(const drain_options& how) {
  if (step_ != step::none) return;
  how_ = how;
  step_ = step::accepting;
  if (how.delay_ms == 0)
    is_due_ = true;
  else
    with_.wheel.arm(timer_, with_.clock.ms + how.delay_ms);
}

void drainer::go_on() {
  is_due_ = false;
  if (step_ == step::accepting) close_door();
  if (step_ == step::closing) close_share();
}

void drainer::close_door() {
  step_ = step::closing;
  begun_ms_ = with_.clock.ms;
  with_.state.is_door_closed = true;
  with_.accepting.close_listeners();
  members_ = count_members();
}

void drainer::close_share() {
  const std::uint64_t passed_ms = with_.clock.ms - begun_ms_;
  const bool is_last = passed_ms >= how_.spread_ms;
  if (!is_last) end_requests(passed_ms);
  // Those who leave by themselves are of the share.
  const std::uint64_t may_stay = is_last ? 0 : members_ * (how_.spread_ms - passed_ms) / how_.spread_ms;
  std::uint64_t members = count_members(), left = 0;
  std::vector<connection_handle> leaving;
  with_.connections.for_each([&](connection& c) {
    if (c.is_client) return;
    ++left;
    if (!c.is_open_websocket() || c.behind != nullptr || members <= may_stay) return;
    --members;
    leaving.push_back(with_.connections.handle_of(c));
  });
  let_go(leaving);
  with_.orders->count_left(static_cast<std::int64_t>(left) - told_left_);
  told_left_ = static_cast<std::int64_t>(left);
  if (is_last) return stop_all();
  if (left == 0 && !with_.accepting.may_still_accept() && !std::exchange(has_said_empty_, true) && with_.orders->is_last_to_drain())
    return stop_all();
  with_.wheel.arm(timer_, with_.clock.ms + drain_interval_ms);
}

// Those of one look are asked to come back one after the other. What they are told by may close others.
void drainer::let_go(const std::vector<connection_handle>& those) {
  for (std::size_t i = 0; i < those.size(); ++i) {
    const std::chrono::milliseconds retry_after{how_.retry_after_ms + drain_interval_ms * i / those.size()};
    if (connection* c = with_.connections.find(those[i]); c != nullptr && c->is_open_websocket()) with_.users.going_away(*c, retry_after);
    if (connection* c = with_.connections.find(those[i]); c != nullptr && c->is_open_websocket())
      with_.websockets.close(*c, static_cast<std::uint16_t>(close_code::going_away), "the server is going away");
  }
}

void drainer::end_requests(std::uint64_t passed_ms) {
  with_.connections.for_each([&](connection& c) {
    if (c.was_asked || passed_ms >= first_request_ms) with_.stopping.end_request(c);
  });
}

// A stop is of all shards together. Any number of times.
void drainer::stop_all() {
  step_ = step::over;
  for (std::uint32_t i = 0; i < with_.between.shard_count(); ++i) with_.between.bell(i).ask_to_stop();
}

std::uint64_t drainer::count_members() {
  std::uint64_t members = 0;
  with_.connections.for_each([&](const connection& c) { members += !c.is_client && c.is_open_websocket() ? 1 : 0; });
  return members;
}

} // namespace ringcast::engine

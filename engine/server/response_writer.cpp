#include <ringcast/response_writer.hpp>

#include "engine/base/limits.hpp"
#include "engine/shard/shard.hpp"

#include <utility>

namespace ringcast {

using namespace engine;

namespace {

// The connection, as long as its body is being written.
connection* written_to(shard* owner, connection_handle who) {
  connection* const c = owner == nullptr ? nullptr : owner->find(who);
  return c != nullptr && owner->http().is_writing_pieces(*c) ? c : nullptr;
}

} // namespace

send_status piece_awaiter::write() {
  connection* const c = written_to(owner_, who_);
  if (c == nullptr) return send_status::closed;
  owner_->http().write_piece(*c, piece_);
  return send_status::queued;
}

bool piece_awaiter::await_ready() noexcept {
  const connection* const c = written_to(owner_, who_);
  if (c == nullptr || owner_->output().waiting_bytes(*c) <= high_watermark_bytes) return true;
  waits_ = true;
  return is_over(limits_, at_stop::ends_if_cancelled);
}

void piece_awaiter::await_suspend(std::coroutine_handle<> handle) noexcept {
  connection& c = *written_to(owner_, who_);
  owner_->http().await_output(c, *this);
  wait(handle, limits_, at_stop::ends_if_cancelled);
  // Everything that waits was written in this turn: whether the peer is slow shows when it has been flushed.
  if (c.behind == nullptr && is_waiting()) complete(wait_result::done);
}

send_status piece_awaiter::await_resume() {
  const wait_result result = finish();
  if (waits_ && result != wait_result::done && written_to(owner_, who_) != nullptr)
    return result == wait_result::timed_out ? send_status::timed_out : send_status::stopped;
  return write();
}

response_writer::~response_writer() {
  if (connection* const c = written_to(owner_, who_)) owner_->http().abandon_pieces(*c);
}

bool response_writer::is_open() const noexcept { return written_to(owner_, who_) != nullptr; }

void response_writer::finish() {
  shard* const owner = std::exchange(owner_, nullptr);
  if (connection* const c = written_to(owner, who_)) owner->http().finish_pieces(*c);
}

} // namespace ringcast

#include "engine/shard/socket_reader.hpp"

#include "engine/io/socket.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/memory_ledger.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>

namespace ringcast::engine {

// Armed at the end of the turn, behind its sends: what is there already is received while it is submitted, and would complete before the
// sends that fail in the same submission.
void socket_reader::arm(connection& c) {
  c.receiving = receive_mode::parked;
  parked_.push_back(with_.connections.handle_of(c));
}

void socket_reader::pause(connection& c) {
  if (c.receiving == receive_mode::parked) {
    c.receiving = receive_mode::paused;
  } else if (c.receiving == receive_mode::multishot) {
    c.receiving = receive_mode::pausing;
    cancels_.push_back({operation::receive, c.generation, c.slot});
  }
  // A polled connection stays armed; receive_hot() looks at the watermark itself.
}

void socket_reader::resume(connection& c) {
  if (c.peer_closed || c.input_held || c.input_stopped) return;
  // A pipeline that has run ahead is worked off first; respond() leads here again.
  if (c.answering && c.partial != nullptr && c.partial->size > low_watermark_bytes) return;
  if (c.receiving == receive_mode::paused)
    arm(c);
  else if (c.receiving == receive_mode::pausing)
    c.receiving = receive_mode::none; // the cancel is under way; its completion arms again
  else if (c.receiving == receive_mode::polled)
    poll_again_.push_back(with_.connections.handle_of(c));
}

void socket_reader::read_large_frames_hot(connection& c) {
  if (c.receiving != receive_mode::multishot && c.receiving != receive_mode::none) return;
  const bool armed = c.receiving == receive_mode::multishot;
  c.receiving = receive_mode::switching; // the completion that is told now, or the next, goes on with it
  if (armed) cancels_.push_back({operation::receive, c.generation, c.slot});
}

void socket_reader::on_receive(op_tag tag, const completion& done) {
  const std::span<std::byte> bytes = done.has_buffer ? with_.buffers.received(done) : std::span<std::byte>{};
  connection* c = with_.connections.find(tag.slot, tag.generation);
  if (c == nullptr) return;
  const receive_mode was = c->receiving;
  if (!done.more) {
    --c->operations;
    if (was == receive_mode::multishot) c->receiving = receive_mode::none;
  }
  if (c->phase != connection_phase::ending) on_bytes(*c, done, bytes);
  if (done.more) return;
  if (c->phase == connection_phase::ending) {
    with_.closing.release_if_done(*c);
    return;
  }
  if (!c->peer_closed) arm_what_follows(*c);
}

void socket_reader::on_bytes(connection& c, const completion& done, std::span<std::byte> bytes) {
  if (done.result > 0) {
    with_.counters.bytes_received += static_cast<std::uint32_t>(done.result);
    with_.ledger.spend(c, [&] { with_.input.consume(c, bytes); });
  } else if (done.result == 0) {
    with_.input.on_end_of_stream(c);
  } else if (done.result == -ENOBUFS) {
    c.buffer_missed = true;
  } else if (done.result != -ECANCELED && done.result != -EINTR && done.result != -EAGAIN) {
    with_.closing.end(c, 1006, "the connection was reset");
  }
}

// The multishot is over: because buffers ran out, because it was cancelled, or for reasons of the kernel's own.
void socket_reader::arm_what_follows(connection& c) {
  switch (c.receiving) {
  case receive_mode::switching:
    c.receiving = receive_mode::polled;
    ++c.operations;
    with_.io.arm_poll_receive({operation::poll_receive, c.generation, c.slot}, c.socket);
    return;
  case receive_mode::pausing: c.receiving = receive_mode::paused; return;
  case receive_mode::none: return arm(c);
  default: return;
  }
}

void socket_reader::on_poll(op_tag tag, const completion& done) {
  connection* c = with_.connections.find(tag.slot, tag.generation);
  if (c == nullptr) return;
  if (!done.more) --c->operations;
  if (c->phase == connection_phase::ending) {
    if (!done.more) with_.closing.release_if_done(*c);
    return;
  }
  if (done.result < 0 || (done.result & (POLLRDHUP | POLLHUP | POLLERR)) != 0) c->end_announced = true;
  with_.ledger.spend(*c, [&] { receive_hot(*c); });
  if (!done.more && c->phase != connection_phase::ending && !c->peer_closed) {
    ++c->operations;
    with_.io.arm_poll_receive(tag, c->socket);
  } else if (!done.more) {
    with_.closing.release_if_done(*c);
  }
}

void socket_reader::receive_hot(connection& c) {
  const std::uint64_t delivered_before = with_.budget.delivered();
  std::uint64_t read = 0;
  while (true) {
    const std::span<std::byte> hot = with_.memory.hot(with_.clock.ms);
    if (c.phase == connection_phase::ending || c.peer_closed) return;
    if (c.input_held || c.input_stopped) return; // input_flow comes back
    if (c.answering && c.partial != nullptr && c.partial->size > high_watermark_bytes) return; // and so does respond()
    if (read >= connection_turn_bytes_max || with_.share.must_stop(c, delivered_before)) return with_.input.stop(c);
    // The rest of a frame whose beginning waits goes straight behind it.
    const bool into_partial = !c.encrypted && c.partial != nullptr && c.partial->wanted > c.partial->size;
    if (c.has_part_of_message() && with_.budget.is_spent_on_parts()) return with_.input.stop(c);
    if (into_partial) with_.input.make_partial_room(*c.partial, 1);
    const std::span<std::byte> target = into_partial ? c.partial->place(large_receive_bytes) : hot;
    const std::ptrdiff_t count = receive_now(c.socket, target);
    if (count == -EAGAIN || count == -EINTR) return;
    if (count == 0) return with_.input.on_end_of_stream(c);
    if (count < 0) return with_.closing.end(c, 1006, "the connection was reset");
    read += static_cast<std::uint64_t>(count);
    with_.counters.bytes_received += static_cast<std::uint64_t>(count);
    if (into_partial) with_.budget.kept(static_cast<std::uint64_t>(count));
    with_.input.consume(c, target.first(static_cast<std::size_t>(count)));
    // A short count means that the socket is empty; what comes later makes a new completion. But a target that only had room for the
    // rest of one frame says nothing about what is behind it, and an end that was told together with the bytes is not told again.
    if (!into_partial && static_cast<std::size_t>(count) < target.size() && !c.end_announced) return;
  }
}

void socket_reader::poll_again() {
  if (poll_again_.empty()) return;
  std::vector<connection_handle> again;
  again.swap(poll_again_);
  for (const connection_handle handle : again)
    if (connection* c = with_.connections.find(handle); c != nullptr && c->phase != connection_phase::ending)
      with_.ledger.spend(*c, [&] { receive_hot(*c); });
}

// Behind the sends of the turn, as receives are armed: what a receive still delivers while it is cancelled must not come before the failures of
// those sends. And before receives are armed anew, which must not be cancelled.
void socket_reader::cancel_receives() {
  for (const op_tag target : cancels_) with_.io.arm_cancel({operation::cancel}, target);
  cancels_.clear();
}

// A receive that goes on takes every buffer as long as its socket has more. So whoever found none is given one at first: as many as there are
// buffers are served together, and a word does not wait until each large message before it has been read.
void socket_reader::rearm_parked() {
  if (parked_.empty()) return;
  if (!with_.buffers.has_buffers()) {
    with_.counters.receives_parked += parked_.size();
    return;
  }
  parked_before_.clear();
  parked_before_.swap(parked_);
  for (const connection_handle handle : parked_before_) {
    connection* c = with_.connections.find(handle);
    if (c == nullptr || c->receiving != receive_mode::parked || c->phase == connection_phase::ending) continue;
    c->receiving = receive_mode::multishot;
    ++c->operations;
    const op_tag tag{operation::receive, c->generation, c->slot};
    if (c->buffer_missed)
      with_.io.arm_receive_once(tag, c->socket, buffer_ring::group);
    else
      with_.io.arm_receive(tag, c->socket, buffer_ring::group);
    c->buffer_missed = false;
  }
}

} // namespace ringcast::engine

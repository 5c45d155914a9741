// What each operation of a simulated ring does: at submission, and again whenever its file becomes ready.
#include "tests/sim/kernel/address.hpp"
#include "tests/sim/kernel/kernel.hpp"
#include "tests/sim/kernel/ring_state.hpp"

#include <cerrno>
#include <cstring>
#include <poll.h>

namespace ringcast::sim {

namespace {

constexpr std::size_t pieces_max = 1024; // UIO_MAXIOV of the kernel's headers

// FNV-1a. Reading the bytes is half of the check: memory that was freed is found here by AddressSanitizer.
std::uint64_t checksum_of(const std::vector<iovec>& pieces) {
  std::uint64_t sum = 0xCBF29CE484222325u;
  for (const iovec& piece : pieces)
    for (std::size_t i = 0; i < piece.iov_len; ++i) sum = (sum ^ static_cast<const unsigned char*>(piece.iov_base)[i]) * 0x100000001B3u;
  return sum;
}

bool is_multishot(const io_uring_sqe& sqe) {
  switch (sqe.opcode) {
  case IORING_OP_ACCEPT: return (sqe.ioprio & IORING_ACCEPT_MULTISHOT) != 0;
  case IORING_OP_RECV: return (sqe.ioprio & IORING_RECV_MULTISHOT) != 0;
  case IORING_OP_POLL_ADD: return (sqe.len & IORING_POLL_ADD_MULTI) != 0;
  default: return false;
  }
}

bool is_send(const io_uring_sqe& sqe) { return sqe.opcode == IORING_OP_SEND || sqe.opcode == IORING_OP_SENDMSG; }

bool wants_file(const io_uring_sqe& sqe) {
  return sqe.opcode != IORING_OP_NOP && sqe.opcode != IORING_OP_ASYNC_CANCEL && sqe.opcode != IORING_OP_TIMEOUT && sqe.opcode != IORING_OP_CLOSE;
}

} // namespace

// Whatever an entry asks for that is not simulated stops the run: silently ignoring it would test something else.
void ring_state::check(const io_uring_sqe& sqe) const {
  const auto refuse = [&](const char* what, unsigned value) {
    world_.report_misuse(fmt::format("operation {} with {} {:#x}, which is not simulated", sqe.opcode, what, value));
  };
  unsigned flags = IOSQE_CQE_SKIP_SUCCESS, ioprio = 0, extra = 0;
  switch (sqe.opcode) {
  case IORING_OP_NOP:
  case IORING_OP_CLOSE:
  case IORING_OP_CONNECT:
  case IORING_OP_READ:
  case IORING_OP_SHUTDOWN: break;
  case IORING_OP_TIMEOUT:
    if (sqe.off != 0) refuse("a completion count", static_cast<unsigned>(sqe.off));
    break;
  case IORING_OP_ASYNC_CANCEL: break;
  case IORING_OP_ACCEPT:
    ioprio = IORING_ACCEPT_MULTISHOT;
    extra = SOCK_NONBLOCK | SOCK_CLOEXEC;
    break;
  case IORING_OP_RECV:
    flags |= IOSQE_BUFFER_SELECT;
    ioprio = IORING_RECV_MULTISHOT;
    extra = MSG_DONTWAIT | MSG_NOSIGNAL;
    if ((sqe.ioprio & IORING_RECV_MULTISHOT) != 0 && (sqe.flags & IOSQE_BUFFER_SELECT) == 0)
      refuse("multishot but without provided buffers, flags", sqe.flags);
    break;
  case IORING_OP_SEND:
  case IORING_OP_SENDMSG: extra = MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL; break;
  case IORING_OP_POLL_ADD:
    extra = 0xffff'ffff;
    if ((sqe.len & ~IORING_POLL_ADD_MULTI) != 0) refuse("poll flags", sqe.len);
    break;
  default: world_.report_misuse(fmt::format("operation {} is not simulated", sqe.opcode));
  }
  if ((sqe.flags & ~flags) != 0) refuse("flags", sqe.flags);
  if ((sqe.ioprio & ~ioprio) != 0) refuse("ioprio", sqe.ioprio);
  if ((static_cast<unsigned>(sqe.rw_flags) & ~extra) != 0) refuse("operation flags", static_cast<unsigned>(sqe.rw_flags));
}

void ring_state::issue(const io_uring_sqe& sqe) {
  check(sqe);
  world_.trace("ring {} submit operation {} descriptor {} {:#018x}", number_, sqe.opcode, sqe.fd, sqe.user_data);
  const auto op = std::make_shared<pending_operation>(*this, sqe);
  operations_.push_back(op);
  if (wants_file(sqe)) {
    op->file = world_.find(sqe.fd);
    if (!op->file) return fail(*op, -EBADF);
    ++op->file->operations_in_flight;
  }
  if (is_send(sqe) && !prepare_send(*op)) return fail(*op, -EMSGSIZE);
  if (sqe.opcode == IORING_OP_RECV && op->file->stream) {
    if (op->file->stream->receiving != nullptr) world_.report_misuse(fmt::format("two receives are in flight on descriptor {}", sqe.fd));
    op->file->stream->receiving = op.get();
  }
  attempt(*op);
}

void ring_state::attempt(pending_operation& op) {
  switch (op.sqe.opcode) {
  case IORING_OP_NOP: return finish(op, 0);
  case IORING_OP_ACCEPT: return attempt_accept(op);
  case IORING_OP_RECV: return (op.sqe.flags & IOSQE_BUFFER_SELECT) != 0 ? attempt_receive_into_buffers(op) : attempt_receive(op);
  case IORING_OP_SEND:
  case IORING_OP_SENDMSG: return attempt_send(op);
  case IORING_OP_POLL_ADD: return attempt_poll(op);
  case IORING_OP_READ: return attempt_read(op);
  case IORING_OP_ASYNC_CANCEL: return start_cancel(op);
  case IORING_OP_CONNECT: return start_connect(op);
  case IORING_OP_CLOSE:
    if (!world_.find(op.sqe.fd)) return fail(op, -EBADF);
    world_.close(op.sqe.fd);
    return finish(op, 0);
  case IORING_OP_SHUTDOWN: { // Always done by a worker thread, so never within its submission.
    const int result = op.file->shut_down(static_cast<int>(op.sqe.len));
    return finish_later(op, world_.chance.below(20'000), result);
  }
  case IORING_OP_TIMEOUT: {
    const auto& delay = *reinterpret_cast<const __kernel_timespec*>(op.sqe.addr);
    return finish_later(op, static_cast<std::uint64_t>(delay.tv_sec * 1'000'000'000 + delay.tv_nsec), -ETIME);
  }
  default: return;
  }
}

void ring_state::attempt_accept(pending_operation& op) {
  if (!op.file->listening) return fail(op, -EINVAL);
  for (;;) {
    const int result = world_.accept(*op.file->listening, static_cast<int>(op.sqe.accept_flags));
    if (result == -EAGAIN) return wait_for(op, POLLIN);
    if (result < 0) return fail(op, result);
    if (!is_multishot(op.sqe) || !post_one_of_many(op, result, 0)) return finish(op, result);
  }
}

void ring_state::attempt_receive(pending_operation& op) {
  if (!op.file->stream) return fail(op, -ENOTCONN);
  auto* const memory = reinterpret_cast<std::byte*>(op.sqe.addr);
  const auto result = static_cast<int>(op.file->stream->receive({memory, op.sqe.len}));
  if (result == -EAGAIN && (op.sqe.msg_flags & MSG_DONTWAIT) == 0) return wait_for(op, POLLIN | POLLRDHUP);
  result < 0 ? fail(op, result) : finish(op, result);
}

// A buffer is chosen before the socket is looked at, so without one even the end of the stream answers ENOBUFS.
void ring_state::attempt_receive_into_buffers(pending_operation& op) {
  if (!op.file->stream) return fail(op, -ENOTCONN);
  constexpr int buffers_max = 33; // One, and MULTISHOT_MAX_RETRY more.
  for (int i = 0; i < buffers_max; ++i) {
    const auto group = groups_.find(op.sqe.buf_group);
    if (group == groups_.end()) return fail(op, -ENOBUFS);
    std::span<std::byte> selected = group->second->select();
    if (!selected.empty() && buffers_are_unread() && world_.chance.chance(world_.faults.no_buffers)) {
      ++world_.happened["no buffers although there are some"];
      selected = {};
    }
    if (selected.empty()) {
      ++world_.happened["no buffers"];
      return fail(op, -ENOBUFS);
    }
    group->second->before_writing(selected, std::min(selected.size(), op.file->stream->incoming.size()));
    const auto result = static_cast<int>(op.file->stream->receive(selected));
    if (result == -EAGAIN) return wait_for(op, POLLIN | POLLRDHUP);
    if (result < 0) return fail(op, result);
    if (result == 0) return finish(op, 0);
    const buffer_group::taken buffer = group->second->commit(static_cast<std::size_t>(result));
    constexpr std::uint32_t buffer_more_flag = 1u << 4; // IORING_CQE_F_BUF_MORE, 6.12
    const std::uint32_t flags =
        IORING_CQE_F_BUFFER | static_cast<std::uint32_t>(buffer.id) << IORING_CQE_BUFFER_SHIFT | (buffer.continues ? buffer_more_flag : 0);
    if (!is_multishot(op.sqe) || !post_one_of_many(op, result, flags)) return finish(op, result, flags);
    // The socket says whether there is more (tcp_inq_hint); without more no other buffer is asked for.
    if (op.file->stream->incoming.empty() && !op.file->stream->fin_received) break;
  }
  wait_for(op, POLLIN | POLLRDHUP);
}

// False if it has more pieces than the kernel takes in one message.
bool ring_state::prepare_send(pending_operation& op) {
  if (op.sqe.opcode == IORING_OP_SEND) {
    op.pieces.push_back({reinterpret_cast<void*>(op.sqe.addr), op.sqe.len});
  } else {
    // The kernel copies the message header and its vector at submission; what they point to must stay.
    const auto& message = *reinterpret_cast<const msghdr*>(op.sqe.addr);
    if (message.msg_iovlen > pieces_max) return false;
    if (message.msg_name != nullptr || message.msg_control != nullptr)
      world_.report_misuse("a sendmsg with an address or control data, which is not simulated");
    op.pieces.assign(message.msg_iov, message.msg_iov + message.msg_iovlen);
  }
  for (const iovec& piece : op.pieces) op.bytes_total += piece.iov_len;
  op.whole = op.pieces;
  if (op.file->stream) {
    check_send_order(world_, *op.file->stream, &op);
    op.file->stream->sending = &op;
  }
  if ((op.sqe.msg_flags & MSG_DONTWAIT) == 0) op.checksum = checksum_of(op.whole);
  return true;
}

// Two sends in flight on one socket interleave their bytes; and so does a send submitted after one that was short,
// before its rest was sent.
void ring_state::check_send_order(const kernel& world, const endpoint& end, const pending_operation* except) {
  if (end.sending != nullptr && end.sending != except)
    world.report_misuse(fmt::format("a send to port {} begins while another one is in flight", end.remote_port));
  for (const ring_state* ring : world.rings())
    if (ring == end.short_send_ring && ring->is_unread(end.short_send_position))
      world.report_misuse(fmt::format("a send to port {} begins before the short count of the last one was seen", end.remote_port));
}

void ring_state::attempt_send(pending_operation& op) {
  if (!op.file->stream) return fail(op, -ENOTCONN);
  endpoint& end = *op.file->stream;
  std::ptrdiff_t result = 0;
  while (!op.pieces.empty()) {
    iovec& piece = op.pieces.front();
    result = end.send({static_cast<const std::byte*>(piece.iov_base), piece.iov_len});
    if (result < 0) break;
    op.bytes_done += static_cast<std::size_t>(result);
    if (static_cast<std::size_t>(result) == piece.iov_len) {
      op.pieces.erase(op.pieces.begin());
      continue;
    }
    piece.iov_base = static_cast<std::byte*>(piece.iov_base) + result;
    piece.iov_len -= static_cast<std::size_t>(result);
    break;
  }
  const bool waits = (op.sqe.msg_flags & MSG_DONTWAIT) == 0;
  const auto done = static_cast<int>(op.bytes_done);
  world_.trace("  send {:#018x} has taken {} of {} bytes", op.sqe.user_data, done, op.bytes_total);
  if (waits && checksum_of(op.whole) != op.checksum)
    world_.report_misuse(fmt::format("the bytes of send {:#018x} were changed before it completed", op.sqe.user_data));
  if (op.pieces.empty()) return finish(op, done);
  if (result < 0 && result != -EAGAIN) return fail(op, done > 0 ? done : static_cast<int>(result));
  if (done > 0 && (op.sqe.msg_flags & MSG_WAITALL) == 0) return finish(op, done);
  if (waits && --op.retries_left > 0) return wait_for(op, POLLOUT);
  ++world_.happened[waits ? "short waiting send" : "short inline send"];
  end.short_send_ring = this;
  end.short_send_position = cq_tail_ + static_cast<std::uint32_t>(overflow_.size());
  fail(op, done > 0 ? done : -EAGAIN);
}

// Multishot poll is edge-triggered: what is ready now is told once, and then each time something more arrives.
void ring_state::attempt_poll(pending_operation& op) {
  const int wanted = static_cast<int>(op.sqe.poll32_events) | POLLERR | POLLHUP;
  const bool first_time = !op.waiting;
  // A single wake-up is told as it came, even if the file is not ready any more; after several it is asked again.
  const int ready = (op.wake_events != 0 ? op.wake_events : op.file->readiness()) & wanted;
  op.wake_events = 0;
  if (!is_multishot(op.sqe)) return ready != 0 ? finish(op, ready) : wait_for(op, wanted);
  if (first_time) return wait_for(op, wanted);
  if (ready != 0 && !post_one_of_many(op, ready, 0)) finish(op, ready);
}

void ring_state::attempt_read(pending_operation& op) {
  if (op.file->what != open_file::kind::event) world_.report_misuse("a read of something else than an eventfd is not simulated");
  if (op.sqe.len < sizeof(std::uint64_t)) return fail(op, -EINVAL);
  if (op.file->count == 0) {
    // A read of a non-blocking descriptor does not wait (io_file_supports_nowait and O_NONBLOCK, as in the kernel).
    return op.file->nonblocking ? fail(op, -EAGAIN) : wait_for(op, POLLIN);
  }
  std::memcpy(reinterpret_cast<void*>(op.sqe.addr), &op.file->count, sizeof(std::uint64_t));
  op.file->count = 0;
  finish(op, sizeof(std::uint64_t));
}

void ring_state::start_cancel(pending_operation& op) {
  if (op.sqe.cancel_flags != 0) world_.report_misuse("a cancel by anything else than user_data is not simulated");
  pending_operation* target = find_by_user_data(op.sqe.addr);
  const bool late = world_.chance.chance(world_.faults.late_cancel);
  // Until the very moment of the cancel the operation may still make completions.
  if (target != nullptr && is_multishot(target->sqe) && late && world_.chance.below(2) == 0) {
    attempt(*target);
    target = find_by_user_data(op.sqe.addr);
  }
  if (target == nullptr) return fail(op, -ENOENT);
  target->cancelled = true;
  if (late) {
    ++world_.happened["late cancel"];
    world_.schedule(world_.chance.between(1, 5'000'000), [weak = target->weak_from_this()] {
      if (const auto alive = weak.lock()) alive->ring.queue_work(*alive);
    });
  } else {
    queue_work(*target);
  }
  finish(op, 0);
}

void ring_state::start_connect(pending_operation& op) {
  const std::string address = text_of(reinterpret_cast<const sockaddr*>(op.sqe.addr));
  world_.dialed.push_back({address, world_.now_ns()});
  const auto way = world_.routes.find(address);
  if (way == world_.routes.end() || way->second != route::late) return connect_now(op);
  world_.schedule(route_late_ns, [weak = op.weak_from_this()] {
    if (const auto alive = weak.lock(); alive && !alive->finished) alive->ring.connect_now(*alive);
  });
}

void ring_state::connect_now(pending_operation& op) {
  const auto* const address = reinterpret_cast<const sockaddr*>(op.sqe.addr);
  const auto result = world_.connect(*op.file, text_of(address), port_of(address), false);
  if (result == -EISCONN) return fail(op, *result);
  if (result) finish_later(op, world_.delivery_delay_ns(), *result);
}

void ring_state::finish_later(pending_operation& op, std::uint64_t delay_ns, int result) {
  world_.schedule(delay_ns, [weak = op.weak_from_this(), result] {
    const auto alive = weak.lock();
    if (!alive || alive->finished) return;
    alive->late_result = result;
    alive->late_result_is_there = true;
    alive->ring.queue_work(*alive);
  });
}

void ring_state::wait_for(pending_operation& op, int events) {
  op.interest = events;
  if (!op.waiting) op.file->waiters().add(&op);
  op.waiting = true;
  if ((op.file->readiness() & (events | POLLERR | POLLHUP)) != 0) queue_work(op);
}

void ring_state::finish(pending_operation& op, int result, std::uint32_t flags) {
  if ((op.sqe.flags & IOSQE_CQE_SKIP_SUCCESS) == 0) post(op.sqe.user_data, result, flags);
  complete(op);
}

void ring_state::fail(pending_operation& op, int result) {
  post(op.sqe.user_data, result, 0);
  complete(op);
}

// The operation is over: it lets go of its file, which may be what the file was waiting for to close.
void ring_state::complete(pending_operation& op) {
  op.finished = true;
  const std::shared_ptr<pending_operation> keep = op.shared_from_this();
  if (op.file) {
    if (op.waiting) op.file->waiters().remove(&op);
    if (endpoint* const end = op.file->stream.get()) {
      if (end->sending == &op) end->sending = nullptr;
      if (end->receiving == &op) end->receiving = nullptr;
    }
    --op.file->operations_in_flight;
    op.file = nullptr;
  }
  std::erase_if(operations_, [&](const auto& other) { return other.get() == &op; });
}

} // namespace ringcast::sim

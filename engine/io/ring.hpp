// The io_uring of one shard: set-up, one arm_* function for each operation the engine uses, submission and completions.
// This pair of files is the only one that includes <liburing.h>. Of liburing only queue_init_params, queue_exit, enter2
// and register are called; the rings themselves are read and written here, so that one system call can submit, wait and
// bound its waiting.
//
// Thread: a ring belongs to the thread that made it (IORING_SETUP_SINGLE_ISSUER). Memory given to an arm_* function
// must live until the next submit for inline sends, and until the completion for every other operation.
#pragma once

#include "engine/io/op_tag.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <liburing.h>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <sys/uio.h>

namespace ringcast::engine {

struct completion {
  op_tag tag;
  std::int32_t result;   // bytes, a descriptor, or a negated errno
  bool more;             // the multishot operation goes on
  bool has_buffer;       // buffer_id names the provided buffer that holds the bytes
  bool buffer_continues; // the kernel will write the rest of that buffer later (IOU_PBUF_RING_INC, 6.12)
  std::uint16_t buffer_id;
};

struct ring_options {
  unsigned submission_entries = 2048;  // a fan-out of this many members is one system call; a larger one is several
  unsigned completion_entries = 16384; // a turn's failed sends and receives fit without overflow
};

struct ring_features {
  bool incremental_buffers = false; // IOU_PBUF_RING_INC, kernel 6.12
  bool min_wait = false;            // IORING_FEAT_MIN_TIMEOUT, kernel 6.12
};

// What the loop may wait for at the end of a turn.
struct wait_plan {
  std::uint64_t timeout_ns;      // 0: do not wait at all; UINT64_MAX: no bound
  std::uint32_t min_wait_us = 0; // collect completions for this long before returning with fewer than `batch` of them
  std::uint32_t batch = 1;
};

class ring {
 public:
  // Tries each system call of io_uring once, on a small ring. Fails with a sentence that says what is refused here and what to do about it:
  // a seccomp profile may allow one of the three and not another.
  [[nodiscard]] static std::expected<void, std::string> try_out();
  // Fails with a sentence that says why io_uring cannot be used here and what to do about it.
  static std::expected<std::unique_ptr<ring>, std::string> open(const ring_options& options);
  ~ring();
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;

  const ring_features& features() const { return features_; }

  // Receiving side. Multishot receive: 6.0, multishot accept: 5.19.
  void arm_accept(op_tag tag, int listener);
  void arm_receive(op_tag tag, int socket, std::uint16_t buffer_group);
  // The same for one buffer, with a single completion.
  void arm_receive_once(op_tag tag, int socket, std::uint16_t buffer_group);
  void arm_poll_receive(op_tag tag, int socket);
  // One receive into memory of the caller.
  void arm_receive_into(op_tag tag, int socket, void* bytes, std::size_t count);
  void arm_doorbell(op_tag tag, int eventfd, std::uint64_t* value);

  // Sending side. Inline sends are tried once, during submit: success leaves no completion; a failure completes with
  // the bytes that were taken or a negated errno, before any completion that a later wait brings.
  void send_inline(op_tag tag, int socket, const void* bytes, std::uint32_t count);
  void send_inline(op_tag tag, int socket, const msghdr* message);
  // Ordinary sends wait in the kernel until all bytes are taken (MSG_WAITALL), the connection fails, or the kernel has been woken too often: a
  // count that is short says nothing of the connection.
  void arm_send(op_tag tag, int socket, const msghdr* message);

  void arm_connect(op_tag tag, int socket, const sockaddr* address, socklen_t address_bytes);
  void arm_cancel(op_tag tag, op_tag target);
  void arm_close(int descriptor);

  // Hands everything armed so far to the kernel and returns without waiting.
  void submit();
  // The same, then waits as planned. Completions may be ready afterwards, or not.
  void submit_and_wait(const wait_plan& plan);

  // Calls on_completion for each completion that was ready when the pass began; bounded, since completions that arrive
  // meanwhile are left for the next pass.
  template <class OnCompletion> std::uint32_t for_each_completion(OnCompletion&& on_completion);

  // More completions have happened than the ring has places: the next submit_and_wait() brings them, in order.
  bool has_overflow() const { return (__atomic_load_n(ring_.sq.kflags, __ATOMIC_ACQUIRE) & IORING_SQ_CQ_OVERFLOW) != 0; }

  // Registers `entries` (a power of two) provided buffers; the returned ring of descriptors lives as long as this
  // object. Fails with a sentence.
  [[nodiscard]] std::expected<io_uring_buf_ring*, std::string> register_buffer_group(std::uint16_t group, std::uint32_t entries, bool incremental);

  // Counters for metrics and tests.
  std::uint64_t enter_calls() const { return enter_calls_; }
  std::uint64_t submitted() const { return submitted_; }

 private:
  ring() = default;
  io_uring_sqe* next_sqe(op_tag tag);
  void enter(unsigned wait_for, const wait_plan* plan);

  io_uring ring_{};
  ring_features features_{};
  unsigned sq_tail_ = 0;      // entries filled, published to the kernel by enter()
  unsigned sq_submitted_ = 0; // entries the kernel has taken
  std::uint64_t enter_calls_ = 0;
  std::uint64_t submitted_ = 0;
  void* buffer_group_memory_ = nullptr;
  std::size_t buffer_group_bytes_ = 0;
};

template <class OnCompletion> std::uint32_t ring::for_each_completion(OnCompletion&& on_completion) {
  unsigned head = *ring_.cq.khead;
  const unsigned tail = __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE);
  const unsigned mask = *ring_.cq.kring_mask;
  const std::uint32_t count = tail - head;
  for (; head != tail; ++head) {
    const io_uring_cqe& cqe = ring_.cq.cqes[head & mask];
    constexpr unsigned buffer_more_flag = 1u << 4; // IORING_CQE_F_BUF_MORE, kernel 6.12, not in liburing 2.3
    const completion done{.tag = op_tag::unpack(cqe.user_data),
                          .result = cqe.res,
                          .more = (cqe.flags & IORING_CQE_F_MORE) != 0,
                          .has_buffer = (cqe.flags & IORING_CQE_F_BUFFER) != 0,
                          .buffer_continues = (cqe.flags & buffer_more_flag) != 0,
                          .buffer_id = static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT)};
    // The entry is copied, so its place is given back before the work on it begins.
    __atomic_store_n(ring_.cq.khead, head + 1, __ATOMIC_RELEASE);
    on_completion(done);
  }
  return count;
}

} // namespace ringcast::engine

#include "engine/io/ring.hpp"

#include "engine/base/log.hpp"
#include <ringcast/detail/assert.hpp>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

namespace ringcast::engine {

namespace {

// Constants newer than liburing 2.3, the version of Debian 12; each with the kernel that brought it.
constexpr unsigned feature_min_timeout = 1u << 15;   // IORING_FEAT_MIN_TIMEOUT, 6.12
constexpr std::uint16_t buffer_ring_incremental = 2; // IOU_PBUF_RING_INC, 6.12

// struct io_uring_getevents_arg with the field that 6.12 gave to its padding.
struct getevents_argument {
  std::uint64_t signal_mask;
  std::uint32_t signal_mask_bytes;
  std::uint32_t min_wait_us;
  std::uint64_t timeout;
};
static_assert(sizeof(getevents_argument) == sizeof(io_uring_getevents_arg));

int sysctl_io_uring_disabled() {
  std::FILE* file = std::fopen("/proc/sys/kernel/io_uring_disabled", "re");
  if (file == nullptr) return 0;
  int value = 0;
  if (std::fscanf(file, "%d", &value) != 1) value = 0;
  std::fclose(file);
  return value;
}

std::string why_refused(int error) {
  switch (error) {
  case ENOSYS:
    return "io_uring is not available: this kernel was built without it or is older than 5.1; ringcast needs Linux 6.1 "
           "or newer";
  case EPERM:
    if (sysctl_io_uring_disabled() != 0)
      return "io_uring is switched off by kernel.io_uring_disabled; allow it with: sysctl -w "
             "kernel.io_uring_disabled=0";
    return "io_uring is refused with EPERM, which is what a container's seccomp profile does; allow the system calls "
           "io_uring_setup, "
           "io_uring_enter and io_uring_register in it (Docker: --security-opt seccomp=FILE)";
  case EINVAL: return "io_uring lacks what ringcast needs (single issuer with deferred task work); it needs Linux 6.1 or newer";
  case ENOMEM:
    return "io_uring could not be set up for want of locked memory; raise the limit with: ulimit -l unlimited "
           "(LimitMEMLOCK= in systemd)";
  case EMFILE:
  case ENFILE: return "io_uring could not be set up for want of file descriptors; raise the limit with: ulimit -n 65536 (LimitNOFILE= in systemd)";
  default: return fmt::format("io_uring could not be set up: {}", std::strerror(error));
  }
}

// Setting up was allowed, so the kernel has io_uring: what refuses the rest is a filter, or a resource is exhausted.
std::string why_refused_later(const char* call, int error) {
  if (error == EPERM || error == ENOSYS || error == EACCES)
    return fmt::format("{} is refused ({}) although io_uring_setup is allowed, which is what a seccomp profile does; allow io_uring_setup, "
                       "io_uring_enter and io_uring_register in it (Docker: --security-opt seccomp=FILE)",
                       call, std::strerror(error));
  return fmt::format("{} failed: {}", call, std::strerror(error));
}

// In the middle of the work, by what is no mistake of this program: a filter that was put on later, or memory for completions that the
// kernel did not get (EBADR: some are lost, so nobody knows what is still in flight). Nothing can be done without the ring.
[[noreturn]] void give_up(int error) {
  log_error("{}; the process ends", why_refused_later("io_uring_enter", error));
  (void)flush_log(std::chrono::milliseconds{200});
  ::_exit(3);
}

} // namespace

std::expected<void, std::string> ring::try_out() {
  const auto opened = open({.submission_entries = 8, .completion_entries = 16});
  if (!opened) return std::unexpected(opened.error());
  ring& r = **opened;
  if (const auto group = r.register_buffer_group(0, 2, false); !group) return std::unexpected(group.error());
  const getevents_argument argument{};
  const int entered = io_uring_enter2(static_cast<unsigned>(r.ring_.ring_fd), 0, 0, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                                      reinterpret_cast<sigset_t*>(const_cast<getevents_argument*>(&argument)), sizeof argument);
  if (entered < 0 && entered != -EINTR && entered != -ETIME) return std::unexpected(why_refused_later("io_uring_enter", -entered));
  return {};
}

std::expected<std::unique_ptr<ring>, std::string> ring::open(const ring_options& options) {
  std::unique_ptr<ring> opened{new ring};
  io_uring_params params{};
  // SINGLE_ISSUER and DEFER_TASKRUN (6.1): completions are made only when this thread asks for them, in one batch.
  // SUBMIT_ALL (5.18): one bad entry does not hold up the rest of a fan-out. CQSIZE (5.5).
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  params.cq_entries = options.completion_entries;
  const int result = io_uring_queue_init_params(options.submission_entries, &opened->ring_, &params);
  if (result < 0) {
    opened->ring_.ring_fd = -1;
    return std::unexpected(why_refused(-result));
  }
  if ((params.features & IORING_FEAT_NODROP) == 0 || (params.features & IORING_FEAT_EXT_ARG) == 0)
    return std::unexpected(std::string{"io_uring lacks what ringcast needs; it needs Linux 6.1 or newer"});
  opened->features_.min_wait = (params.features & feature_min_timeout) != 0;
  // The submission array maps position to entry; here it is the identity for ever.
  for (unsigned i = 0; i < params.sq_entries; ++i) opened->ring_.sq.array[i] = i;
  opened->sq_tail_ = opened->sq_submitted_ = *opened->ring_.sq.ktail;
  return opened;
}

ring::~ring() {
  if (ring_.ring_fd >= 0) io_uring_queue_exit(&ring_);
  if (buffer_group_memory_ != nullptr) munmap(buffer_group_memory_, buffer_group_bytes_);
}

void ring::arm_accept(op_tag tag, int listener) {
  io_uring_prep_multishot_accept(next_sqe(tag), listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

namespace {

void prepare_receive(io_uring_sqe* sqe, int socket, std::uint16_t buffer_group) {
  io_uring_prep_recv(sqe, socket, nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = buffer_group;
}

} // namespace

void ring::arm_receive(op_tag tag, int socket, std::uint16_t buffer_group) {
  io_uring_sqe* sqe = next_sqe(tag);
  prepare_receive(sqe, socket, buffer_group);
  sqe->ioprio |= IORING_RECV_MULTISHOT;
}

void ring::arm_receive_once(op_tag tag, int socket, std::uint16_t buffer_group) { prepare_receive(next_sqe(tag), socket, buffer_group); }

void ring::arm_receive_into(op_tag tag, int socket, void* bytes, std::size_t count) { io_uring_prep_recv(next_sqe(tag), socket, bytes, count, 0); }

void ring::arm_poll_receive(op_tag tag, int socket) { io_uring_prep_poll_multishot(next_sqe(tag), socket, POLLIN | POLLRDHUP); }

void ring::arm_doorbell(op_tag tag, int eventfd, std::uint64_t* value) { io_uring_prep_read(next_sqe(tag), eventfd, value, sizeof *value, 0); }

// MSG_DONTWAIT makes the kernel try once; MSG_WAITALL makes a short send count as a failure, so that it completes with
// its count; and CQE_SKIP_SUCCESS (5.17) keeps a full send silent.
void ring::send_inline(op_tag tag, int socket, const void* bytes, std::uint32_t count) {
  io_uring_sqe* sqe = next_sqe(tag);
  io_uring_prep_send(sqe, socket, bytes, count, MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void ring::send_inline(op_tag tag, int socket, const msghdr* message) {
  io_uring_sqe* sqe = next_sqe(tag);
  io_uring_prep_sendmsg(sqe, socket, message, MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void ring::arm_send(op_tag tag, int socket, const msghdr* message) {
  io_uring_prep_sendmsg(next_sqe(tag), socket, message, MSG_WAITALL | MSG_NOSIGNAL);
}

void ring::arm_connect(op_tag tag, int socket, const sockaddr* address, socklen_t address_bytes) {
  io_uring_prep_connect(next_sqe(tag), socket, address, address_bytes);
}

void ring::arm_cancel(op_tag tag, op_tag target) { io_uring_prep_cancel64(next_sqe(tag), target.pack(), 0); }

void ring::arm_close(int descriptor) {
  io_uring_sqe* sqe = next_sqe({operation::none});
  io_uring_prep_close(sqe, descriptor);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void ring::submit() {
  while (sq_tail_ != sq_submitted_) enter(0, nullptr);
}

void ring::submit_and_wait(const wait_plan& plan) {
  const bool ready = *ring_.cq.khead != __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE);
  const bool wait = plan.timeout_ns != 0 && !ready;
  // One call submits, runs deferred work and waits. Whatever it did not take is submitted without waiting again.
  // Waiting for more than one completion is only safe together with a bounded time after which one is enough.
  const bool may_collect = features_.min_wait && plan.min_wait_us > 0;
  enter(wait ? (may_collect ? plan.batch : 1) : 0, &plan);
  submit();
}

// Hands the filled entries over; with a plan, also runs deferred task work and waits for up to wait_for completions.
void ring::enter(unsigned wait_for, const wait_plan* plan) {
  __atomic_store_n(ring_.sq.ktail, sq_tail_, __ATOMIC_RELEASE);
  unsigned flags = 0;
  getevents_argument argument{};
  __kernel_timespec timeout{};
  const void* extra = nullptr;
  std::size_t extra_bytes = 0;
  if (plan != nullptr) {
    flags |= IORING_ENTER_GETEVENTS;
    if (wait_for > 0 && plan->timeout_ns != UINT64_MAX) {
      timeout.tv_sec = static_cast<long long>(plan->timeout_ns / 1'000'000'000);
      timeout.tv_nsec = static_cast<long long>(plan->timeout_ns % 1'000'000'000);
      argument.timeout = reinterpret_cast<std::uint64_t>(&timeout);
    }
    if (wait_for > 0 && features_.min_wait) argument.min_wait_us = plan->min_wait_us;
    flags |= IORING_ENTER_EXT_ARG;
    extra = &argument;
    extra_bytes = sizeof argument;
  }
  const unsigned count = sq_tail_ - sq_submitted_;
  ++enter_calls_;
  const int taken =
      io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), count, wait_for, flags, static_cast<sigset_t*>(const_cast<void*>(extra)), extra_bytes);
  if (taken >= 0) {
    sq_submitted_ += static_cast<unsigned>(taken);
    submitted_ += static_cast<unsigned>(taken);
    return;
  }
  // Nothing was submitted with these; the caller's loop tries again. EAGAIN and EBUSY mean that the kernel wants
  // completions to be taken or memory to come back; ETIME and EINTR end a wait.
  if (taken != -EINTR && taken != -ETIME && taken != -EAGAIN && taken != -EBUSY) {
    RINGCAST_ASSERT(taken != -EBADF && taken != -EFAULT && taken != -EINVAL);
    give_up(-taken);
  }
  // The kernel's own head tells what was taken before a wait that ended early.
  const unsigned head = __atomic_load_n(ring_.sq.khead, __ATOMIC_ACQUIRE);
  submitted_ += head - sq_submitted_;
  sq_submitted_ = head;
}

io_uring_sqe* ring::next_sqe(op_tag tag) {
  const unsigned entries = *ring_.sq.kring_entries;
  while (sq_tail_ - sq_submitted_ >= entries) enter(0, nullptr);
  io_uring_sqe* sqe = &ring_.sq.sqes[sq_tail_ & (entries - 1)];
  ++sq_tail_;
  // Each io_uring_prep_* function sets every other field.
  sqe->user_data = tag.pack();
  return sqe;
}

std::expected<io_uring_buf_ring*, std::string> ring::register_buffer_group(std::uint16_t group, std::uint32_t entries, bool incremental) {
  RINGCAST_ASSERT(std::has_single_bit(entries) && buffer_group_memory_ == nullptr);
  buffer_group_bytes_ = entries * sizeof(io_uring_buf);
  void* memory = mmap(nullptr, buffer_group_bytes_, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  if (memory == MAP_FAILED) return std::unexpected(fmt::format("no memory for the buffers of io_uring: {}", std::strerror(errno)));
  buffer_group_memory_ = memory;
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(memory);
  registration.ring_entries = entries;
  registration.bgid = group;
  // The field is padding in liburing 2.3 and "flags" since 6.12; an older kernel refuses it.
  if (incremental) registration.pad = buffer_ring_incremental;
  int result = io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_PBUF_RING, &registration, 1);
  if (result < 0 && incremental) {
    registration.pad = 0;
    result = io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_PBUF_RING, &registration, 1);
    features_.incremental_buffers = false;
  } else {
    features_.incremental_buffers = incremental && result >= 0;
  }
  if (result < 0) return std::unexpected(why_refused_later("io_uring_register", -result));
  auto* buffers = static_cast<io_uring_buf_ring*>(memory);
  buffers->tail = 0;
  return buffers;
}

} // namespace ringcast::engine

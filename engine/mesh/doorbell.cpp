#include "engine/mesh/doorbell.hpp"

#include <ringcast/detail/assert.hpp>

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>

namespace ringcast::engine {

doorbell::doorbell() : fd_(::eventfd(0, EFD_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::system_category(), "eventfd for a shard's doorbell");
}

doorbell::~doorbell() { ::close(fd_); }

void doorbell::ring() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst); // between what was published and the look at `asleep`
  // The plain load keeps the line shared among the senders while the shard is awake.
  if (!asleep_.load(std::memory_order_relaxed)) return;
  // Of several senders that saw the flag, the one that clears it writes.
  if (!asleep_.exchange(false, std::memory_order_acq_rel)) return;
  const int failed = ::eventfd_write(fd_, 1);
  RINGCAST_ASSERT(failed == 0 || errno == EINTR || errno == EAGAIN);
}

void doorbell::ask_to_stop() noexcept {
  stop_asked_.store(true, std::memory_order_release);
  ring();
}

void doorbell::prepare_sleep() noexcept {
  asleep_.store(true, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst); // between `asleep` and the look into the queues
}

void doorbell::awake() noexcept { asleep_.store(false, std::memory_order_relaxed); }

void doorbell::acknowledge() noexcept {
  // The descriptor is in blocking mode, so "do not wait" is said with the read itself (eventfd takes it since 5.8).
  std::uint64_t count = 0;
  const iovec into{&count, sizeof count};
  [[maybe_unused]] const auto bytes = ::preadv2(fd_, &into, 1, -1, RWF_NOWAIT);
}

} // namespace ringcast::engine

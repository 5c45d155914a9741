#include "tests/sim/kernel/ring_state.hpp"

#include "tests/sim/kernel/kernel.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ringcast::sim {

namespace {

constexpr unsigned feature_recvsend_bundle = 1u << 14; // IORING_FEAT_RECVSEND_BUNDLE, 6.10
constexpr unsigned feature_min_timeout = 1u << 15;     // IORING_FEAT_MIN_TIMEOUT, 6.12
constexpr unsigned buffer_ring_incremental = 2;        // IOU_PBUF_RING_INC, 6.12

// What a wait brings with it (struct io_uring_getevents_arg of 6.12).
struct wait_argument {
  std::uint64_t signal_mask;
  std::uint32_t signal_mask_bytes;
  std::uint32_t min_wait_us;
  const __kernel_timespec* timeout;
};
static_assert(sizeof(wait_argument) == sizeof(io_uring_getevents_arg));

} // namespace

ring_state::ring_state(kernel& world, unsigned submission_entries, unsigned completion_entries)
    : world_(world), sqes_(submission_entries), sq_array_(submission_entries), sq_mask_(submission_entries - 1), sq_entries_(submission_entries),
      cqes_(completion_entries), cq_mask_(completion_entries - 1), cq_entries_(completion_entries) {
  number_ = world.rings().size();
}

ring_state::~ring_state() {
  task_work_.clear();
  while (!operations_.empty()) {
    ++world_.happened["ring closed with operations in flight"];
    complete(*operations_.front());
  }
}

void ring_state::fill_in(io_uring& user) {
  user.sq.khead = &sq_head_;
  user.sq.ktail = &sq_tail_;
  user.sq.kring_mask = &sq_mask_;
  user.sq.kring_entries = &sq_entries_;
  user.sq.kflags = &sq_flags_;
  user.sq.kdropped = &sq_dropped_;
  user.sq.array = sq_array_.data();
  user.sq.sqes = sqes_.data();
  user.sq.ring_mask = sq_mask_;
  user.sq.ring_entries = sq_entries_;
  user.cq.khead = &cq_head_;
  user.cq.ktail = &cq_tail_;
  user.cq.kring_mask = &cq_mask_;
  user.cq.kring_entries = &cq_entries_;
  user.cq.kflags = &cq_flags_;
  user.cq.koverflow = &cq_overflow_;
  user.cq.cqes = cqes_.data();
  user.cq.ring_mask = cq_mask_;
  user.cq.ring_entries = cq_entries_;
  user.features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS | IORING_FEAT_CUR_PERSONALITY |
                  IORING_FEAT_FAST_POLL | IORING_FEAT_POLL_32BITS | IORING_FEAT_EXT_ARG | IORING_FEAT_NATIVE_WORKERS | IORING_FEAT_RSRC_TAGS |
                  IORING_FEAT_CQE_SKIP | IORING_FEAT_LINKED_FILE | feature_recvsend_bundle | feature_min_timeout;
  user.features &= ~world_.host.features_hidden;
}

// Submits, then, with GETEVENTS, moves what overflowed, runs pending work, and returns instead of sleeping.
int ring_state::enter(unsigned submit_count, unsigned wait_count, unsigned flags, const void* argument, std::size_t argument_bytes) {
  if (std::this_thread::get_id() != thread_)
    world_.report_misuse("a ring with IORING_SETUP_SINGLE_ISSUER is entered by another thread than the one that made it");
  if ((flags & ~(IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG)) != 0)
    world_.report_misuse(fmt::format("io_uring_enter with flags {:#x}, which are not simulated", flags));
  world_.entered_last = this;
  waits_until_ns_ = UINT64_MAX;
  would_sleep_ = false;
  world_.run_due();
  const auto submitted = static_cast<int>(submit(submit_count));
  if ((flags & IORING_ENTER_GETEVENTS) == 0) return submitted;

  flush_overflow();
  world_.run_due();
  std::size_t most = std::max(20u, wait_count); // IO_LOCAL_TW_DEFAULT_MAX
  if (world_.chance.chance(world_.faults.little_task_work)) most = world_.chance.between(1, 20);
  run_task_work(most);
  while (cq_tail_ - cq_head_ < wait_count && !task_work_.empty()) run_task_work(most);
  if (cq_tail_ - cq_head_ >= wait_count || cq_tail_ != cq_head_) return submitted;

  would_sleep_ = !std::exchange(wakes_, false);
  const __kernel_timespec* timeout = nullptr;
  if ((flags & IORING_ENTER_EXT_ARG) != 0) {
    if (argument == nullptr || argument_bytes != sizeof(wait_argument)) world_.report_misuse("IORING_ENTER_EXT_ARG without its argument");
    timeout = static_cast<const wait_argument*>(argument)->timeout;
  }
  if (timeout != nullptr)
    waits_until_ns_ = world_.now_ns() + static_cast<std::uint64_t>(timeout->tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(timeout->tv_nsec);
  if (submitted > 0) return submitted;
  return timeout != nullptr ? -ETIME : -EINTR;
}

unsigned ring_state::submit(unsigned count) {
  const unsigned tail = __atomic_load_n(&sq_tail_, __ATOMIC_ACQUIRE);
  if (count > tail - sq_head_ || tail - sq_head_ > sq_entries_)
    world_.report_misuse(fmt::format("{} entries are submitted, but {} are in the submission queue", count, tail - sq_head_));
  unsigned head = sq_head_;
  for (unsigned i = 0; i < count; ++i, ++head) {
    const unsigned place = sq_array_[head & sq_mask_];
    if (place >= sq_entries_) world_.report_misuse("the submission array names an entry that does not exist");
    issue(sqes_[place]);
  }
  __atomic_store_n(&sq_head_, head, __ATOMIC_RELEASE);
  return count;
}

void ring_state::queue_work(pending_operation& op) {
  if (op.work_queued || op.finished) return;
  op.work_queued = true;
  task_work_.push_back(op.shared_from_this());
}

void pending_operation::woken(int events) {
  wake_events = work_queued ? 0 : events;
  ring.queue_work(*this);
}

void ring_state::run_task_work(std::size_t most) {
  // What a piece of work queues again is left for the next pass, as in the kernel.
  for (std::size_t left = std::min(most, task_work_.size()); left > 0; --left) {
    const std::shared_ptr<pending_operation> op = std::move(task_work_.front());
    task_work_.pop_front();
    op->work_queued = false;
    if (op->finished) continue;
    if (op->cancelled) {
      const bool partly_sent = op->bytes_done > 0;
      fail(*op, partly_sent ? static_cast<int>(op->bytes_done) : -ECANCELED);
    } else if (op->late_result_is_there) {
      op->late_result < 0 ? fail(*op, op->late_result) : finish(*op, op->late_result);
    } else {
      attempt(*op);
    }
  }
}

void ring_state::post(std::uint64_t user_data, int result, std::uint32_t flags) {
  world_.trace("  ring {} completion {:#018x}: {} flags {:#x}", number_, user_data, result, flags);
  const io_uring_cqe cqe{.user_data = user_data, .res = result, .flags = flags};
  if (!overflow_.empty() || cq_tail_ - __atomic_load_n(&cq_head_, __ATOMIC_ACQUIRE) >= cq_entries_) {
    ++world_.happened["completion queue overflow"];
    overflow_.push_back(cqe);
    ++cq_overflow_;
    __atomic_store_n(&sq_flags_, sq_flags_ | IORING_SQ_CQ_OVERFLOW, __ATOMIC_RELEASE);
    return;
  }
  std::memcpy(static_cast<void*>(&cqes_[cq_tail_ & cq_mask_]), &cqe, sizeof cqe);
  __atomic_store_n(&cq_tail_, cq_tail_ + 1, __ATOMIC_RELEASE);
}

void ring_state::flush_overflow() {
  while (!overflow_.empty() && cq_tail_ - __atomic_load_n(&cq_head_, __ATOMIC_ACQUIRE) < cq_entries_) {
    std::memcpy(static_cast<void*>(&cqes_[cq_tail_ & cq_mask_]), &overflow_.front(), sizeof(io_uring_cqe));
    __atomic_store_n(&cq_tail_, cq_tail_ + 1, __ATOMIC_RELEASE);
    overflow_.pop_front();
  }
  if (overflow_.empty()) __atomic_store_n(&sq_flags_, sq_flags_ & ~IORING_SQ_CQ_OVERFLOW, __ATOMIC_RELEASE);
}

// A multishot operation cannot overflow: without a place for its completion it ends with that completion.
bool ring_state::post_one_of_many(pending_operation& op, int result, std::uint32_t flags) {
  if (!overflow_.empty() || cq_tail_ - __atomic_load_n(&cq_head_, __ATOMIC_ACQUIRE) >= cq_entries_) return false;
  if (world_.chance.chance(world_.faults.multishot_ends)) {
    ++world_.happened["multishot ends"];
    return false;
  }
  post(op.sqe.user_data, result, flags | IORING_CQE_F_MORE);
  return true;
}

bool ring_state::buffers_are_unread() const {
  for (unsigned head = __atomic_load_n(&cq_head_, __ATOMIC_ACQUIRE); head != cq_tail_; ++head)
    if ((cqes_[head & cq_mask_].flags & IORING_CQE_F_BUFFER) != 0) return true;
  return false;
}

pending_operation* ring_state::find_by_user_data(std::uint64_t user_data) {
  for (const auto& op : operations_)
    if (op->sqe.user_data == user_data && op->sqe.opcode != IORING_OP_ASYNC_CANCEL && !op->cancelled) return op.get();
  return nullptr;
}

int ring_state::register_with(unsigned opcode, const void* argument, unsigned count) {
  if (opcode == IORING_UNREGISTER_PBUF_RING) {
    const auto& registration = *static_cast<const io_uring_buf_reg*>(argument);
    return groups_.erase(registration.bgid) == 1 ? 0 : -ENOENT;
  }
  if (opcode != IORING_REGISTER_PBUF_RING || count != 1)
    world_.report_misuse(fmt::format("io_uring_register with opcode {}, which is not simulated", opcode));
  const auto& registration = *static_cast<const io_uring_buf_reg*>(argument);
  const bool incremental = (registration.pad & buffer_ring_incremental) != 0;
  if ((registration.pad & ~buffer_ring_incremental) != 0 || (incremental && !world_.host.incremental_buffers)) return -EINVAL;
  if (!std::has_single_bit(registration.ring_entries) || registration.ring_entries > 32'768 || registration.ring_addr % 4096 != 0) return -EINVAL;
  if (groups_.contains(registration.bgid)) return -EEXIST;
  groups_.emplace(registration.bgid, std::make_unique<buffer_group>(world_, registration, incremental));
  return 0;
}

std::size_t ring_state::operations_in_flight(unsigned opcode) const {
  return static_cast<std::size_t>(std::ranges::count_if(operations_, [&](const auto& op) { return op->sqe.opcode == opcode; }));
}

std::size_t ring_state::buffers_away() {
  std::size_t away = 0;
  for (const auto& [id, group] : groups_) away += group->away();
  return away;
}

void ring_state::add_leaks(std::vector<std::string>& into) {
  for (const auto& op : operations_)
    into.push_back(fmt::format("operation {} with user_data {:#018x} is still in flight", op->sqe.opcode, op->sqe.user_data));
  for (const auto& [id, group] : groups_)
    if (const std::size_t away = group->away(); away > 0) into.push_back(fmt::format("{} buffers of group {} were not given back", away, id));
  if (has_completions()) into.push_back("completions were not read");
}

} // namespace ringcast::sim

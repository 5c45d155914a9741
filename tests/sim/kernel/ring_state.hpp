// One simulated io_uring: its submission and completion rings in memory, its operations in flight, its provided
// buffers.
//
// The order of things is the kernel's, for a ring with IORING_SETUP_SINGLE_ISSUER and IORING_SETUP_DEFER_TASKRUN:
// submission tries each operation once, in order, and posts at once what completes; what cannot complete waits for its
// file. A file that becomes ready only queues work, and the work runs when the ring is entered with GETEVENTS.
#pragma once

#include "tests/sim/kernel/buffer_group.hpp"
#include "tests/sim/kernel/open_file.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <liburing.h>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <sys/uio.h>
#include <thread>
#include <vector>

namespace ringcast::sim {

class kernel;

// An operation from its submission to its last completion.
struct pending_operation : waiter, std::enable_shared_from_this<pending_operation> {
  pending_operation(ring_state& r, const io_uring_sqe& entry) : ring(r), sqe(entry) {}
  void woken(int events) override;

  ring_state& ring;
  io_uring_sqe sqe; // a copy: the submission entry is the engine's again after the submit
  file_reference file;
  std::vector<iovec> pieces; // what a send has still to take
  std::vector<iovec> whole;  // all of it, to check at the end that nobody has changed it
  std::size_t bytes_total = 0;
  std::size_t bytes_done = 0;
  std::uint64_t checksum = 0; // of the bytes to send, for sends that wait
  bool waiting = false;       // in the file's wait queue
  int retries_left = 128;     // how often a send is woken before it gives up (APOLL_MAX_RETRY of io_uring/poll.h)
  bool work_queued = false;
  int wake_events = 0; // of a single wake-up; 0 after several
  bool cancelled = false;
  bool finished = false;
  int late_result = 0; // of an operation that a timer completes
  bool late_result_is_there = false;
};

class ring_state {
 public:
  ring_state(kernel& world, unsigned submission_entries, unsigned completion_entries);
  ~ring_state();
  ring_state(const ring_state&) = delete;
  ring_state& operator=(const ring_state&) = delete;

  void fill_in(io_uring& user);
  int enter(unsigned submit_count, unsigned wait_count, unsigned flags, const void* argument, std::size_t argument_bytes);
  int register_with(unsigned opcode, const void* argument, unsigned count);

  // Until when the thread of the ring would sleep now: UINT64_MAX while it does not, or has no bound.
  std::uint64_t waits_until_ns() const { return waits_until_ns_; }
  bool has_completions() const { return cq_tail_ != __atomic_load_n(&cq_head_, __ATOMIC_ACQUIRE) || !overflow_.empty(); }
  // Whether the last entry would have slept: it waited, and nothing was there.
  bool would_sleep() const { return would_sleep_; }
  // Time has passed while it slept: its next entry is the end of that sleep, and not the begin of another one.
  void was_asleep() {
    wakes_ = true;
    would_sleep_ = false;
  }
  // Its shard has had its last turn: nobody sleeps in it, and nobody has to.
  void retire() { retired_ = true; }
  bool is_retired() const { return retired_; }
  bool has_task_work() const { return !task_work_.empty(); }
  void add_leaks(std::vector<std::string>& into);
  std::size_t operations_in_flight(unsigned opcode) const;
  std::size_t operations_in_flight() const { return operations_.size(); }
  std::size_t buffers_away();

  void queue_work(pending_operation& op);
  // A plain send() goes through the same checks as one of the ring.
  static void check_send_order(const kernel& world, const endpoint& end, const pending_operation* except);
  bool is_unread(std::uint32_t position) const { return static_cast<std::int32_t>(position - cq_head_) >= 0; }
  kernel& world() const { return world_; }

 private:
  unsigned submit(unsigned count);
  void issue(const io_uring_sqe& sqe);
  void check(const io_uring_sqe& sqe) const;
  void attempt(pending_operation& op);
  void run_task_work(std::size_t most);

  void attempt_accept(pending_operation& op);
  void attempt_receive(pending_operation& op);
  void attempt_receive_into_buffers(pending_operation& op);
  void attempt_send(pending_operation& op);
  void attempt_poll(pending_operation& op);
  void attempt_read(pending_operation& op);
  void start_cancel(pending_operation& op);
  void start_connect(pending_operation& op);
  void connect_now(pending_operation& op);
  void finish_later(pending_operation& op, std::uint64_t delay_ns, int result);
  [[nodiscard]] bool prepare_send(pending_operation& op);

  void wait_for(pending_operation& op, int events);
  // The last completion of an operation.
  void finish(pending_operation& op, int result, std::uint32_t flags = 0);
  // The same for a result that IOSQE_CQE_SKIP_SUCCESS does not silence.
  void fail(pending_operation& op, int result);
  void complete(pending_operation& op);
  // One of many; answers false, and the operation must finish with this result, when the ring has no place or the seed
  // says that it ends here.
  bool post_one_of_many(pending_operation& op, int result, std::uint32_t flags);
  void post(std::uint64_t user_data, int result, std::uint32_t flags);
  void flush_overflow();
  bool buffers_are_unread() const;
  pending_operation* find_by_user_data(std::uint64_t user_data);

  kernel& world_;
  std::size_t number_ = 0; // for the trace
  std::thread::id thread_ = std::this_thread::get_id();

  std::vector<io_uring_sqe> sqes_;
  std::vector<unsigned> sq_array_;
  unsigned sq_head_ = 0, sq_tail_ = 0, sq_mask_, sq_entries_, sq_flags_ = 0, sq_dropped_ = 0;
  std::vector<io_uring_cqe> cqes_;
  unsigned cq_head_ = 0, cq_tail_ = 0, cq_mask_, cq_entries_, cq_flags_ = 0, cq_overflow_ = 0;
  std::deque<io_uring_cqe> overflow_;

  std::list<std::shared_ptr<pending_operation>> operations_;
  std::deque<std::shared_ptr<pending_operation>> task_work_;
  std::map<std::uint16_t, std::unique_ptr<buffer_group>> groups_;
  std::uint64_t waits_until_ns_ = UINT64_MAX;
  bool would_sleep_ = false;
  bool wakes_ = false;
  bool retired_ = false;
};

} // namespace ringcast::sim

// What the workers of one run share, whether they are threads or processes: the step that they are at, what each has
// found, and for every message on its way who still has to hear it. Made before the first of them is started.
#pragma once

#include "apps/load/clock.hpp"
#include "apps/load/run/result.hpp"
#include "apps/load/run/shared_memory.hpp"
#include "apps/load/run/shared_order.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace ringcast::load {

// One part of a run, done by all workers at the same time.
struct load_step {
  enum class action : std::uint8_t {
    open,   // Open the connections.
    run,    // What the mode is about, for `seconds`.
    listen, // Only hear, for `seconds`: what should not come any more would come now.
    stop,
  };
  action what = action::open;
  double seconds = 0;
  double rate = 0; // Over all workers; 0 is the closed loop.
  bool measured = false;
  std::int64_t start_ns = 0; // When it was said, since the epoch.
};

// How a run is going, as far as one worker sees it.
struct live_counts {
  std::uint64_t done = 0; // Deliveries or connections, ever growing.
  std::uint64_t open = 0;
  std::uint64_t errors = 0;
};

class board {
 public:
  // `slots` is a power of two: how many messages of one sender are remembered.
  board(unsigned workers, std::size_t senders, std::uint32_t slots);
  ~board();
  board(const board&) = delete;
  board& operator=(const board&) = delete;

  [[nodiscard]] unsigned workers() const { return workers_; }
  // On CLOCK_MONOTONIC, which is the same in all processes; the times in the tags count from here.
  [[nodiscard]] std::int64_t epoch_ns() const { return epoch_ns_; }
  [[nodiscard]] std::int64_t elapsed_ns() const { return clock_ns() - epoch_ns_; }

  // ---- steps: said by the conductor, done by the workers
  // --------------------------------------------------------------
  void begin_step(const load_step& step);
  [[nodiscard]] std::uint32_t step_number() const { return common_[0].step_number.load(std::memory_order_acquire); }
  [[nodiscard]] const load_step& step() const { return common_[0].step; }
  // A worker that hears what others send has to count from their first message on, so all of them are ready before the
  // first one sends. The last one that gets ready sets the time at which the step starts, 0 until then.
  void be_ready();
  [[nodiscard]] std::int64_t started_ns() const { return common_[0].started_ns.load(std::memory_order_acquire); }
  // A worker is through with the step, and this is what it has found so far in the run.
  void finish_step(unsigned worker, std::uint32_t number, const load_result& found);
  [[nodiscard]] bool has_finished(unsigned worker, std::uint32_t number) const;
  [[nodiscard]] const load_result& found_by(unsigned worker) const { return of_workers_[worker].found; }

  // Ends the present step everywhere. The first one who says it is remembered.
  void abort(unsigned by);
  [[nodiscard]] bool is_aborted() const { return common_[0].aborted_by.load(std::memory_order_relaxed) != 0; }
  [[nodiscard]] std::optional<unsigned> aborted_by() const;

  // All messages of this worker's senders have arrived or were given up, and it will send no more in this step.
  void be_quiet();
  [[nodiscard]] bool are_all_quiet() const { return common_[0].quiet.load(std::memory_order_acquire) == workers_; }

  // A delivery anywhere, for who decides that nothing more will come. Nanoseconds since the epoch.
  void note_arrival(unsigned worker, std::int64_t when_ns);
  [[nodiscard]] std::int64_t last_arrival_ns() const;

  // ---- doorbells: eventfds, one for each worker and one for the conductor
  // ---------------------------------------------
  [[nodiscard]] int doorbell(unsigned who) const { return doorbells_[who]; }
  [[nodiscard]] unsigned conductor() const { return workers_; }
  // Rings once until it is answered.
  void ring(unsigned who);
  void answer(unsigned who);

  // ---- progress: the conductor asks now and then, a worker answers between two turns
  // ----------------------------------
  void ask_progress(unsigned worker) { of_workers_[worker].asked.store(1, std::memory_order_release); }
  [[nodiscard]] bool is_asked(unsigned worker) const { return of_workers_[worker].asked.load(std::memory_order_acquire) != 0; }
  void tell_progress(unsigned worker, const live_counts& counts, const histogram* latency);
  [[nodiscard]] const live_counts& counts_of(unsigned worker) const { return of_workers_[worker].live; }
  [[nodiscard]] const histogram& latency_of(unsigned worker) const { return of_workers_[worker].latency; }

  // ---- messages on their way
  // ------------------------------------------------------------------------------------------
  struct sent_message {
    std::int64_t ticks = 0;
    std::int64_t sent_ns = 0;
  };
  // Before it is sent, by the worker that owns the sender. `hearing` workers have connections that must hear it.
  void publish(std::uint32_t sender, std::uint32_t number, const sent_message& sent, std::uint32_t hearing);
  // How many messages the sender has sent.
  [[nodiscard]] std::uint32_t published(std::uint32_t sender) const { return senders_[sender].load(std::memory_order_acquire); }
  // While it is remembered.
  [[nodiscard]] std::optional<sent_message> find(std::uint32_t sender, std::uint32_t number) const;
  // All connections of one worker that had to hear it have. True: it was the last worker, and the message is complete.
  bool heard(std::uint32_t sender, std::uint32_t number);
  [[nodiscard]] bool is_complete(std::uint32_t sender, std::uint32_t number) const;
  // Nobody waits for it any more.
  void give_up(std::uint32_t sender, std::uint32_t number);

  // --order total. Its pages cost nothing until then.
  [[nodiscard]] shared_order& order() { return order_; }

 private:
  struct common {
    std::atomic<std::uint32_t> step_number;
    std::atomic<std::uint32_t> aborted_by; // The worker + 1.
    std::atomic<std::uint32_t> quiet;
    std::atomic<std::uint32_t> ready;
    std::atomic<std::int64_t> started_ns;
    load_step step;
  };
  struct alignas(64) of_worker {
    std::atomic<std::uint32_t> rung;
    std::atomic<std::int64_t> last_arrival_ns;
    alignas(64) std::atomic<std::uint32_t> finished; // Number of the step.
    std::atomic<std::uint32_t> asked;
    live_counts live;
    histogram latency;
    load_result found;
  };
  // The number and the count of workers in one word, so that who comes late cannot take something off another message
  // that has taken the place meanwhile.
  struct slot {
    std::atomic<std::uint64_t> state;
    std::atomic<std::int64_t> ticks;
    std::atomic<std::int64_t> sent_ns;
  };
  static constexpr std::uint64_t being_written = ~std::uint64_t{0};

  [[nodiscard]] slot& slot_of(std::uint32_t sender, std::uint32_t number) {
    return messages_[std::size_t{sender} * slots_ + (number & (slots_ - 1))];
  }
  [[nodiscard]] const slot& slot_of(std::uint32_t sender, std::uint32_t number) const {
    return messages_[std::size_t{sender} * slots_ + (number & (slots_ - 1))];
  }

  unsigned workers_;
  std::uint32_t slots_;
  std::int64_t epoch_ns_ = clock_ns();
  std::vector<int> doorbells_;
  zero_pages<common> common_;
  zero_pages<of_worker> of_workers_; // And one for the conductor's doorbell.
  zero_pages<std::atomic<std::uint32_t>> senders_;
  zero_pages<slot> messages_;
  shared_order order_;
};

} // namespace ringcast::load

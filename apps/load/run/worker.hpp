// One thread of the generator: it owns every `workers`-th connection of the run, and does the steps that the conductor
// says together with the others, who may be threads of this process or of another one. What they have to know of each
// other is on the board.
#pragma once

#include "apps/load/connection_set.hpp"
#include "apps/load/run/board.hpp"
#include "apps/load/run/options.hpp"

#include <memory>
#include <utility>

namespace ringcast::load {

using namespace engine;

class worker : public connection_set {
 public:
  worker(const load_options& options, board& shared, unsigned index);

  // Returns when the conductor says stop.
  void work();

 protected:
  // False: see trouble().
  virtual bool open() { return open_all(); }
  virtual void run(const load_step& step) = 0;
  // What was found so far. Valid at any time, also after trouble.
  [[nodiscard]] virtual load_result result() const = 0;
  [[nodiscard]] virtual live_counts counts() const = 0;
  // Of the measured part, if that is under way.
  [[nodiscard]] virtual const histogram* live_latency() const = 0;

  // With --sse those that do not send.
  [[nodiscard]] bool is_event_stream(unsigned i) const final { return options_.event_streams && ordinal(i) >= options_.senders; }
  void on_turn() final;
  void on_doorbell() final;

  // Whether another worker or the conductor has rung since this was asked last.
  [[nodiscard]] bool was_rung() { return std::exchange(rung_, false); }

  const load_options& options_;
  board& board_;
  const unsigned index_;

 private:
  void listen(const load_step& step);

  bool rung_ = false;
};

// For the mode of these options.
[[nodiscard]] std::unique_ptr<worker> make_worker(const load_options& options, board& shared, unsigned index);

} // namespace ringcast::load

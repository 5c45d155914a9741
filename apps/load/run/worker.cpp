#include "apps/load/run/worker.hpp"

#include "apps/load/run/churn.hpp"
#include "apps/load/run/resume.hpp"
#include "apps/load/run/traffic.hpp"

namespace ringcast::load {

using namespace engine;

worker::worker(const load_options& options, board& shared, unsigned index)
    : connection_set{options.to,
                     {.first = index, .stride = shared.workers(), .connections = options.connections, .ramp = options.ramp},
                     shared.doorbell(index)},
      options_{options}, board_{shared}, index_{index} {}

void worker::work() {
  for (std::uint32_t number = 1;; ++number) {
    while (board_.step_number() < number) {
      turn(100'000'000);
      on_turn();
    }
    const load_step step = board_.step();
    switch (step.what) {
    case load_step::action::stop: return;
    case load_step::action::open: open(); break;
    case load_step::action::run:
      if (is_going()) run(step);
      break;
    case load_step::action::listen:
      if (is_going()) listen(step);
    }
    board_.finish_step(index_, number, result());
    if (!trouble().empty()) board_.abort(index_);
  }
}

void worker::listen(const load_step& step) {
  const auto stop_ns = step.start_ns + static_cast<std::int64_t>(step.seconds * 1e9);
  for (std::int64_t now = board_.elapsed_ns(); is_going() && now < stop_ns; now = board_.elapsed_ns()) {
    turn(stop_ns - now);
    on_turn();
  }
}

void worker::on_turn() {
  if (board_.is_asked(index_)) board_.tell_progress(index_, counts(), live_latency());
}

void worker::on_doorbell() {
  board_.answer(index_);
  rung_ = true;
  if (board_.is_aborted()) halt();
}

std::unique_ptr<worker> make_worker(const load_options& options, board& shared, unsigned index) {
  if (options.mode == load_mode::resume) return std::make_unique<resume>(options, shared, index);
  if (has_messages(options.mode)) return std::make_unique<traffic>(options, shared, index);
  return std::make_unique<churn>(options, shared, index);
}

} // namespace ringcast::load

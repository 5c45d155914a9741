// Starts the workers of a run, says what they are to do step by step, shows how it goes, and adds up what they found.
// It lives on the main thread. Of the processes that it starts nothing is left when it is gone, however it ends.
#pragma once

#include "apps/load/run/board.hpp"
#include "apps/load/run/options.hpp"
#include "apps/load/run/plan.hpp"
#include "apps/load/run/progress.hpp"

#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace ringcast::load {

class conductor {
 public:
  conductor(const load_options& options, const run_plan& plan);
  ~conductor();
  conductor(const conductor&) = delete;
  conductor& operator=(const conductor&) = delete;

  // Each returns when all workers are through with it. False: see result().trouble; nothing can be done after that.
  bool open();
  bool warm_up(double seconds, double rate);
  bool measure(double seconds, double rate);
  // For what a wrong server sends after everything has arrived.
  bool listen(double seconds);
  // All connections vanish and come back, again and again for this long.
  bool measure_storms(double seconds);

  // Of all workers together.
  [[nodiscard]] load_result result() const;

 private:
  struct child {
    pid_t pid = 0;
    int pidfd = -1;
    bool is_gone = false;
  };

  void start_processes();
  void start_threads(unsigned process);
  bool perform(const load_step& step, std::string_view phase);
  void wait_for_news();
  void on_signal();
  void on_child_gone(child& gone);
  void show(std::string_view phase);
  [[nodiscard]] bool is_gone(unsigned worker) const;

  const load_options& options_;
  run_plan plan_;
  board board_;
  std::vector<child> children_;
  std::vector<std::jthread> threads_;
  progress progress_;
  int signal_fd_ = -1;
  histogram storm_times_;
  short_text trouble_; // Of the conductor itself: a signal, a process that ended.
};

} // namespace ringcast::load

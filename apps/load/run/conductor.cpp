#include "apps/load/run/conductor.hpp"

#include "apps/load/run/worker.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ringcast::load {

using namespace engine;

namespace {

sigset_t asking_to_end() {
  sigset_t out;
  sigemptyset(&out);
  sigaddset(&out, SIGINT);
  sigaddset(&out, SIGTERM);
  return out;
}

} // namespace

conductor::conductor(const load_options& options, const run_plan& plan)
    : options_{options}, plan_{plan}, board_{plan.workers, options.sender_count(), options.slots()} {
  // The signals are taken by poll(), in this process only: Ctrl-C reaches the whole group, and the report is still due.
  const sigset_t ending = asking_to_end();
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  signal_fd_ = ::signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
  start_processes();
  start_threads(0);
}

// Before any thread: a child of fork() has only the thread that called it.
void conductor::start_processes() {
  const pid_t parent = ::getpid();
  for (unsigned p = 1; p < plan_.processes; ++p) {
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error{fmt::format("cannot start a process: {}", std::strerror(errno))};
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      start_threads(p);
      threads_.clear(); // Joins them.
      ::_exit(0);
    }
    children_.push_back({.pid = pid, .pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))});
  }
}

void conductor::start_threads(unsigned process) {
  for (unsigned w = process; w < plan_.workers; w += plan_.processes) {
    threads_.emplace_back([this, w] {
      // Planned times are kept to a few microseconds, not to the 50 by which the kernel may bundle timers.
      ::prctl(PR_SET_TIMERSLACK, 1UL);
      make_worker(options_, board_, w)->work();
    });
  }
}

conductor::~conductor() {
  progress_.finish();
  board_.begin_step({.what = load_step::action::stop});
  threads_.clear();
  for (child& c : children_) {
    if (!c.is_gone) ::waitpid(c.pid, nullptr, 0);
    ::close(c.pidfd);
  }
  ::close(signal_fd_);
  const sigset_t ending = asking_to_end();
  ::pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
}

bool conductor::open() { return perform({.what = load_step::action::open}, "opening"); }

bool conductor::warm_up(double seconds, double rate) {
  return seconds <= 0 || perform({.what = load_step::action::run, .seconds = seconds, .rate = rate}, "warming up");
}

bool conductor::measure(double seconds, double rate) {
  return perform({.what = load_step::action::run, .seconds = seconds, .rate = rate, .measured = true}, "measuring");
}

bool conductor::listen(double seconds) { return perform({.what = load_step::action::listen, .seconds = seconds}, "listening"); }

bool conductor::measure_storms(double seconds) {
  const std::int64_t stop_ns = board_.elapsed_ns() + static_cast<std::int64_t>(seconds * 1e9);
  do {
    if (!perform({.what = load_step::action::run, .measured = true}, "storming")) return false;
    std::int64_t end_ns = 0;
    for (unsigned w = 0; w < plan_.workers; ++w) end_ns = std::max(end_ns, board_.found_by(w).storm_end_ns);
    storm_times_.record(end_ns - board_.step().start_ns);
  } while (board_.elapsed_ns() < stop_ns);
  return true;
}

bool conductor::perform(const load_step& step, std::string_view phase) {
  if (board_.is_aborted()) return false;
  load_step timed = step;
  timed.start_ns = board_.elapsed_ns();
  board_.begin_step(timed);
  const std::uint32_t number = board_.step_number();
  for (;;) {
    bool is_over = true;
    for (unsigned w = 0; w < plan_.workers; ++w) is_over = is_over && (board_.has_finished(w, number) || is_gone(w));
    if (is_over) return !board_.is_aborted();
    wait_for_news();
    show(phase);
  }
}

void conductor::wait_for_news() {
  std::vector<pollfd> waits{{.fd = board_.doorbell(board_.conductor()), .events = POLLIN, .revents = 0},
                            {.fd = signal_fd_, .events = POLLIN, .revents = 0}};
  for (const child& c : children_) waits.push_back({.fd = c.is_gone ? -1 : c.pidfd, .events = POLLIN, .revents = 0});
  if (::poll(waits.data(), waits.size(), progress_.interval_ms()) <= 0) return;
  if (waits[0].revents) board_.answer(board_.conductor());
  if (waits[1].revents) on_signal();
  for (std::size_t c = 0; c < children_.size(); ++c) {
    if (waits[c + 2].revents) on_child_gone(children_[c]);
  }
}

void conductor::on_signal() {
  signalfd_siginfo which{};
  if (::read(signal_fd_, &which, sizeof which) != sizeof which) return;
  trouble_ = short_text{"the run was ended by " + std::string{which.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"} +
                        "; what had been gathered is in the report"};
  board_.abort(board_.conductor());
}

void conductor::on_child_gone(child& gone) {
  int status = 0;
  ::waitpid(gone.pid, &status, 0);
  gone.is_gone = true;
  trouble_ = short_text{WIFSIGNALED(status) ? fmt::format("a process of the generator was ended by signal {}", WTERMSIG(status))
                                            : fmt::format("a process of the generator ended with code {}", WEXITSTATUS(status))};
  board_.abort(board_.conductor());
}

bool conductor::is_gone(unsigned worker) const {
  const unsigned process = worker % plan_.processes;
  return process != 0 && children_[process - 1].is_gone;
}

// A worker answers between two turns, so a line shows what the workers said since the line before it.
void conductor::show(std::string_view phase) {
  if (!progress_.is_due(clock_ns())) return;
  progress::state state{.phase = phase, .unit = "msg"};
  if (!has_messages(options_.mode) || phase == "opening") state.unit = "conn";
  for (unsigned w = 0; w < plan_.workers; ++w) {
    if (board_.is_asked(w)) continue; // Not answered yet: its figures may be half written.
    const live_counts& counts = board_.counts_of(w);
    state.done += counts.done;
    state.open += counts.open;
    state.errors += counts.errors;
    state.latency.add(board_.latency_of(w));
    board_.ask_progress(w);
  }
  progress_.show(clock_ns(), state);
}

load_result conductor::result() const {
  load_result out = board_.found_by(0);
  for (unsigned w = 1; w < plan_.workers; ++w) out.add(board_.found_by(w));
  out.storm_times = storm_times_;
  if (out.resuming.return_ns != 0 && out.storms != 0) out.storm_times.record(out.storm_end_ns - out.resuming.return_ns);
  if (const auto by = board_.aborted_by()) out.trouble = *by == board_.conductor() ? trouble_ : board_.found_by(*by).trouble;
  // What the messages of an unfinished run would still have caused is not known.
  if (out.trouble.empty() && out.totals.expected > out.totals.delivered) out.totals.lost = out.totals.expected - out.totals.delivered;
  return out;
}

} // namespace ringcast::load

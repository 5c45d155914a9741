#include "engine/io/process_signals.hpp"

#include <ringcast/detail/assert.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace ringcast::engine {

namespace {

// What handlers may touch: lock-free, and never freed, since a handler may still be running on another thread when its reader has gone. For
// the same reason a descriptor, once made, is kept for the next reader.
struct listening_place {
  std::atomic<std::uint64_t> wanted{0};  // signals as bits; 0: the place is free
  std::atomic<std::uint64_t> arrived{0};
  std::atomic<int> event{-1};
  std::atomic<pid_t> process{0};
};
constexpr int places = 8; // servers that run at the same time in one process
std::array<listening_place, places> all_places;
std::mutex changing;
// Who handled a signal before the first of those that live now took it.
struct original {
  int users = 0;
  struct sigaction action = {};
};
std::array<original, 65> originals;

std::uint64_t bit_of(int signal) { return std::uint64_t{1} << (signal - 1); }

void on_signal(int signal) {
  const int error = errno;
  bool ours = false;
  for (listening_place& place : all_places) {
    if ((place.wanted.load() & bit_of(signal)) == 0 || place.process.load() != ::getpid()) continue;
    ours = true;
    place.arrived.fetch_or(bit_of(signal));
    const std::uint64_t one = 1;
    (void)!::write(place.event.load(), &one, sizeof one);
  }
  if (!ours) {
    // A child that was forked and executes nothing else: it has the handler and the descriptor of its parent, and must stop only itself.
    ::signal(signal, SIG_DFL);
    ::raise(signal); // it comes when this handler has returned
  }
  errno = error;
}

void on_broken_pipe(int) {}

} // namespace

process_signals::process_signals(std::initializer_list<int> taken) : place_(-1) {
  const std::lock_guard lock{changing};
  for (int i = 0; i < places && place_ < 0; ++i)
    if (all_places[i].wanted.load() == 0) place_ = i;
  RINGCAST_ASSERT(place_ >= 0);
  listening_place& place = all_places[place_];
  if (place.event.load() < 0 || place.process.load() != ::getpid()) place.event.store(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  place.process.store(::getpid());
  place.arrived.store(0);
  std::uint64_t wanted = 0;
  sigset_t let_through;
  sigemptyset(&let_through);
  for (const int signal : taken) {
    wanted |= bit_of(signal);
    sigaddset(&let_through, signal);
  }
  place.wanted.store(wanted);
  struct sigaction action = {};
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  const auto replace = [&](int signal, void (*handler)(int)) {
    action.sa_handler = handler;
    original& of = originals[static_cast<std::size_t>(signal)];
    if (of.users == 0 && ::sigaction(signal, &action, &of.action) != 0) return;
    ++of.users;
    replaced_.push_back(signal);
  };
  for (const int signal : taken) replace(signal, on_signal);
  // A reader of our output who goes away is an error of the write. It is not ignored, because what is executed would inherit that.
  struct sigaction pipe = {};
  ::sigaction(SIGPIPE, nullptr, &pipe);
  if (pipe.sa_handler == SIG_DFL || pipe.sa_handler == on_broken_pipe) replace(SIGPIPE, on_broken_pipe);
  pthread_sigmask(SIG_UNBLOCK, &let_through, &mask_before_);
}

process_signals::~process_signals() {
  const std::lock_guard lock{changing};
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  for (const int signal : replaced_) {
    original& of = originals[static_cast<std::size_t>(signal)];
    if (--of.users == 0) ::sigaction(signal, &of.action, nullptr);
  }
  all_places[place_].wanted.store(0);
  std::uint64_t count = 0;
  (void)!::read(all_places[place_].event.load(), &count, sizeof count);
}

int process_signals::descriptor() const { return all_places[place_].event.load(); }

std::optional<int> process_signals::take() {
  listening_place& place = all_places[place_];
  std::uint64_t count = 0;
  // First the descriptor, then the bits: what comes in between makes it readable again.
  (void)!::read(place.event.load(), &count, sizeof count);
  const std::uint64_t arrived = place.arrived.load();
  if (arrived == 0) return std::nullopt;
  const int first = std::countr_zero(arrived) + 1;
  if ((place.arrived.fetch_and(~bit_of(first)) & ~bit_of(first)) != 0) {
    const std::uint64_t one = 1;
    (void)!::write(place.event.load(), &one, sizeof one);
  }
  return first;
}

} // namespace ringcast::engine

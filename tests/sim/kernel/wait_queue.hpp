// Who waits for a file to become ready: the operations of the rings.
#pragma once

#include <algorithm>
#include <poll.h>
#include <vector>

namespace ringcast::sim {

class waiter {
 public:
  virtual ~waiter() = default;
  // Only takes note: the work is done later, when the ring of the waiter is entered.
  virtual void woken(int events) = 0;

  int interest = 0; // POLL* bits; errors and hang-ups always count
};

class wait_queue {
 public:
  void add(waiter* who) { waiters_.push_back(who); }
  void remove(waiter* who) { std::erase(waiters_, who); }

  void notify(int events) {
    for (waiter* who : waiters_)
      if ((events & (who->interest | POLLERR | POLLHUP)) != 0) who->woken(events);
  }

 private:
  std::vector<waiter*> waiters_;
};

} // namespace ringcast::sim

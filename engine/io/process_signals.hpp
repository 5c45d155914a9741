// The signals of a process while a server runs in it: taken by handlers, from whichever thread the kernel gives them to, and read from a
// descriptor. No thread needs a mask for it, so threads made before and after are alike and what is forked inherits nothing; a program
// that is executed begins with the defaults.
#pragma once

#include <csignal>
#include <initializer_list>
#include <optional>
#include <vector>

namespace ringcast::engine {

class process_signals {
 public:
  // From here on these signals are taken. Several may live at once: each hears every one of its signals. A signal that comes twice before
  // it is taken counts once. The calling thread lets them through, whatever its mask was.
  explicit process_signals(std::initializer_list<int> taken);
  // With the last that takes a signal, what handled it before handles it again.
  ~process_signals();
  process_signals(const process_signals&) = delete;
  process_signals& operator=(const process_signals&) = delete;

  // Readable when take() has something. -1 where there was no descriptor left; then take() has to be asked.
  [[nodiscard]] int descriptor() const;
  // The next signal that has come, if one has. Never waits.
  [[nodiscard]] std::optional<int> take();

 private:
  int place_;
  sigset_t mask_before_;
  std::vector<int> replaced_;
};

} // namespace ringcast::engine

// What a service says to systemd, or to whoever else speaks its protocol: sd_notify(3), written to the socket that the environment names.
#pragma once

#include <chrono>
#include <string_view>

namespace ringcast::engine {

class service_manager {
 public:
  // Looks into the environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.
  service_manager();
  ~service_manager();
  service_manager(const service_manager&) = delete;
  service_manager& operator=(const service_manager&) = delete;

  // "READY=1", "STOPPING=1", "WATCHDOG=1"; lines of NAME=VALUE. Never waits: nobody may be reading. Nothing if nobody asked for it.
  void say(std::string_view state) const noexcept;
  // How long this process may say nothing before it is ended; 0: for ever.
  [[nodiscard]] std::chrono::milliseconds watchdog() const { return watchdog_; }

 private:
  int socket_ = -1;
  std::chrono::milliseconds watchdog_{0};
};

} // namespace ringcast::engine

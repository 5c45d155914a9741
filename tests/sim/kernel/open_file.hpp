// An open file description: what descriptors and operations in flight share. It is released when the last of them is
// gone, so a close() with a receive still pending sends no FIN, exactly as in the kernel.
#pragma once

#include "tests/sim/kernel/network.hpp"

#include <cerrno>
#include <cstdint>
#include <memory>
#include <sys/socket.h>

namespace ringcast::sim {

class ring_state;

struct open_file {
  enum class kind : std::uint8_t { socket, event, ring };

  explicit open_file(kind k);
  ~open_file();
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;

  wait_queue& waiters() {
    if (stream) return stream->waiters;
    return listening ? listening->waiters : own_waiters;
  }

  int shut_down(int how) {
    if (stream) return stream->shut_down(how);
    if (!listening) return -ENOTCONN;
    listening->shut = true;
    listening->refuse_all();
    listening->waiters.notify(POLLIN | POLLHUP);
    return 0;
  }

  int readiness() const {
    if (stream) return stream->readiness();
    if (listening) return listening->shut ? POLLIN | POLLHUP : listening->pending.empty() ? 0 : POLLIN;
    if (what == kind::event) return POLLOUT | (count > 0 ? POLLIN : 0);
    return POLLOUT | POLLHUP; // A socket that is not connected.
  }

  kind what;
  bool nonblocking = false;
  int process = 0; // who has opened it
  int operations_in_flight = 0;
  wait_queue own_waiters;

  // socket
  int family = 0;
  std::uint16_t port = 0;
  bool reuse_port = false;
  endpoint_handle stream;
  std::shared_ptr<listener> listening;

  // event
  std::uint64_t count = 0;

  // ring
  std::unique_ptr<ring_state> ring;
};

using file_reference = std::shared_ptr<open_file>;

} // namespace ringcast::sim

// The simulated network: TCP connections between two endpoints with finite buffers, and listeners.
//
// Bytes that an endpoint sends lie in its send buffer until a delivery moves them to the receive buffer of the other
// side; a delivery happens at a time, and in pieces, that the seed decides. FIN travels behind the bytes, RST does not.
#pragma once

#include "tests/sim/kernel/byte_queue.hpp"
#include "tests/sim/kernel/wait_queue.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>

namespace ringcast::sim {

class kernel;
struct connection;
struct pending_operation;

// One side of a connection. Everything answers with a count or a negated errno, as the kernel's TCP does.
struct endpoint {
  std::ptrdiff_t send(std::span<const std::byte> bytes);
  std::ptrdiff_t receive(std::span<std::byte> into);
  int shut_down(int how);
  void close(); // The last reference to the file is gone.
  void reset(); // Sends RST now and forgets what was queued.

  int readiness() const;
  endpoint& other() const;
  bool established() const { return owner != nullptr; }
  std::size_t send_room() const { return send_limit > outgoing.size() ? send_limit - outgoing.size() : 0; }

  connection* owner = nullptr;
  int side = 0;
  byte_queue outgoing; // sent by this side, not yet in the other side's `incoming`
  byte_queue incoming;
  std::size_t send_limit = 0;
  std::size_t receive_limit = 0;
  wait_queue waiters;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;

  bool write_shut = false; // FIN is queued behind `outgoing`, or sent
  bool fin_sent = false;
  bool fin_received = false;
  bool read_shut = false;
  bool dead = false;         // reset: nothing moves any more
  bool orphaned = false;     // nobody has it open
  bool transmitting = false; // a delivery is under way
  bool resets_when_closed = false; // SO_LINGER with no time
  bool immune = false;       // resets and short sends spare it
  std::size_t cut_after = SIZE_MAX; // the connection is cut when so many bytes of this side were delivered
  bool cut_is_fin = false;   // the other side is told FIN and not RST
  std::size_t delivered = 0;
  bool wants_room = false;   // a send found too little room, so that room is announced
  int error = 0;             // as sk_err: the next call that looks at it takes it away

  // The checks of the rings: which send is in flight, and which failed send's completion is still unread.
  pending_operation* sending = nullptr;
  pending_operation* receiving = nullptr;
  const void* short_send_ring = nullptr;
  std::uint32_t short_send_position = 0;

  void transmit();
  void deliver();
  void receive_reset(int with_error);
  void cut();
};

struct connection : std::enable_shared_from_this<connection> {
  kernel* world = nullptr;
  endpoint sides[2];
};

// A handle on one side; the connection lives as long as a handle on either side does.
using endpoint_handle = std::shared_ptr<endpoint>;

struct endpoint_pair {
  endpoint_handle from; // the side that connects
  endpoint_handle to;   // the side that is accepted
};

endpoint_pair make_connection(kernel& world, std::uint16_t from_port, std::uint16_t to_port);

struct listener {
  ~listener() { refuse_all(); }
  void refuse_all(); // Resets whoever was not accepted.

  std::uint16_t port = 0;
  bool reuse_port = false;
  bool shut = false; // shut down: nobody is accepted any more
  std::size_t backlog = 0;
  std::deque<endpoint_handle> pending;
  wait_queue waiters;
};

} // namespace ringcast::sim

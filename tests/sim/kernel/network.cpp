#include "tests/sim/kernel/network.hpp"

#include "tests/sim/kernel/kernel.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace ringcast::sim {

endpoint_pair make_connection(kernel& world, std::uint16_t from_port, std::uint16_t to_port) {
  auto made = std::make_shared<connection>();
  made->world = &world;
  for (int side = 0; side < 2; ++side) {
    endpoint& end = made->sides[side];
    end.owner = made.get();
    end.side = side;
    end.local_port = side == 0 ? from_port : to_port;
    end.remote_port = side == 0 ? to_port : from_port;
    const machine& host = world.host;
    end.send_limit = world.chance.between(host.send_bytes_min, host.send_bytes_max);
    end.receive_limit = world.chance.between(host.receive_bytes_min, host.receive_bytes_max);
  }
  return {endpoint_handle(made, &made->sides[0]), endpoint_handle(made, &made->sides[1])};
}

endpoint& endpoint::other() const { return owner->sides[1 - side]; }

// As tcp_sendmsg: an error that waits is told first, then EPIPE; a full buffer says EAGAIN.
std::ptrdiff_t endpoint::send(std::span<const std::byte> bytes) {
  if (error != 0) {
    const int told = error;
    error = 0;
    return -told;
  }
  if (write_shut || dead) return -EPIPE;
  std::size_t count = std::min(bytes.size(), send_room());
  kernel& world = *owner->world;
  if (count > 0 && !immune && world.chance.chance(world.faults.short_send)) count = world.chance.below(count);
  if (count < bytes.size()) wants_room = true;
  if (count == 0) return bytes.empty() ? 0 : -EAGAIN;
  outgoing.append(bytes.first(count));
  transmit();
  return static_cast<std::ptrdiff_t>(count);
}

// As tcp_recvmsg: queued bytes come first, also after a reset; then the end, then an error.
std::ptrdiff_t endpoint::receive(std::span<std::byte> into) {
  if (!incoming.empty()) {
    const std::size_t count = incoming.take(into);
    other().transmit();
    return static_cast<std::ptrdiff_t>(count);
  }
  if (fin_received) return 0;
  if (error != 0) {
    const int told = error;
    error = 0;
    return -told;
  }
  if (read_shut || dead) return 0;
  return -EAGAIN;
}

int endpoint::shut_down(int how) {
  if (dead) return -ENOTCONN;
  if (how == SHUT_RD || how == SHUT_RDWR) read_shut = true;
  if (how == SHUT_WR || how == SHUT_RDWR) write_shut = true;
  waiters.notify(POLLIN | POLLOUT | POLLRDHUP | (read_shut && write_shut ? POLLHUP : 0));
  transmit();
  return 0;
}

void endpoint::close() {
  if (orphaned) return;
  orphaned = true;
  if (dead) return;
  if (!incoming.empty() || resets_when_closed) return reset(); // As Linux does: unread bytes turn the FIN into a RST.
  write_shut = true;
  transmit();
}

void endpoint::reset() {
  if (dead) return;
  dead = true;
  outgoing.clear();
  kernel& world = *owner->world;
  world.schedule(world.delivery_delay_ns(), [weak = owner->weak_from_this(), target = 1 - side] {
    if (const auto alive = weak.lock()) alive->sides[target].receive_reset(ECONNRESET);
  });
}

// As tcp_reset: a side that has seen the FIN is told EPIPE. What was received before stays readable.
void endpoint::receive_reset(int with_error) {
  if (dead) return;
  dead = true;
  error = fin_received ? EPIPE : with_error;
  outgoing.clear();
  waiters.notify(POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP);
}

int endpoint::readiness() const {
  int events = 0;
  if (!incoming.empty() || fin_received || read_shut || dead) events |= POLLIN;
  if (fin_received || read_shut || dead) events |= POLLRDHUP;
  if (write_shut || dead || send_room() * 3 >= send_limit) events |= POLLOUT;
  if (error != 0) events |= POLLERR;
  if (dead || (write_shut && (fin_received || read_shut))) events |= POLLHUP;
  return events;
}

void endpoint::transmit() {
  if (transmitting || dead || !established()) return;
  const bool bytes_to_move = !outgoing.empty() && (other().orphaned || other().incoming.size() < other().receive_limit);
  const bool fin_to_move = outgoing.empty() && write_shut && !fin_sent;
  if (!bytes_to_move && !fin_to_move) return;
  transmitting = true;
  kernel& world = *owner->world;
  world.schedule(world.delivery_delay_ns(), [weak = owner->weak_from_this(), from = side] {
    if (const auto alive = weak.lock()) alive->sides[from].deliver();
  });
}

void endpoint::deliver() {
  transmitting = false;
  if (dead) return;
  kernel& world = *owner->world;
  endpoint& to = other();
  if (!immune && !to.immune && world.chance.chance(world.faults.reset)) {
    ++world.happened["reset"];
    world.trace("connection {} -> {} is reset by the network", local_port, remote_port);
    receive_reset(ECONNRESET);
    to.receive_reset(ECONNRESET);
    return;
  }
  if (!outgoing.empty()) {
    if (to.orphaned) { // Bytes for somebody who has closed.
      to.dead = true;
      return receive_reset(ECONNRESET);
    }
    const std::size_t room = to.receive_limit > to.incoming.size() ? to.receive_limit - to.incoming.size() : 0;
    std::size_t count = std::min(outgoing.size(), room);
    if (count > 0 && world.chance.chance(world.faults.split_delivery)) count = 1 + world.chance.below(count);
    count = std::min(count, cut_after - delivered);
    if (count > 0) {
      delivered += count;
      outgoing.move_to(to.incoming, count);
      world.trace("{} bytes arrive from port {} at port {}", count, local_port, remote_port);
      to.waiters.notify(POLLIN);
      if (wants_room && (readiness() & POLLOUT) != 0) {
        wants_room = false;
        waiters.notify(POLLOUT);
      }
    }
    if (delivered == cut_after) return cut();
  }
  if (outgoing.empty() && write_shut && !fin_sent) {
    fin_sent = true;
    to.fin_received = true;
    to.waiters.notify(POLLIN | POLLRDHUP | (to.write_shut ? POLLHUP : 0));
  }
  transmit();
}

// Somebody between the two ends has had enough, or this side's machine is gone and its kernel has said goodbye.
void endpoint::cut() {
  receive_reset(ECONNRESET);
  endpoint& to = other();
  if (!cut_is_fin) return to.receive_reset(ECONNRESET);
  to.fin_received = true;
  to.waiters.notify(POLLIN | POLLRDHUP);
}

void listener::refuse_all() {
  for (const endpoint_handle& waiting : pending) {
    waiting->reset();
    waiting->orphaned = true;
  }
  pending.clear();
}

} // namespace ringcast::sim

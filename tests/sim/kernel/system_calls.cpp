// The plain system calls that the engine makes, over the simulated kernel. The linker puts these functions in the place
// of the C library's (-Wl,--wrap=NAME); a descriptor that is not the simulated kernel's goes on to the real function.
#include "tests/sim/kernel/address.hpp"
#include "tests/sim/kernel/kernel.hpp"
#include "tests/sim/kernel/ring_state.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

using ringcast::sim::endpoint;
using ringcast::sim::file_reference;
using ringcast::sim::kernel;
using ringcast::sim::listener;
using ringcast::sim::open_file;
using ringcast::sim::port_of;
using ringcast::sim::ring_state;
using ringcast::sim::text_of;

namespace {

bool is_ours(int descriptor) { return kernel::current() != nullptr && kernel::current()->owns(descriptor); }

// The kernel's convention to the C library's.
template <class Result> Result told(Result result) {
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

file_reference file_of(int descriptor) {
  kernel& world = *kernel::current();
  const ringcast::sim::call_scope here;
  world.run_due();
  return world.find(descriptor);
}

int write_address(int family, std::uint16_t port, sockaddr* address, socklen_t* bytes) {
  sockaddr_storage made{};
  socklen_t made_bytes = sizeof(sockaddr_in);
  if (family == AF_INET6) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(made);
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    v6.sin6_port = htons(port);
    made_bytes = sizeof v6;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(made);
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4.sin_port = htons(port);
  }
  std::memcpy(address, &made, std::min(*bytes, made_bytes));
  *bytes = made_bytes;
  return 0;
}

// What a blocking call of a test may wait for; the engine's own calls do not block.
template <class Call> std::ptrdiff_t until_done(const open_file& file, int flags, Call&& call) {
  kernel& world = *kernel::current();
  for (;;) {
    const std::ptrdiff_t result = call();
    if (result != -EAGAIN || file.nonblocking || (flags & MSG_DONTWAIT) != 0) return result;
    const auto next = world.next_event_ns();
    if (!next) world.report_misuse("a blocking call would wait for ever");
    world.advance_to(*next);
  }
}

} // namespace

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): the names are those that the linker's --wrap makes.
int __real_close(int);
int __real_ioctl(int, unsigned long, ...);
ssize_t __real_recv(int, void*, size_t, int);
ssize_t __real_send(int, const void*, size_t, int);
ssize_t __real_sendmsg(int, const msghdr*, int);
ssize_t __real_read(int, void*, size_t);
ssize_t __real_write(int, const void*, size_t);
int __real_socket(int, int, int);
int __real_bind(int, const sockaddr*, socklen_t);
int __real_listen(int, int);
int __real_connect(int, const sockaddr*, socklen_t);
int __real_accept4(int, sockaddr*, socklen_t*, int);
int __real_setsockopt(int, int, int, const void*, socklen_t);
int __real_getsockopt(int, int, int, void*, socklen_t*);
int __real_getsockname(int, sockaddr*, socklen_t*);
int __real_getpeername(int, sockaddr*, socklen_t*);
int __real_shutdown(int, int);
int __real_eventfd(unsigned, int);
int __real_sched_yield();
int __real_clock_gettime(clockid_t, timespec*);
time_t __real_time(time_t*);

int __wrap_socket(int family, int type, int protocol) {
  kernel* const world = kernel::current();
  if (world == nullptr) return __real_socket(family, type, protocol);
  auto file = std::make_shared<open_file>(open_file::kind::socket);
  file->family = family;
  file->nonblocking = (type & SOCK_NONBLOCK) != 0;
  return told(world->open(std::move(file)));
}

int __wrap_bind(int descriptor, const sockaddr* address, socklen_t bytes) {
  if (!is_ours(descriptor)) return __real_bind(descriptor, address, bytes);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  std::uint16_t port = port_of(address);
  if (port == 0) port = kernel::current()->free_port();
  if (kernel::current()->port_is_taken(port, file->reuse_port)) return told(-EADDRINUSE);
  file->port = port;
  return 0;
}

int __wrap_listen(int descriptor, int backlog) {
  if (!is_ours(descriptor)) return __real_listen(descriptor, backlog);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  if (kernel::current()->port_is_taken(file->port, file->reuse_port)) return told(-EADDRINUSE);
  file->listening = kernel::current()->listen(file->port);
  file->listening->reuse_port = file->reuse_port;
  file->listening->backlog = static_cast<std::size_t>(backlog) + 1;
  return 0;
}

int __wrap_connect(int descriptor, const sockaddr* address, socklen_t bytes) {
  if (!is_ours(descriptor)) return __real_connect(descriptor, address, bytes);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  const int result = kernel::current()->connect(*file, text_of(address), port_of(address), !file->nonblocking).value_or(-ETIMEDOUT);
  return told(result == 0 && file->nonblocking ? -EINPROGRESS : result);
}

int __wrap_accept4(int descriptor, sockaddr* address, socklen_t* bytes, int flags) {
  if (!is_ours(descriptor)) return __real_accept4(descriptor, address, bytes, flags);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  if (!file->listening) return told(-EINVAL);
  return static_cast<int>(told(until_done(*file, 0, [&]() -> std::ptrdiff_t { return kernel::current()->accept(*file->listening, flags); })));
}

int __wrap_setsockopt(int descriptor, int level, int name, const void* value, socklen_t bytes) {
  if (!is_ours(descriptor)) return __real_setsockopt(descriptor, level, name, value, bytes);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  if (level == SOL_SOCKET && name == SO_REUSEPORT) file->reuse_port = *static_cast<const int*>(value) != 0;
  if (level == SOL_SOCKET && name == SO_LINGER && file->stream) {
    const linger& how = *static_cast<const linger*>(value);
    file->stream->resets_when_closed = how.l_onoff != 0 && how.l_linger == 0;
  }
  if (level == SOL_SOCKET && name == SO_SNDBUF && file->stream) file->stream->send_limit = static_cast<std::size_t>(*static_cast<const int*>(value));
  return 0;
}

// Of all requests the engine makes only this one (tcp(7), SIOCOUTQ).
int __wrap_ioctl(int descriptor, unsigned long request, int* value) {
  if (!is_ours(descriptor)) return __real_ioctl(descriptor, request, value);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  if (request != TIOCOUTQ || !file->stream) return told(-ENOTTY);
  const bool end_is_queued = file->stream->write_shut && !file->stream->fin_sent; // FIN counts like a byte
  *value = static_cast<int>(file->stream->outgoing.size() + (end_is_queued ? 1 : 0));
  return 0;
}

int __wrap_getsockopt(int descriptor, int level, int name, void* value, socklen_t* bytes) {
  if (!is_ours(descriptor)) return __real_getsockopt(descriptor, level, name, value, bytes);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  if (level != SOL_SOCKET || name != SO_ERROR) return told(-ENOPROTOOPT);
  int error = 0;
  if (file->stream) std::swap(error, file->stream->error);
  std::memcpy(value, &error, std::min<std::size_t>(*bytes, sizeof error));
  return 0;
}

int __wrap_getsockname(int descriptor, sockaddr* address, socklen_t* bytes) {
  if (!is_ours(descriptor)) return __real_getsockname(descriptor, address, bytes);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  return write_address(file->family, file->stream ? file->stream->local_port : file->port, address, bytes);
}

int __wrap_getpeername(int descriptor, sockaddr* address, socklen_t* bytes) {
  if (!is_ours(descriptor)) return __real_getpeername(descriptor, address, bytes);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  if (!file->stream || file->stream->dead) return told(-ENOTCONN);
  return write_address(file->family, file->stream->remote_port, address, bytes);
}

ssize_t __wrap_recv(int descriptor, void* into, size_t bytes, int flags) {
  if (!is_ours(descriptor)) return __real_recv(descriptor, into, bytes, flags);
  const auto file = file_of(descriptor);
  if (!file) return told<ssize_t>(-EBADF);
  if (!file->stream) return told<ssize_t>(-ENOTCONN);
  const ringcast::sim::call_scope here;
  if (file->stream->receiving != nullptr) kernel::current()->report_misuse("a recv() while a receive is in flight");
  return told<ssize_t>(until_done(*file, flags, [&] { return file->stream->receive({static_cast<std::byte*>(into), bytes}); }));
}

ssize_t __wrap_send(int descriptor, const void* from, size_t bytes, int flags) {
  if (!is_ours(descriptor)) return __real_send(descriptor, from, bytes, flags);
  const auto file = file_of(descriptor);
  if (!file) return told<ssize_t>(-EBADF);
  if (!file->stream) return told<ssize_t>(-ENOTCONN);
  if ((flags & MSG_NOSIGNAL) == 0) kernel::current()->report_misuse("a send() without MSG_NOSIGNAL may end the process");
  const ringcast::sim::call_scope here;
  ring_state::check_send_order(*kernel::current(), *file->stream, nullptr);
  return told<ssize_t>(until_done(*file, flags, [&] { return file->stream->send({static_cast<const std::byte*>(from), bytes}); }));
}

ssize_t __wrap_sendmsg(int descriptor, const msghdr* message, int flags) {
  if (!is_ours(descriptor)) return __real_sendmsg(descriptor, message, flags);
  ssize_t total = 0;
  for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
    const ssize_t sent = __wrap_send(descriptor, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len, flags);
    if (sent < 0) return total > 0 ? total : sent;
    total += sent;
    if (static_cast<std::size_t>(sent) < message->msg_iov[i].iov_len) break;
  }
  return total;
}

int __wrap_shutdown(int descriptor, int how) {
  if (!is_ours(descriptor)) return __real_shutdown(descriptor, how);
  const auto file = file_of(descriptor);
  if (!file) return told(-EBADF);
  return told(file->shut_down(how));
}

int __wrap_close(int descriptor) {
  if (!is_ours(descriptor)) return __real_close(descriptor);
  return told(kernel::current()->close(descriptor));
}

int __wrap_eventfd(unsigned start, int flags) {
  kernel* const world = kernel::current();
  if (world == nullptr) return __real_eventfd(start, flags);
  auto file = std::make_shared<open_file>(open_file::kind::event);
  file->count = start;
  file->nonblocking = (flags & EFD_NONBLOCK) != 0;
  return told(world->open(std::move(file)));
}

ssize_t __wrap_read(int descriptor, void* into, size_t bytes) {
  if (!is_ours(descriptor)) return __real_read(descriptor, into, bytes);
  const auto file = file_of(descriptor);
  if (!file) return told<ssize_t>(-EBADF);
  if (file->what != open_file::kind::event) return __wrap_recv(descriptor, into, bytes, 0);
  if (bytes < sizeof file->count) return told<ssize_t>(-EINVAL);
  if (file->count == 0) {
    if (!file->nonblocking) kernel::current()->report_misuse("a plain read of an eventfd would block its thread");
    return told<ssize_t>(-EAGAIN);
  }
  std::memcpy(into, &file->count, sizeof file->count);
  file->count = 0;
  return sizeof file->count;
}

ssize_t __wrap_write(int descriptor, const void* from, size_t bytes) {
  if (!is_ours(descriptor)) return __real_write(descriptor, from, bytes);
  const auto file = file_of(descriptor);
  if (!file) return told<ssize_t>(-EBADF);
  if (file->what != open_file::kind::event) return __wrap_send(descriptor, from, bytes, MSG_NOSIGNAL);
  if (bytes != sizeof file->count) return told<ssize_t>(-EINVAL);
  std::uint64_t more = 0;
  std::memcpy(&more, from, sizeof more);
  file->count += more;
  kernel::current()->bell_was_rung(file);
  return static_cast<ssize_t>(bytes);
}

int __wrap_eventfd_write(int descriptor, eventfd_t value) { return __wrap_write(descriptor, &value, sizeof value) == sizeof value ? 0 : -1; }

int __wrap_eventfd_read(int descriptor, eventfd_t* value) { return __wrap_read(descriptor, value, sizeof *value) == sizeof *value ? 0 : -1; }

ssize_t __wrap_getrandom(void* into, size_t bytes, unsigned) {
  kernel* const world = kernel::current();
  if (world == nullptr) {
    // The key of the process's tables is drawn before main(): the same in every run, so that a seed is one run. But no byte over and over:
    // a TLS library that is asked for something before there is a kernel refuses such a source.
    static ringcast::sim::random_source before_any_kernel{0x5a};
    for (std::byte& b : std::span{static_cast<std::byte*>(into), bytes}) b = static_cast<std::byte>(before_any_kernel.next());
    return static_cast<ssize_t>(bytes);
  }
  for (std::byte& b : std::span{static_cast<std::byte*>(into), bytes}) b = static_cast<std::byte>(world->entropy.next());
  return static_cast<ssize_t>(bytes);
}

int __wrap_sched_yield() {
  kernel* const world = kernel::current();
  if (world == nullptr) return __real_sched_yield();
  if (!world->on_yield) world->report_misuse("a thread waits for another one, and the test has none");
  world->on_yield();
  return 0;
}

int __wrap_clock_gettime(clockid_t clock, timespec* now) {
  kernel* const world = kernel::current();
  if (world == nullptr) return __real_clock_gettime(clock, now);
  now->tv_sec = static_cast<time_t>(world->now_ns() / 1'000'000'000u);
  now->tv_nsec = static_cast<long>(world->now_ns() % 1'000'000'000u);
  return 0;
}

time_t __wrap_time(time_t* into) {
  kernel* const world = kernel::current();
  const time_t now = world != nullptr ? static_cast<time_t>(world->now_ns() / 1'000'000'000u) : __real_time(nullptr);
  if (into != nullptr) *into = now;
  return now;
}
// NOLINTEND(bugprone-reserved-identifier)

} // extern "C"

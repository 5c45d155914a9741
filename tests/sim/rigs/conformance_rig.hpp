// A ring with its buffers and a listener, as the cases of conformance_*.cpp use them.
#pragma once

#include "engine/io/ring.hpp"
#include "engine/io/socket.hpp"
#include "tests/sim/kernel/conformance.hpp"

#include <cerrno>
#include <cstring>
#include <deque>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

namespace ringcast::sim {

using namespace engine;

inline op_tag tag(operation op, std::uint32_t slot = 1) { return {op, 7, slot}; }

struct rig {
  explicit rig(unsigned completion_entries = 64)
      : uring(std::move(*ring::open({.submission_entries = 64, .completion_entries = completion_entries}))) {
    auto address = parse_address("127.0.0.1:0");
    listening = *listen_on(*address, 64);
  }
  ~rig() {
    for (const int descriptor : descriptors) close(descriptor);
    if (listening >= 0) close(listening);
  }

  struct connected {
    int server;
    int client; // blocking
  };
  connected connect_pair() {
    const int client = connect_client();
    settle();
    const int server = accept_now(listening);
    descriptors.push_back(server);
    return {server, client};
  }
  int connect_client() {
    const socket_address address = local_address_of(listening);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) != 0) return -1;
    descriptors.push_back(client);
    return client;
  }
  void close_early(int descriptor) {
    std::erase(descriptors, descriptor);
    close(descriptor);
  }

  void provide_ring(std::uint32_t entries, std::uint32_t bytes, bool incremental) {
    buffers = uring->register_buffer_group(3, entries, incremental).value();
    buffer_bytes = bytes;
    mask = entries - 1;
    memory.resize(std::size_t{entries} * bytes);
  }
  std::byte* buffer(std::uint16_t id) { return memory.data() + std::size_t{id} * buffer_bytes; }
  void provide(std::uint16_t id) {
    io_uring_buf& entry = buffers->bufs[buffers->tail & mask];
    entry.addr = reinterpret_cast<std::uint64_t>(buffer(id));
    entry.len = buffer_bytes;
    entry.bid = id;
    __atomic_store_n(&buffers->tail, static_cast<std::uint16_t>(buffers->tail + 1), __ATOMIC_RELEASE);
  }

  // Everything that is ready without asking the kernel for more.
  std::vector<completion> ready() {
    std::vector<completion> found;
    uring->for_each_completion([&](const completion& done) { found.push_back(done); });
    return found;
  }
  // Submits, lets the kernel do its pending work, and returns what came.
  std::vector<completion> all() {
    std::vector<completion> found;
    for (;;) {
      uring->submit_and_wait({.timeout_ns = 0});
      const auto more = ready();
      if (more.empty()) return found;
      found.insert(found.end(), more.begin(), more.end());
    }
  }
  std::string text(const completion& done, std::size_t offset = 0) {
    return {reinterpret_cast<const char*>(buffer(done.buffer_id)) + offset, static_cast<std::size_t>(done.result)};
  }

  std::shared_ptr<void> world = make_world();
  std::unique_ptr<ring> uring;
  int listening = -1;
  std::vector<int> descriptors;
  io_uring_buf_ring* buffers = nullptr;
  std::vector<std::byte> memory;
  std::uint32_t buffer_bytes = 0;
  unsigned mask = 0;
};

inline void say(int socket, std::string_view text) { [[maybe_unused]] const auto sent = send(socket, text.data(), text.size(), MSG_NOSIGNAL); }

// Reads until the end or until nothing is there; the count, and in errno why it stopped (0 for the end).
inline std::size_t drain(int socket) {
  static char sink[65'536];
  std::size_t total = 0;
  for (;;) {
    const auto got = recv(socket, sink, sizeof sink, MSG_DONTWAIT);
    if (got == 0) errno = 0;
    if (got <= 0) return total;
    total += static_cast<std::size_t>(got);
  }
}

} // namespace ringcast::sim

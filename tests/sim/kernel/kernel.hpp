// The simulated kernel: a clock that moves only when it is told to, one descriptor table, the network, and the rings.
//
// While an object of this class lives, the four functions of liburing and the plain system calls that the engine makes
// (liburing_calls.cpp, system_calls.cpp) work on it. One at a time, one thread. Nothing in it ever blocks: a wait that
// finds nothing returns, and the test moves the clock.
#pragma once

#include "tests/sim/kernel/faults.hpp"
#include "tests/sim/kernel/network.hpp"
#include "tests/sim/kernel/open_file.hpp"
#include "tests/sim/kernel/random_source.hpp"

#include <cstdint>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ringcast::sim {

// The engine did something that no correct user of the kernel does.
struct misuse : std::logic_error {
  using std::logic_error::logic_error;
};

// What an attempt to connect to an address meets before it reaches a listener.
// `late`: only after route_late_ns.
enum class route : std::uint8_t { there, refused, unreachable, silent, late };
inline constexpr std::uint64_t route_late_ns = 300'000'000;

// The other end of a connection, on another machine: what the scripted clients of a test hold. Closes when it dies.
class remote {
 public:
  remote() = default;
  explicit remote(endpoint_handle end) : end_(std::move(end)) {}
  ~remote() { close(); }
  remote(remote&&) = default;
  remote& operator=(remote&& other) {
    close();
    end_ = std::move(other.end_);
    return *this;
  }

  bool is_open() const { return end_ != nullptr; }
  // A count or a negated errno, as for a non-blocking socket.
  std::ptrdiff_t write(std::span<const std::byte> bytes);
  std::ptrdiff_t read(std::span<std::byte> into);
  void shut_down_writing();
  void close(); // FIN, or RST if bytes are unread
  void reset();
  endpoint& end() const { return *end_; }

 private:
  endpoint_handle end_;
};

// What runs now: the engine's own code, or on its behalf what stands for the kernel. For tests that let the engine's allocations fail.
struct running_now {
  int turns = 0;
  int calls = 0;
};
inline thread_local running_now running;
struct call_scope {
  call_scope() { ++running.calls; }
  ~call_scope() { --running.calls; }
};

class kernel {
 public:
  explicit kernel(std::uint64_t seed, const fault_plan& faults = {}, const machine& host = {});
  ~kernel();
  kernel(const kernel&) = delete;
  kernel& operator=(const kernel&) = delete;

  static kernel* current();

  // --- time ---
  std::uint64_t now_ns() const { return now_ns_; }
  // Runs what is due and moves the clock; time does not pass in between.
  void run_due();
  void advance_to(std::uint64_t when_ns);
  void advance_by(std::uint64_t ns) { advance_to(now_ns_ + ns); }
  // When something is going to happen by itself: a delivery, a timeout, or the end of a ring's wait.
  std::optional<std::uint64_t> next_event_ns() const;
  bool has_events() const { return !events_.empty() || !answers_.empty(); }
  // Moves the clock to the next thing that happens by itself, if every ring's thread would sleep and it is not further away than this.
  // Answers whether they would sleep.
  bool sleep(std::uint64_t most_ns = UINT64_MAX);
  void schedule(std::uint64_t delay_ns, std::function<void()> what);
  std::uint64_t delivery_delay_ns();

  // --- the other machines ---
  // Connects to a listener of the engine; empty when nobody listens on the port.
  remote connect(std::uint16_t port);
  // Listens where the engine may connect to.
  std::shared_ptr<listener> listen(std::uint16_t port);
  static std::optional<remote> accept(listener& from);
  // By numeric address, for what the engine connects to; an address that is not listed is there.
  std::map<std::string, route> routes;
  // Host names and their numeric addresses. A name that is not listed does not exist; one whose list is empty is never answered.
  std::map<std::string, std::vector<std::string>> names;
  // The resolver (resolver.cpp): what it was asked, and its answers, which come between the turns as from another thread.
  void look_up(std::string name, std::function<void(const std::vector<std::string>&)> on_answer);
  void deliver_answers();
  std::vector<std::uint64_t> look_ups; // when
  // What rings began to connect to, and when.
  struct dialed_address {
    std::string address;
    std::uint64_t when_ns;
  };
  std::vector<dialed_address> dialed;
  // Called with each connection that a ring makes: the side that connects, and the other one.
  std::function<void(endpoint& from, endpoint& to)> on_connection;

  // --- descriptors: the kernel's side of the system calls ---
  int open(file_reference file); // lowest free descriptor, or -EMFILE
  file_reference find(int descriptor) const;
  bool owns(int descriptor) const { return descriptor >= descriptor_first; }
  int close(int descriptor);
  // To everybody else that process is dead from now on: its connections are reset and its ports refuse. `process` is who opens what is
  // opened now.
  void cut_off(int dead_process);
  int process = 0;
  int processes = 0; // numbers given
  ring_state* entered_last = nullptr; // the ring of the turn that was the last
  int accept(listener& from, int flags); // a descriptor or a negated errno
  std::ptrdiff_t send(open_file& file, std::span<const std::byte> bytes);
  // A result, or nothing if none ever comes.
  std::optional<int> connect(open_file& file, const std::string& address, std::uint16_t port, bool wait_for_it);
  std::shared_ptr<listener> listener_of(std::uint16_t port);
  bool port_is_taken(std::uint16_t port, bool reuse_port) const;
  std::uint16_t free_port();
  void bell_was_rung(const file_reference& file);

  // --- at the end of a run ---
  // One sentence for each descriptor and operation that is left, and each buffer the engine has not given back.
  std::vector<std::string> leaks() const;
  std::size_t open_descriptors() const;
  void describe_connections() const; // to standard error, for whoever looks into a failure
  std::vector<ring_state*> rings() const;

  // --- when something is wrong ---
  // Throws sim::misuse if `misuse_throws`, else prints the sentence with the seed and aborts.
  [[noreturn]] void report_misuse(const std::string& sentence) const;
  template <class... Arguments> void trace(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    if (tracing) write_trace(fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  void write_trace(const std::string& line) const;

  random_source chance;
  random_source entropy; // of getrandom()
  fault_plan faults;
  machine host;
  // A thread gives up its processor, because it waits for what another one does (sched_yield).
  std::function<void()> on_yield;
  bool tracing = false;
  bool misuse_throws = false;
  bool close_in_flight_is_misuse = false; // a descriptor closed while operations on it are in flight
  bool poison_buffers = true;             // what is given to the kernel is overwritten, and unreadable under ASan
  std::map<std::string, std::uint64_t> happened; // how often each fault and each rare path was taken

  static constexpr int descriptor_first = 10'000; // out of the way of the real descriptors of the test program

 private:
  struct event {
    std::uint64_t when_ns;
    std::uint64_t number;
    bool operator<(const event& other) const { return when_ns != other.when_ns ? when_ns < other.when_ns : number < other.number; }
  };
  void reach_listener(const endpoint_handle& end, std::weak_ptr<listener> target);

  std::uint64_t seed_;
  std::uint64_t now_ns_ = 1'000'000'000'000;
  std::uint64_t event_number_ = 0;
  std::map<event, std::function<void()>> events_;
  std::vector<file_reference> descriptors_;
  std::vector<std::weak_ptr<listener>> listeners_;
  std::vector<std::function<void()>> answers_;
  std::uint16_t next_port_ = 40'000;
};

} // namespace ringcast::sim

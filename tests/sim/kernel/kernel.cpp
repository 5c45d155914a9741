#include "tests/sim/kernel/kernel.hpp"

#include "tests/sim/kernel/ring_state.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>

namespace ringcast::sim {

namespace {

kernel* the_kernel = nullptr;

} // namespace

open_file::open_file(kind k) : what(k) {}

open_file::~open_file() {
  if (stream) stream->close();
}

kernel::kernel(std::uint64_t seed, const fault_plan& plan, const machine& m) : chance(seed), entropy(~seed), faults(plan), host(m), seed_(seed) {
  if (the_kernel != nullptr) report_misuse("a second simulated kernel was made while the first one runs");
  the_kernel = this;
}

kernel::~kernel() {
  events_.clear();
  descriptors_.clear(); // Rings go with their files, and operations with their rings.
  the_kernel = nullptr;
}

kernel* kernel::current() { return the_kernel; }

void kernel::schedule(std::uint64_t delay_ns, std::function<void()> what) {
  events_.emplace(event{now_ns_ + delay_ns, event_number_++}, std::move(what));
}

void kernel::run_due() {
  // What happens may cause more; all of it that is due now is done.
  while (!events_.empty() && events_.begin()->first.when_ns <= now_ns_) {
    const auto what = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    what();
  }
}

void kernel::advance_to(std::uint64_t when_ns) {
  while (!events_.empty() && events_.begin()->first.when_ns <= when_ns) {
    now_ns_ = std::max(now_ns_, events_.begin()->first.when_ns);
    run_due();
  }
  now_ns_ = std::max(now_ns_, when_ns);
}

std::optional<std::uint64_t> kernel::next_event_ns() const {
  std::uint64_t next = UINT64_MAX;
  if (!events_.empty()) next = events_.begin()->first.when_ns;
  for (const ring_state* ring : rings()) next = std::min(next, ring->waits_until_ns());
  if (next == UINT64_MAX) return std::nullopt;
  return std::max(next, now_ns_);
}

std::uint64_t kernel::delivery_delay_ns() {
  std::uint64_t delay = chance.below(host.latency_ns_max + 1);
  if (chance.chance(faults.slow_delivery)) {
    ++happened["slow delivery"];
    delay += chance.between(1'000'000, 200'000'000);
  }
  return delay;
}

bool kernel::sleep(std::uint64_t most_ns) {
  if (!answers_.empty()) return false;
  for (const ring_state* ring : rings())
    if (!ring->is_retired() && (!ring->would_sleep() || ring->has_task_work() || ring->has_completions())) return false;
  const auto next = next_event_ns();
  if (next && *next - now_ns_ <= most_ns) {
    advance_to(*next);
    for (ring_state* ring : rings()) ring->was_asleep();
  }
  return true;
}

remote kernel::connect(std::uint16_t port) {
  const auto target = listener_of(port);
  if (!target) return {};
  const auto pair = make_connection(*this, free_port(), port);
  schedule(delivery_delay_ns(), [this, end = pair.to, weak = std::weak_ptr(target)] { reach_listener(end, weak); });
  return remote(pair.from);
}

// A connection request arrives. With a full backlog it is not answered, and comes again.
void kernel::reach_listener(const endpoint_handle& end, std::weak_ptr<listener> target) {
  const auto alive = target.lock();
  if (!alive || alive->shut) {
    end->reset();
    end->orphaned = true;
    return;
  }
  if (alive->pending.size() >= alive->backlog) {
    schedule(1'000'000'000, [this, end, target] { reach_listener(end, target); });
    return;
  }
  alive->pending.push_back(end);
  alive->waiters.notify(POLLIN);
}

std::shared_ptr<listener> kernel::listen(std::uint16_t port) {
  auto made = std::make_shared<listener>();
  made->port = port;
  made->backlog = 1024;
  listeners_.push_back(made);
  return made;
}

std::optional<remote> kernel::accept(listener& from) {
  if (from.pending.empty()) return std::nullopt;
  remote accepted(std::move(from.pending.front()));
  from.pending.pop_front();
  return accepted;
}

int kernel::open(file_reference file) {
  std::size_t place = 0;
  while (place < descriptors_.size() && descriptors_[place]) ++place;
  if (place >= host.descriptors_max) return -EMFILE;
  if (place == descriptors_.size()) descriptors_.emplace_back();
  file->process = process;
  descriptors_[place] = std::move(file);
  return descriptor_first + static_cast<int>(place);
}

file_reference kernel::find(int descriptor) const {
  const auto place = static_cast<std::size_t>(descriptor - descriptor_first);
  if (descriptor < descriptor_first || place >= descriptors_.size()) return nullptr;
  return descriptors_[place];
}

int kernel::close(int descriptor) {
  const file_reference file = find(descriptor);
  if (!file) report_misuse(fmt::format("close of descriptor {}, which is not open", descriptor));
  trace("close {} ({} operations in flight)", descriptor, file->operations_in_flight);
  if (file->operations_in_flight > 0) {
    ++happened["close with operations in flight"];
    if (close_in_flight_is_misuse && file->stream)
      report_misuse(fmt::format("descriptor {} is closed with {} operations in flight", descriptor, file->operations_in_flight));
  }
  descriptors_[static_cast<std::size_t>(descriptor - descriptor_first)] = nullptr;
  return 0;
}

void kernel::cut_off(int dead_process) {
  for (const file_reference& file : descriptors_) {
    if (!file || file->process != dead_process) continue;
    if (file->listening) file->shut_down(SHUT_RDWR);
    if (!file->stream || file->stream->dead) continue;
    file->stream->other().receive_reset(ECONNRESET);
    file->stream->receive_reset(ECONNRESET);
  }
}

// As io_accept and accept4: the descriptor is reserved first, so a full table leaves the connection where it is.
int kernel::accept(listener& from, int flags) {
  if (open_descriptors() >= host.descriptors_max) return -EMFILE;
  if (from.shut) return -EINVAL;
  if (!from.pending.empty() && chance.chance(faults.no_descriptors)) {
    ++happened["no descriptors"];
    return -EMFILE;
  }
  if (from.pending.empty()) return -EAGAIN;
  auto file = std::make_shared<open_file>(open_file::kind::socket);
  file->family = AF_INET;
  file->nonblocking = (flags & SOCK_NONBLOCK) != 0;
  file->port = from.port;
  file->stream = std::move(from.pending.front());
  from.pending.pop_front();
  const std::uint16_t remote_port = file->stream->remote_port;
  const int descriptor = open(std::move(file));
  trace("accept {} from port {}", descriptor, remote_port);
  return descriptor;
}

// A plain connect answers at once, as on loopback; one of a ring is told by its event.
std::optional<int> kernel::connect(open_file& file, const std::string& address, std::uint16_t port, bool wait_for_it) {
  if (file.stream) return -EISCONN;
  const auto way = routes.find(address);
  const sim::route met = way == routes.end() ? route::there : way->second;
  if (met == route::refused) return -ECONNREFUSED;
  if (met == route::unreachable) return -EHOSTUNREACH;
  if (met == route::silent) return std::nullopt;
  const auto target = listener_of(port);
  const auto pair = make_connection(*this, free_port(), port);
  file.stream = pair.from;
  if (on_connection) on_connection(*pair.from, *pair.to);
  if (wait_for_it) {
    if (target) reach_listener(pair.to, target);
    return target ? 0 : -ECONNREFUSED;
  }
  schedule(delivery_delay_ns(), [this, end = pair.to, weak = std::weak_ptr(target), from = pair.from, told = target != nullptr] {
    if (weak.lock()) return reach_listener(end, weak);
    if (told) return from->receive_reset(ECONNRESET); // The listener has gone meanwhile.
    from->dead = true;                                // The connect has told why.
  });
  return target ? 0 : -ECONNREFUSED;
}

void kernel::look_up(std::string name, std::function<void(const std::vector<std::string>&)> on_answer) {
  look_ups.push_back(now_ns_);
  const auto found = names.find(name);
  if (found != names.end() && found->second.empty()) return;
  schedule(delivery_delay_ns(), [this, name = std::move(name), on_answer = std::move(on_answer)]() mutable {
    answers_.push_back([this, name = std::move(name), on_answer = std::move(on_answer)] {
      const auto now_found = names.find(name);
      on_answer(now_found == names.end() ? std::vector<std::string>{} : now_found->second);
    });
  });
}

void kernel::deliver_answers() {
  std::vector<std::function<void()>> answers;
  answers.swap(answers_);
  for (const auto& answer : answers) answer();
}

std::shared_ptr<listener> kernel::listener_of(std::uint16_t port) {
  std::erase_if(listeners_, [](const auto& weak) { return weak.expired(); });
  std::vector<std::shared_ptr<listener>> candidates;
  for (const auto& weak : listeners_)
    if (auto alive = weak.lock(); alive->port == port && !alive->shut) candidates.push_back(std::move(alive));
  if (candidates.empty()) return nullptr;
  return candidates[chance.below(candidates.size())]; // SO_REUSEPORT
}

bool kernel::port_is_taken(std::uint16_t port, bool reuse_port) const {
  for (const auto& weak : listeners_)
    if (const auto alive = weak.lock(); alive && alive->port == port && !(alive->reuse_port && reuse_port)) return true;
  return false;
}

std::uint16_t kernel::free_port() { return next_port_++ == UINT16_MAX ? next_port_ = 40'000 : next_port_; }

void kernel::bell_was_rung(const file_reference& file) {
  if (!chance.chance(faults.late_doorbell)) return file->own_waiters.notify(POLLIN);
  ++happened["late doorbell"];
  schedule(chance.between(1, 500'000), [weak = std::weak_ptr(file)] {
    if (const auto alive = weak.lock()) alive->own_waiters.notify(POLLIN);
  });
}

std::size_t kernel::open_descriptors() const {
  return static_cast<std::size_t>(std::ranges::count_if(descriptors_, [](const auto& file) { return file != nullptr; }));
}

std::vector<ring_state*> kernel::rings() const {
  std::vector<ring_state*> found;
  for (const file_reference& file : descriptors_)
    if (file && file->ring) found.push_back(file->ring.get());
  return found;
}

std::vector<std::string> kernel::leaks() const {
  std::vector<std::string> found;
  for (std::size_t place = 0; place < descriptors_.size(); ++place) {
    const file_reference& file = descriptors_[place];
    if (!file) continue;
    const char* const what = file->what == open_file::kind::ring    ? "ring"
                             : file->what == open_file::kind::event ? "eventfd"
                             : file->listening                      ? "listener"
                                                                    : "socket";
    found.push_back(fmt::format("descriptor {} is still open: a {} with {} operations in flight", descriptor_first + static_cast<int>(place), what,
                                file->operations_in_flight));
    if (file->ring) file->ring->add_leaks(found);
  }
  return found;
}

void kernel::describe_connections() const {
  for (std::size_t place = 0; place < descriptors_.size(); ++place) {
    if (!descriptors_[place] || !descriptors_[place]->stream) continue;
    const auto describe = [](const endpoint& end) {
      return fmt::format("in {} out {} room {}{}{}{}{}{}{}{}{}", end.incoming.size(), end.outgoing.size(), end.send_room(),
                         end.write_shut ? " write-shut" : "", end.fin_sent ? " fin-sent" : "", end.fin_received ? " fin-received" : "",
                         end.read_shut ? " read-shut" : "", end.dead ? " dead" : "", end.orphaned ? " orphaned" : "",
                         end.sending != nullptr ? " sending" : "", end.receiving != nullptr ? " receiving" : "");
    };
    const endpoint& end = *descriptors_[place]->stream;
    fmt::print(stderr, "  descriptor {} (port {}): {} | its peer: {}\n", descriptor_first + static_cast<int>(place), end.remote_port, describe(end),
               describe(end.other()));
  }
}

void kernel::report_misuse(const std::string& sentence) const {
  if (misuse_throws) throw misuse(sentence);
  fmt::print(stderr, "simulated kernel, seed {}, at {} ns: {}\n", seed_, now_ns_, sentence);
  std::fflush(stderr);
  std::abort();
}

void kernel::write_trace(const std::string& line) const { fmt::print(stderr, "{:>15} {}\n", now_ns_, line); }

std::ptrdiff_t remote::write(std::span<const std::byte> bytes) { return end_->send(bytes); }
std::ptrdiff_t remote::read(std::span<std::byte> into) { return end_->receive(into); }
void remote::shut_down_writing() { end_->shut_down(SHUT_WR); }
void remote::close() {
  if (end_) end_->close();
  end_ = nullptr;
}
void remote::reset() {
  if (!end_) return;
  end_->reset();
  end_->orphaned = true;
  end_ = nullptr;
}

} // namespace ringcast::sim

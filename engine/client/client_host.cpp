#include "engine/client/client_host.hpp"

#include "engine/client/client_core.hpp"
#include "engine/shard/shard.hpp"

#include <utility>

namespace ringcast::engine {

namespace {
thread_local client_host* of_this_thread = nullptr;
} // namespace

client_host::client_host(shard& owner, doorbell& bell, std::uint8_t timer_kind) : shard_(owner), bell_(bell), timer_kind_(timer_kind) {
  of_this_thread = this;
}

client_host::~client_host() {
  // A client that is told of the end may have been given something to do meanwhile; it refuses that from now on.
  const auto dismiss = [this] { take_ready([](client_core& core) { core.host_is_gone(); }); };
  dismiss();
  while (!attached_.empty()) {
    const std::shared_ptr<client_core> core = attached_.front().attached_self;
    core->host_is_gone();
  }
  dismiss();
  // The shard may be destroyed on another thread than its own; there is then no callback under way.
  if (of_this_thread == this) of_this_thread = nullptr;
}

client_host& client_host::of(shard& owner) {
  constexpr auto timer_kind = static_cast<std::uint8_t>(shard_timer::client);
  if (owner.clients() == nullptr) owner.keep_clients(std::make_unique<client_host>(owner, owner.bell(), timer_kind));
  return static_cast<client_host&>(*owner.clients());
}

namespace {

// The callable lives as long as its coroutine, which may be a lambda with captures.
task<void> run_start(std::function<task<void>()> start) { co_await start(); }

} // namespace

void client_host::spawn(std::function<task<void>()> start) {
  {
    const std::lock_guard lock(starts_lock_);
    starts_.push_back(std::move(start));
    has_starts_.store(true, std::memory_order_release);
  }
  bell_.ring();
}

client_host* client_host::current() noexcept { return of_this_thread; }
bool client_host::is_client_thread() noexcept { return of_this_thread != nullptr; }
bool client_host::is_own_thread() const noexcept { return of_this_thread == this; }

void client_host::notify(client_core& core) noexcept {
  client_core* top = ready_.load(std::memory_order_relaxed);
  do {
    core.next_ready = top;
  } while (!ready_.compare_exchange_weak(top, &core, std::memory_order_release, std::memory_order_relaxed));
  bell_.ring();
}

void client_host::run_ready() {
  if (has_starts_.load(std::memory_order_acquire)) {
    std::vector<std::function<task<void>()>> starts;
    {
      const std::lock_guard lock(starts_lock_);
      starts.swap(starts_);
      has_starts_.store(false, std::memory_order_relaxed);
    }
    for (auto& start : starts) shard_.coroutines().spawn(run_start(std::move(start)));
  }
  // The usual case costs a load of a line that nobody writes.
  if (ready_.load(std::memory_order_relaxed) != nullptr) take_ready([](client_core& core) { core.run(); });
}

// In the order in which they came.
template <class Visit> void client_host::take_ready(Visit&& visit) {
  client_core* newest = ready_.exchange(nullptr, std::memory_order_acquire);
  client_core* oldest = nullptr;
  while (newest != nullptr) oldest = std::exchange(newest, std::exchange(newest->next_ready, oldest));
  while (oldest != nullptr) {
    client_core& core = *oldest;
    oldest = core.next_ready;
    const std::shared_ptr<client_core> self = std::move(core.ready_self);
    visit(*self);
  }
}

void client_host::on_timer(timer_node& node) {
  const std::shared_ptr<client_core> core = client_core::of_timer(node).attached_self;
  core->on_timer();
}

void client_host::attach(client_core& core) {
  core.attached_self = core.shared_from_this();
  attached_.append(core);
}

} // namespace ringcast::engine

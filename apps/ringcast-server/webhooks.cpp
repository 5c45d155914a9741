#include "apps/ringcast-server/webhooks.hpp"

#include "apps/ringcast-server/token_gate.hpp"
#include <ringcast/hmac.hpp>
#include <ringcast/log.hpp>
#include <ringcast/signature.hpp>

#include <algorithm>
#include <fmt/format.h>
#include <random>
#include <span>
#include <utility>

namespace ringcast {

namespace {

using namespace std::chrono_literals;

// After the first failure, and at most; twice as long each time. A service that restarts is back within seconds, and one that is down for an hour is
// asked twice a minute.
constexpr std::chrono::milliseconds first_pause = 200ms, longest_pause = 30s;
// Nobody waits for long where the server ends.
constexpr std::chrono::milliseconds longest_pause_at_end = 200ms;

std::uint64_t ms_now() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

std::string random_epoch() {
  std::random_device from;
  return fmt::format("{:08x}{:08x}", from(), from());
}

// Half to all of it, so that many servers do not come back in the same moment.
std::chrono::milliseconds with_jitter(std::chrono::milliseconds pause) {
  thread_local std::minstd_rand from{std::random_device{}()};
  return std::chrono::milliseconds{std::uniform_int_distribution<std::int64_t>{pause.count() / 2, pause.count()}(from)};
}

std::expected<std::string, std::string> read_webhook_key(const std::string& path) {
  auto key = read_secret_file(path);
  if (!key) return std::unexpected(fmt::format("--webhook-key-file: {}", key.error()));
  if (auto good = signature_key::hmac_sha256(std::as_bytes(std::span{*key})); !good)
    return std::unexpected(fmt::format("--webhook-key-file: {}: {}", path, good.error()));
  return key;
}

} // namespace

struct webhooks::answer_slot {
  std::optional<http_result> came;
};

std::string webhook_signature(std::string_view key, std::string_view timestamp, std::string_view body) {
  const std::string text = fmt::format("{}.{}", timestamp, body);
  std::string hex = "v1=";
  for (const std::byte each : hmac_sha256(std::as_bytes(std::span{key}), std::as_bytes(std::span{text})))
    hex += fmt::format("{:02x}", std::to_integer<unsigned>(each));
  return hex;
}

std::expected<std::unique_ptr<webhooks>, std::string> webhooks::open(const application_options& options) {
  auto key = read_webhook_key(options.webhook_key_file);
  if (!key) return std::unexpected(key.error());
  auto client = http_client::to(
      options.webhook_url, {.connections = 1, .timeout = std::chrono::milliseconds{options.webhook_timeout_ms}, .tls = {.ca_file = options.ca_file}});
  if (!client) return std::unexpected(fmt::format("--webhook-url: {}", client.error()));
  return std::make_unique<webhooks>(options, std::move(*client), std::move(*key));
}

webhooks::webhooks(const application_options& options, http_client&& to, std::string key)
    : options_(options), epoch_(random_epoch()), key_(std::move(key)), client_(std::move(to)),
      thread_(std::in_place, thread_pool_options{.threads = 1, .queued_max = 1}) {
  (void)thread_->submit([this] { deliver_all(); }); // the only work that it gets
}

webhooks::~webhooks() {
  {
    const std::lock_guard lock{mutex_};
    is_ending_ = true;
    end_ = steady::now() + std::chrono::milliseconds{options_.webhook_end_ms};
  }
  changed_.notify_all();
  thread_.reset(); // waits for it
  client_.reset(); // a request that is under way ends
  if (const std::uint64_t left = lost_.load(); left > 0)
    log_line(log_level::warning, fmt::format("{} events of webhooks were not taken when the server ended", left));
}

std::expected<void, std::string> webhooks::load_key() {
  auto key = read_webhook_key(options_.webhook_key_file);
  if (!key) return std::unexpected(key.error());
  const std::lock_guard lock{mutex_};
  key_ = std::move(*key);
  return {};
}

webhook_numbers webhooks::numbers() const {
  webhook_numbers now{.delivered = delivered_, .dropped = dropped_, .lost = lost_, .requests = requests_, .failures = failures_};
  const std::lock_guard lock{mutex_};
  now.queued = queue_.size();
  return now;
}

// --- the queue ---

void webhooks::add(std::string_view event, std::string_view members) {
  {
    const std::lock_guard lock{mutex_};
    // One place is for what says how many were dropped.
    if (queue_.size() + 1 >= options_.webhook_queue) {
      ++sequence_;
      ++dropped_here_;
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    tell_dropped();
    push(event, members);
    if (queue_.size() != 1 && queue_.size() != options_.webhook_batch) return; // whoever waits waits for one of these
  }
  changed_.notify_all();
}

void webhooks::push(std::string_view event, std::string_view members) {
  if (queue_.empty()) oldest_ = steady::now();
  queue_.push_back(fmt::format(R"({{"id":"{}-{}","time":{},"event":"{}"{}}})", epoch_, ++sequence_, ms_now(), event, members));
}

void webhooks::tell_dropped() {
  if (const std::uint64_t count = std::exchange(dropped_here_, 0); count > 0) push("events_dropped", fmt::format(",\"count\":{}", count));
}

// --- the thread ---

void webhooks::deliver_all() {
  while (const auto what = next_batch()) (deliver(*what) ? delivered_ : lost_).fetch_add(what->events, std::memory_order_relaxed);
}

bool webhooks::is_over() const { return is_ending_ && steady::now() >= end_; }

std::optional<webhooks::batch> webhooks::next_batch() {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [this] { return is_ending_ || !queue_.empty(); });
  changed_.wait_until(lock, oldest_ + std::chrono::milliseconds{options_.webhook_delay_ms},
                      [this] { return is_ending_ || queue_.size() >= options_.webhook_batch; });
  if (queue_.empty()) return std::nullopt;
  if (is_over()) {
    lost_.fetch_add(queue_.size(), std::memory_order_relaxed);
    return std::nullopt;
  }
  batch made{.body = "[", .events = std::min<std::size_t>(queue_.size(), options_.webhook_batch)};
  for (std::size_t i = 0; i < made.events; ++i) {
    made.body.append(i == 0 ? "" : ",").append(queue_.front());
    queue_.pop_front();
  }
  made.body += ']';
  oldest_ = steady::now();
  if (queue_.empty()) tell_dropped();
  return made;
}

// Until it is taken. False: the time is over.
bool webhooks::deliver(const batch& what) {
  for (std::chrono::milliseconds pause = first_pause;; pause = std::min(pause * 2, longest_pause)) {
    if (attempt(what.body)) return true;
    failures_.fetch_add(1, std::memory_order_relaxed);
    std::unique_lock lock{mutex_};
    const auto until = steady::now() + with_jitter(is_ending_ ? std::min(pause, longest_pause_at_end) : pause);
    const bool was_ending = is_ending_;
    changed_.wait_until(lock, until, [&] { return is_ending_ && !was_ending; });
    if (is_over()) return false;
  }
}

bool webhooks::attempt(const std::string& body) {
  const auto slot = std::make_shared<answer_slot>();
  const std::string timestamp = fmt::to_string(ms_now() / 1000);
  std::unique_lock lock{mutex_};
  const std::string headers =
      fmt::format("Ringcast-Timestamp: {}\r\nRingcast-Signature: {}\r\n", timestamp, webhook_signature(key_, timestamp, body));
  lock.unlock();
  requests_.fetch_add(1, std::memory_order_relaxed);
  client_->send({.headers = headers, .body = body, .is_repeatable = true}, [this, slot](http_result answer) {
    const std::lock_guard came{mutex_};
    slot->came = std::move(answer);
    changed_.notify_all();
  });
  lock.lock();
  // The client answers in its own time, but for the end.
  while (!slot->came && !is_over()) {
    if (is_ending_)
      changed_.wait_until(lock, end_);
    else
      changed_.wait(lock);
  }
  if (!slot->came) return false;
  const http_result answer = std::move(*slot->came);
  lock.unlock();
  if (answer && answer->status >= 200 && answer->status < 300) return true;
  log_failure(answer);
  return false;
}

void webhooks::log_failure(const http_result& answer) {
  log_line(log_level::warning,
           fmt::format("a webhook was not taken, and is sent again: {}", answer ? fmt::format("status {}", answer->status) : answer.error().text));
}

} // namespace ringcast

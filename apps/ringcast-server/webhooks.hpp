// Tells the application what has happened: events in their order, in batches, signed, again and again until it has taken them. What it does not take
// in time is bounded: beyond the queue's bound the newest are dropped, counted, and told as dropped in their place.
//
// Threads: any may add; one of its own delivers, a batch at a time.
#pragma once

#include "apps/ringcast-server/application_options.hpp"
#include "apps/ringcast-server/metrics.hpp"
#include <ringcast/http_client.hpp>
#include <ringcast/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace ringcast {

class webhooks {
 public:
  // Reads the key. The error is one sentence.
  [[nodiscard]] static std::expected<std::unique_ptr<webhooks>, std::string> open(const application_options& options);
  webhooks(const application_options& options, http_client&& to, std::string key);
  // Delivers what is queued, for as long as the options say, and counts the rest as lost.
  ~webhooks();
  webhooks(const webhooks&) = delete;
  webhooks& operator=(const webhooks&) = delete;

  // An event of this kind; `members` are those of its JSON object behind id, time and event, each with a comma in front.
  void add(std::string_view event, std::string_view members);
  // The key of the file from now on; if that is broken, or gone, nothing changes.
  [[nodiscard]] std::expected<void, std::string> load_key();
  [[nodiscard]] webhook_numbers numbers() const;

 private:
  using steady = std::chrono::steady_clock;
  // The answer to a request, which may come when nobody waits for it any more.
  struct answer_slot;
  struct batch {
    std::string body;
    std::size_t events = 0;
  };

  void deliver_all();
  // Nothing: it is over.
  [[nodiscard]] std::optional<batch> next_batch();
  [[nodiscard]] bool deliver(const batch& what);
  [[nodiscard]] bool attempt(const std::string& body);
  void log_failure(const http_result& answer);
  [[nodiscard]] bool is_over() const; // under the lock
  void push(std::string_view event, std::string_view members);
  void tell_dropped();

  const application_options options_;
  const std::string epoch_; // of ids: another one with each start
  mutable std::mutex mutex_; // of what follows
  std::condition_variable changed_;
  std::string key_;
  std::deque<std::string> queue_;
  steady::time_point oldest_{}; // when the first of the queue came
  std::uint64_t sequence_ = 0;
  std::uint64_t dropped_here_ = 0; // since the last of the queue, and not told yet
  bool is_ending_ = false;
  steady::time_point end_{};
  std::atomic<std::uint64_t> delivered_{0}, dropped_{0}, lost_{0}, requests_{0}, failures_{0};
  std::optional<http_client> client_;
  std::optional<thread_pool> thread_; // the last, since it uses all of these
};

// What the header Ringcast-Signature says of this body, and of the header Ringcast-Timestamp.
[[nodiscard]] std::string webhook_signature(std::string_view key, std::string_view timestamp, std::string_view body);

} // namespace ringcast

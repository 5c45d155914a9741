// Who may come in, where the application decides: it is asked by POST what a request may do, and its answer is kept for who asks the same again.
// A token is never logged, and what is kept of a question is a MAC of it.
//
// Threads: any, at once; asked once for each request that joins, reads or publishes, never for a message.
#pragma once

#include "apps/ringcast-server/application_options.hpp"
#include "apps/ringcast-server/token_gate.hpp"
#include <ringcast/deferred_request.hpp>
#include <ringcast/event.hpp>
#include <ringcast/http_client.hpp>
#include <ringcast/http_status.hpp>
#include <ringcast/task.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ringcast {

// What a request may do: its claims, or the status that it is answered, and why.
struct application_verdict {
  http_status status = http_status::ok;
  std::string_view why{};
  token_claims claims{};
  [[nodiscard]] bool is_permitted() const { return status == http_status::ok; }
};

// What became of requests, as /metrics tells it.
enum class application_result : std::uint8_t {
  permitted,
  refused, // by the application, or the room is none of those that it permits
  failed,  // it gave no answer, or none that can be read; authorize_when_down says what followed
  busy,    // too many wait for it
};
constexpr std::size_t application_results = 4;
[[nodiscard]] std::string_view name_of(application_result what);

// What is asked, as texts: JSON is made of it for the application alone, since most of those who come are known.
struct application_question {
  struct field {
    std::string_view name;
    std::string value;
  };
  std::vector<field> fields, headers;
  std::string address{}; // of the peer
  bool has_credentials = false;

  [[nodiscard]] std::string json() const;
};
[[nodiscard]] application_question question_of(const http_request& request, token_right right, std::span<const std::string> tokens);
// What the application answered. Null: nothing that can be read.
[[nodiscard]] std::unique_ptr<application_verdict> read_verdict(const http_answer& answer, std::int64_t now_s);

class application_gate {
 public:
  // The error is one sentence.
  [[nodiscard]] static std::expected<std::shared_ptr<application_gate>, std::string> open(const application_options& options);
  explicit application_gate(const application_options& options, http_client&& to);

  // On a shard. A request by a listener for admin is not asked about, as token_gate does it.
  [[nodiscard]] task<application_verdict> judge(const deferred_request& received, token_right right);

  // What was said before is asked again.
  void forget();

  void count(application_result what) { results_[static_cast<std::size_t>(what)].fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t counted(application_result what) const {
    return results_[static_cast<std::size_t>(what)].load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t questions() const { return questions_.load(std::memory_order_relaxed); } // by HTTP
  [[nodiscard]] std::uint64_t from_cache() const { return from_cache_.load(std::memory_order_relaxed); }

 private:
  using steady = std::chrono::steady_clock;
  using key = std::array<std::byte, 32>;
  struct key_hash {
    std::size_t operator()(const key& of) const noexcept {
      std::size_t hash = 0;
      std::memcpy(&hash, of.data(), sizeof hash);
      return hash;
    }
  };
  struct kept_verdict {
    std::shared_ptr<const application_verdict> found;
    steady::time_point until;
  };
  using kept_verdicts = std::unordered_map<key, kept_verdict, key_hash>;
  // A question that is under way. `found` is written before the event is set.
  struct open_question {
    event answered;
    std::shared_ptr<const application_verdict> found;
  };

  [[nodiscard]] key key_of(const application_question& what) const;
  [[nodiscard]] task<std::shared_ptr<const application_verdict>> answer_to(application_question what);
  void ask(const key& about, const application_question& what, std::shared_ptr<open_question> open);
  void on_answer(const key& about, const std::shared_ptr<open_question>& open, const http_result& answer);
  // Under the lock.
  [[nodiscard]] std::shared_ptr<const application_verdict> find(const key& about);
  void keep(const key& about, std::shared_ptr<const application_verdict> found);

  const application_options options_;
  const std::array<std::byte, 32> secret_; // of the keys, so that peers cannot choose them
  std::mutex mutex_; // of what follows
  kept_verdicts young_, old_; // what was used since half of the bound was reached, and what was before
  std::unordered_map<key, std::shared_ptr<open_question>, key_hash> asking_;
  std::uint32_t waiting_ = 0;
  std::atomic<std::uint64_t> questions_{0}, from_cache_{0};
  std::array<std::atomic<std::uint64_t>, application_results> results_{};
  std::atomic<std::int64_t> failure_told_s_{0};
  http_client client_; // the first to go: what it has not answered is told to the rest
};

} // namespace ringcast

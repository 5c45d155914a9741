// Requests that are made once, however often they are sent: the header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace ringcast {

// The answers of requests that had a key, for two minutes. Any thread: a client's second try may come to another shard. Whoever sends no key never
// comes here.
class idempotent_answers {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kept_for{120};
  static constexpr std::size_t key_bytes_max = 255;
  // Some 40 MiB with the longest keys; 550 such requests a second.
  static constexpr std::size_t answers_max = 65'536;

  enum class verdict : std::uint8_t {
    first,     // it is to be carried out, and keep() follows, or give_up()
    again,     // `answer` is what the first one was told
    under_way, // the first one has not been answered yet
    other,     // the key was used for another request
    full,      // there are too many
  };
  struct found {
    verdict what;
    std::string answer{};
  };

  // `scope` is what the key belongs to; `request` is the whole of what must be the same. The time is given, for the tests.
  [[nodiscard]] found begin(std::string_view scope, std::string_view key, std::string_view request, clock::time_point now = clock::now());
  void keep(std::string_view scope, std::string_view key, std::string answer);
  // Nothing was done, as far as is known: the next try is the first again. Without a key nothing happens.
  void give_up(std::string_view scope, std::string_view key);

 private:
  struct entry {
    std::size_t request; // its hash
    bool answered = false;
    bool given_up = false;
    std::string answer{};
  };
  void expire(clock::time_point now);
  [[nodiscard]] static std::string name_of(std::string_view scope, std::string_view key);

  std::mutex mutex_;
  std::unordered_map<std::string, entry> entries_;
  std::deque<std::pair<clock::time_point, std::string>> ends_; // in their order
};

} // namespace ringcast

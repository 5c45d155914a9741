// Who may come in: finds the token of a request, has it checked with the keys of the files, and counts what is refused. A token is never logged.
//
// Threads: any, at once. Asked once for each request that joins, reads or publishes, never for a message.
#pragma once

#include "apps/ringcast-server/token.hpp"
#include "apps/ringcast-server/token_options.hpp"
#include <ringcast/events.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace ringcast {

// What a token is asked for.
enum class token_right : std::uint8_t { any, join, publish };

// Whether a browser sent it for a page that is not of this host (RFC 6454 7).
[[nodiscard]] bool is_of_another_site(const http_request& request);

// How a request is answered whose token is not accepted (RFC 6750 3).
struct token_answer {
  http_status status;
  std::string challenge; // the value of WWW-Authenticate
};
[[nodiscard]] token_answer answer_of(token_refusal why);

class token_gate {
 public:
  explicit token_gate(token_options options) : options_(std::move(options)) {}

  // Reads the files, also again: if one of them is broken, or gone, nothing changes, and the error is one sentence.
  [[nodiscard]] std::expected<void, std::string> load();

  [[nodiscard]] bool wants_tokens() const { return options_.is_on(); }
  // Whether a request is to be judged: with tokens each is, without them one whose client's certificate says who it is.
  [[nodiscard]] bool asks(const http_request& request) const { return wants_tokens() || user_by_certificate(request).has_value(); }
  // What its token permits, which is at least this; without tokens everything. The user is that of the certificate, if that names one, and then a token
  // of another user is refused. A request by a listener for admin needs none, and then everything is permitted, unless a page
  // of another site sent it, in the browser of somebody who may reach that listener; a token that it brings all the same is checked.
  [[nodiscard]] std::expected<token_claims, token_refusal> judge(const http_request& request, token_right right, std::string_view room);
  // A token by itself, for who joins this room.
  [[nodiscard]] std::expected<token_claims, token_refusal> judge(std::string_view token, std::string_view room);

  void count(token_refusal why) { refusals_[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t refusals(token_refusal why) const { return refusals_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] std::expected<token_claims, token_refusal> judge_token(const http_request& request, token_right right, std::string_view room) const;
  // Nothing where certificates name nobody here, or the client has shown none.
  [[nodiscard]] std::optional<std::string> user_by_certificate(const http_request& request) const;
  [[nodiscard]] std::expected<token_claims, token_refusal> check(std::string_view token) const;
  [[nodiscard]] std::shared_ptr<const token_keys> keys() const;

  const token_options options_;
  mutable std::mutex mutex_; // of keys_
  std::shared_ptr<const token_keys> keys_;
  std::array<std::atomic<std::uint64_t>, token_refusals> refusals_{};
};

} // namespace ringcast

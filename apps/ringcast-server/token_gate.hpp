// Who may come in: finds the token of a request, has it checked with the keys of the files, and counts what is refused. A token is never logged.
//
// Threads: any, at once. Asked once for each request that joins, reads or publishes, never for a message.
#pragma once

#include "apps/ringcast-server/room_rights.hpp"
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
#include <vector>

namespace ringcast {

// The bytes of a file of a secret, without a line end behind them; the error is one sentence.
[[nodiscard]] std::expected<std::string, std::string> read_secret_file(const std::string& path);

// What a token is asked for.
enum class token_right : std::uint8_t { any, join, publish };

// Whether a browser sent it for a page that is not of this host (RFC 6454 7).
[[nodiscard]] bool is_of_another_site(const http_request& request);

// All that the request brings: in Authorization, as a subprotocol, in ?token=. More than one is refused.
[[nodiscard]] std::vector<std::string> tokens_of(const http_request& request);
[[nodiscard]] bool are_claimed(const token_claims& claims, token_right right, std::string_view room);

// How a request is answered whose token is not accepted (RFC 6750 3).
struct token_answer {
  http_status status;
  std::string challenge; // the value of WWW-Authenticate
};
[[nodiscard]] token_answer answer_of(token_refusal why);

class token_gate {
 public:
  // Of the first of these whose pattern matches a room, its rights hold.
  explicit token_gate(token_options options, std::vector<room_rights> rooms = {}) : options_(std::move(options)), rooms_(std::move(rooms)) {}

  // Reads the files, also again: if one of them is broken, or gone, nothing changes, and the error is one sentence.
  [[nodiscard]] std::expected<void, std::string> load();

  [[nodiscard]] bool wants_tokens() const { return options_.is_on(); }
  struct guest {
    token_claims claims;
    bool has_token = true; // false: it needs none, and brought none
    bool may_publish = false; // in that room
  };
  // Who may do this. The user is that of the certificate, if that names one, and then a token of another user is refused. A request by a listener for admin needs no token, and then everything is permitted, unless a page of another site sent it, in
  // the browser of somebody who may reach that listener; a token that it brings all the same is checked.
  [[nodiscard]] std::expected<guest, token_refusal> judge(const http_request& request, token_right right, std::string_view room);
  // A token by itself, for who joins this room, or is there; a token without a user is that of the one that its certificate names, if one does.
  [[nodiscard]] std::expected<guest, token_refusal> judge(std::string_view token, std::string_view room, std::string_view user_by_certificate);

  void count(token_refusal why) { refusals_[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t refusals(token_refusal why) const { return refusals_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] std::expected<guest, token_refusal> judge_request(const http_request& request, token_right right, std::string_view room) const;
  // Nothing where certificates name nobody here, or the client has shown none.
  [[nodiscard]] std::optional<std::string> user_by_certificate(const http_request& request) const;
  [[nodiscard]] std::expected<token_claims, token_refusal> check(std::string_view token) const;
  [[nodiscard]] const who_may* rule_of(token_right right, std::string_view room) const;
  [[nodiscard]] bool permits(const token_claims& claims, token_right right, std::string_view room) const;
  [[nodiscard]] std::expected<guest, token_refusal> judge_claims(token_claims&& claims, token_right right, std::string_view room) const;
  [[nodiscard]] std::expected<guest, token_refusal> judge_without_token(token_right right, std::string_view room) const;
  [[nodiscard]] std::shared_ptr<const token_keys> keys() const;

  const token_options options_;
  const std::vector<room_rights> rooms_;
  mutable std::mutex mutex_; // of keys_
  std::shared_ptr<const token_keys> keys_;
  std::array<std::atomic<std::uint64_t>, token_refusals> refusals_{};
};

} // namespace ringcast

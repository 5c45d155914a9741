// Whether a request may change something on the server that it was sent to by the admin address. Who reaches that address may do everything; what has to be kept out is a
// page of somebody else in the browser of such a person:
//
//   - a page of another site            its Origin is not this host (RFC 6454 7), or Sec-Fetch-Site says so
//   - a form, or a fetch with no-cors   cannot send a header of its own, and every action wants one, with a word that pages of other sites cannot read
//   - DNS rebinding                     a stranger's name that leads to this address is of the same origin for a browser; the server itself answers only
//                                       what asks for it by its own name (server_options::admin_hosts)
//
// One for each server; any thread.
#pragma once

#include <ringcast/events.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringcast {

// What is done by the admin address, and counted.
enum class admin_action : std::uint8_t { close_connection, close_room, publish, refused };
inline constexpr std::size_t admin_actions = 4;
// "close_connection" and so on.
[[nodiscard]] std::string_view name_of(admin_action what);

class admin_guard {
 public:
  // The header that carries the token.
  static constexpr std::string_view token_header = "X-Ringcast-Admin";

  admin_guard();

  // Another one in each process.
  [[nodiscard]] const std::string& token() const { return token_; }
  // A page of somebody else asks: by its Origin or its Sec-Fetch-Site. Nothing that is no browser is one.
  [[nodiscard]] bool is_of_a_stranger(const http_request& request) const;
  // Why it may not read the token, or act; nothing: it may. A sentence for the answer.
  [[nodiscard]] std::optional<std::string_view> why_not_read(const http_request& request) const;
  [[nodiscard]] std::optional<std::string_view> why_not_act(const http_request& request) const;

  void count(admin_action what) { counts_[static_cast<std::size_t>(what)].fetch_add(1, std::memory_order_relaxed); }
  // By name, for the metrics.
  [[nodiscard]] std::vector<std::pair<std::string_view, std::uint64_t>> counted() const;

 private:
  const std::string token_;
  std::array<std::atomic<std::uint64_t>, admin_actions> counts_{};
};

} // namespace ringcast

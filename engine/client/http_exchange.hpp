// One connection of an http_client, and the exchanges on it, one after the other. It waits, on a thread that has nothing else to do; each wait ends
// by the deadline, and at once when the client ends.
//
// Threads: one at a time.
#pragma once

#include "engine/io/socket.hpp"
#include "engine/tls/tls_session.hpp"
#include "proto/byte_buffer.hpp"
#include "proto/http_head.hpp"
#include "proto/url.hpp"
#include <ringcast/http_client.hpp>

#include <chrono>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace ringcast::engine {

// Until when an exchange may take, and the descriptor that becomes readable when nobody wants it any more.
struct exchange_limits {
  std::chrono::steady_clock::time_point until;
  int ended;
};

class http_exchange {
 public:
  http_exchange() = default;
  ~http_exchange();
  http_exchange(const http_exchange&) = delete;
  http_exchange& operator=(const http_exchange&) = delete;

  using step = std::expected<void, http_error>;

  // Null: without TLS.
  [[nodiscard]] step connect(const url& to, const std::shared_ptr<const tls_context>& tls, const exchange_limits& limits);
  // `head_and_body` is the request as it goes out.
  [[nodiscard]] http_result ask(std::string_view head_and_body, bool is_head, std::size_t answer_bytes_max, const exchange_limits& limits);

  // After an answer: another request may follow, and the peer has neither ended the connection nor said anything that nobody asked for.
  [[nodiscard]] bool can_be_used_again() const;
  // Whether a byte of the answer has come.
  [[nodiscard]] bool has_heard() const { return heard_; }

 private:
  enum class came : std::uint8_t { bytes, end };

  [[nodiscard]] step connect_to(const socket_address& address, const exchange_limits& limits);
  [[nodiscard]] step begin_tls(const url& to, const std::shared_ptr<const tls_context>& tls, const exchange_limits& limits);
  [[nodiscard]] step wait(short events, const exchange_limits& limits) const;
  // What the peer has not taken of it is lost where the peer has ended the connection: it may have answered in front of that.
  [[nodiscard]] step send(std::span<const std::byte> bytes, const exchange_limits& limits);
  [[nodiscard]] std::expected<came, http_error> receive(const exchange_limits& limits);
  [[nodiscard]] std::expected<response_head, http_error> read_head(const exchange_limits& limits);
  [[nodiscard]] step read_body(const response_head& head, bool is_head, std::size_t bytes_max, const exchange_limits& limits, std::string& body);
  [[nodiscard]] step read_chunks(std::size_t bytes_max, const exchange_limits& limits, std::string& body);
  [[nodiscard]] step read_to(std::optional<std::size_t> bytes, std::size_t bytes_max, const exchange_limits& limits, std::string& body);
  [[nodiscard]] http_error tls_error() const;
  void drop(std::size_t bytes); // of what came

  int socket_ = -1;
  std::unique_ptr<tls_session> tls_;
  std::unique_ptr<tls_scratch> tls_memory_;
  byte_buffer out_; // ciphertext that is to be sent
  byte_buffer in_;  // what came and nobody has taken
  bool heard_ = false;
  bool keep_ = false;
};

// The descriptor becomes readable for good.
[[nodiscard]] int make_end_signal();
void give_end_signal(int signal);

} // namespace ringcast::engine

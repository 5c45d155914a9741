// Asks another program over HTTP/1.1: one answer to one request, from a shard without holding it up, or from any thread.
//
//   http_client application{*http_client::to("https://app.example.org/authorize")};  // before the server, outlives it
//   ...
//   const http_result answer = co_await application.send({.body = R"({"user":"alice"})"}, {.deadline = 2s});
//   if (!answer) log(answer.error().text); else if (answer->status == 200) ...
//
// Connections are made when they are needed, kept for the next request, and bounded; so is what waits for one, the time of a request, and its answer.
// Each connection has a thread that waits for its peer, so a client is for some dozens of requests at once, not for thousands. An answer is whatever
// the peer says, also 404 and 302: nothing is followed. Certificates are checked as those of every client here (tls_client_options).
//
// Threads: any, at once. The client outlives what was asked of it: end the server first.
#pragma once

#include <ringcast/task.hpp>
#include <ringcast/tls.hpp>
#include <ringcast/wait.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ringcast {

struct http_client_options {
  std::uint32_t connections = 8; // at once, each with a thread; at least 1
  std::size_t waiting_max = 1024; // requests that wait for a connection; the next one is refused: `busy`
  std::chrono::milliseconds timeout{5'000}; // of a request as a whole, from send() to the last byte of its answer
  // A connection that was not used for longer is not used again: less than peers wait usually, who would end it in the moment in which we ask.
  std::chrono::milliseconds keep_alive{4'000};
  std::size_t answer_bytes_max = 64 * 1024; // of a body, without its chunks; a head may have 16 KiB
  tls_client_options tls{}; // for https://
};

// A request. Headers are whole lines with their CRLF; Host, Content-Length and Connection are the client's own.
struct http_message {
  std::string method = "POST";
  std::string target{}; // path and query; empty: those of the client's URL
  std::string content_type = "application/json";
  std::string headers{};
  std::string body{};
  // Sent once more where a kept connection has ended without a byte of the answer: mostly it had ended before, but the peer may have read the first one.
  bool is_repeatable = false;
};

struct http_answer {
  std::uint16_t status = 0;
  std::string content_type{};
  std::string body{};
};

// Why there is no answer.
enum class http_failure : std::uint8_t {
  busy, // waiting_max requests wait already
  timed_out, // the deadline of the wait, or http_client_options::timeout; the peer may have read the request
  stopped, // the server stops, the task is cancelled, or the client ends
  unreachable, // no such name, no address that answers
  certificate, // not trusted, or for another host
  tls, // everything else in TLS
  lost, // the connection ended in front of the end of the answer
  not_http, // what came is no answer in HTTP/1
  too_large, // more than answer_bytes_max, or a head of more than 16 KiB
};
// A label: "timed_out".
[[nodiscard]] std::string_view name_of(http_failure why);

struct http_error {
  http_failure why = http_failure::lost;
  std::string text{}; // one sentence
};

using http_result = std::expected<http_answer, http_error>;

class http_client {
 public:
  // http:// or https://; a user and password in it are sent as Basic (RFC 7617). Nothing is connected yet. The error is one sentence: the URL, or files
  // of certificates. std::system_error where there are no threads.
  [[nodiscard]] static std::expected<http_client, std::string> to(std::string_view url, const http_client_options& options = {});
  // What waits ends with `stopped`, and so does what is under way, at once.
  ~http_client();
  http_client(http_client&&) noexcept;
  http_client& operator=(http_client&&) noexcept;

  // In a coroutine of a shard. Where its wait ends earlier the request goes on and its answer is dropped.
  [[nodiscard]] task<http_result> send(http_message what, wait_limits limits = {});
  // On any thread, without waiting: on_answer is called once, on a thread of the client's, or within the call where it is `busy`. It must not block for
  // long; what it throws is logged.
  void send(http_message what, std::function<void(http_result)> on_answer);

 private:
  struct parts;
  explicit http_client(std::unique_ptr<parts> made);
  std::unique_ptr<parts> parts_;
};

} // namespace ringcast

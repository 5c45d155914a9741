// An answer whose body is not there as a whole: what request::respond_in_pieces() gives.
//
//   response_writer out = req.respond_in_pieces(status::ok, "text/csv");
//   for (const row& each : rows) co_await out.write(each.text());
//   out.finish();
//
// To HTTP/1.1 the pieces are chunks (RFC 9112 7.1), to HTTP/1.0 the body ends with the connection. Threads: the shard of the request.
#pragma once

#include <ringcast/connection_handle.hpp>
#include <ringcast/detail/waiter.hpp>
#include <ringcast/results.hpp>
#include <ringcast/wait.hpp>

#include <coroutine>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace ringcast {

namespace engine {
class shard;
struct handle_access;
} // namespace engine

class [[nodiscard]] piece_awaiter : engine::waiter {
 public:
  [[nodiscard]] bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> handle) noexcept;
  send_status await_resume();

 private:
  friend class response_writer;
  piece_awaiter(engine::shard* owner, connection_handle who, std::span<const std::byte> piece, wait_limits limits) noexcept
      : owner_(owner), who_(who), piece_(piece), limits_(std::move(limits)) {}
  [[nodiscard]] send_status write();

  engine::shard* owner_;
  connection_handle who_;
  std::span<const std::byte> piece_;
  wait_limits limits_;
  bool waits_ = false;
};

// Move-only. One that is destroyed before finish() ends the connection without the end of the body, by which the peer knows that something is missing.
class response_writer {
 public:
  response_writer() noexcept = default;
  response_writer(response_writer&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), who_(other.who_) {}
  response_writer& operator=(response_writer&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(who_, other.who_);
    return *this;
  }
  ~response_writer();

  // Whether the peer is still there, and finish() was not called.
  [[nodiscard]] bool is_open() const noexcept;
  // Waits while more than the high watermark (128 KiB) waits for the peer: queued, closed, timed_out or stopped. The bytes may be reused when it returns.
  // A peer that takes nothing for server_limits::handshake_timeout_ms meanwhile is given up.
  [[nodiscard]] piece_awaiter write(std::span<const std::byte> piece, wait_limits limits = {}) noexcept {
    return {owner_, who_, piece, std::move(limits)};
  }
  [[nodiscard]] piece_awaiter write(std::string_view text, wait_limits limits = {}) noexcept {
    return write(std::as_bytes(std::span{text}), std::move(limits));
  }
  void finish();

 private:
  friend struct engine::handle_access;
  response_writer(engine::shard& owner, connection_handle who) noexcept : owner_(&owner), who_(who) {}

  engine::shard* owner_ = nullptr; // null: finished, or never begun
  connection_handle who_;
};

} // namespace ringcast

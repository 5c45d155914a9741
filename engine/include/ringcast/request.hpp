// A request in the coroutine face: what server::get() and post() hand to their handlers.
//
//   task<void> echo(request& req) {
//     if (!req.is_websocket_upgrade()) co_return req.respond(status::bad_request, "this endpoint speaks WebSocket");
//     websocket ws = co_await req.upgrade();
//     ...
//   }
//
// It lives until its handler returns, and so does every view that it gives. A handler that returns without an answer, or throws before
// one, has answered 500; one that throws behind the upgrade closes its connection with 1011. Both are logged with the place where the
// handler was registered. Threads: the shard of the connection.
#pragma once

#include <ringcast/address.hpp>
#include <ringcast/compression.hpp>
#include <ringcast/events.hpp>
#include <ringcast/http_status.hpp>
#include <ringcast/rate_limits.hpp>
#include <ringcast/response_writer.hpp>
#include <ringcast/results.hpp>
#include <ringcast/task.hpp>
#include <ringcast/tls.hpp>
#include <ringcast/websocket.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringcast {

class server;

namespace engine {
class request_copy;
struct handle_access;
} // namespace engine

using status = http_status;

struct upgrade_options {
  std::vector<std::string> subprotocols; // in order of preference; websocket::subprotocol() is what was agreed on
  bool answer_pings = true;              // false: the handler does, with receive_frame() and pong()
  std::optional<std::uint64_t> message_bytes_max{}; // in place of the server's own; a larger message closes with 1009
  // In place of the server's own limits, where given; see server_limits. 0 switches the thing off.
  std::optional<std::chrono::milliseconds> ping_interval{}, pong_timeout{}, idle_timeout{};
  std::optional<rate_limits> rates{}; // in place of server_limits::rates
  // In place of server_options::allowed_origins, unless it is empty: which pages' browsers may connect. Others are
  // answered 403.
  std::vector<std::string> allowed_origins{};
  std::optional<compression_options> compression{};
  // receive_part() gives each message in parts as they come, as websocket_endpoint::in_parts does: a gigabyte needs no memory.
  bool in_parts = false;

  friend bool operator==(const upgrade_options&, const upgrade_options&) = default;
};

class request {
 public:
  request(const request&) = delete;
  request& operator=(const request&) = delete;

  // Whether the peer asks for a WebSocket. Whether it asks well is what upgrade() finds out.
  [[nodiscard]] bool is_websocket_upgrade() const noexcept { return upgrade_wanted_; }
  [[nodiscard]] std::string_view method() const noexcept;
  [[nodiscard]] std::string_view target() const noexcept; // path and query as received
  // The first header of that name, without regard to case; empty if there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
  // A parameter of the query, decoded; empty if there is none, for which find_query() has nothing.
  [[nodiscard]] std::string query(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> find_query(std::string_view name) const;
  // What stands in the place of {name} in the route, decoded; of "*" all that the path has there, without a slash in front.
  [[nodiscard]] std::string_view path(std::string_view name) const noexcept;
  [[nodiscard]] std::span<const std::byte> body() const noexcept;
  [[nodiscard]] std::string_view body_text() const noexcept { return {reinterpret_cast<const char*>(body().data()), body().size()}; }
  [[nodiscard]] const socket_address& peer() const noexcept { return peer_; }
  [[nodiscard]] bool is_admin() const noexcept { return admin_; } // it came by one of server_options::listen_admin
  [[nodiscard]] class server& server() const noexcept { return *server_; }

  // What was agreed on in TLS; nothing on a connection without it, and when that has gone.
  [[nodiscard]] std::optional<tls_details> tls() const;

  // A header of the answer, whichever it will be, also of the 101 of upgrade(): Set-Cookie, Location, Access-Control-Allow-Origin. One name may
  // be added several times. What would break the head (a name that is no token, control characters in the value), and the headers by which
  // the server says where an answer ends, throw std::invalid_argument; more than 16 KiB together std::length_error.
  void add_header(std::string_view name, std::string_view value);

  // Answers, once; later answers are ignored. Without a type a body is plain text, and with a status of 400 or above {"error": body}.
  void respond(status code, std::string_view body = {}, std::string_view type = {});
  [[nodiscard]] bool is_answered() const noexcept { return answered_; }
  // Answers with a body that is written as it comes; one that is not open, if the request was answered, or the peer has gone. A status that has no body
  // (204, 304) is a std::invalid_argument.
  [[nodiscard]] response_writer respond_in_pieces(status code, std::string_view type = "text/plain; charset=utf-8");

  // Answers with 101 and makes the connection a WebSocket. If the request was no upgrade, or a broken one, that is answered, and the
  // websocket is closed from the start; so it is if the peer has gone.
  [[nodiscard]] ready<websocket> upgrade(const upgrade_options& options = {});

 private:
  friend struct engine::handle_access;
  request(ringcast::server* from, const engine::request_copy& copy, const http_request& received, http_responder responder);

  ringcast::server* server_;
  http_responder responder_;
  socket_address peer_;
  const engine::request_copy& copy_; // made together with this
  path_parameters parameters_;
  std::string headers_; // of the answer, whole lines
  bool upgrade_wanted_;
  bool admin_;
  bool answered_ = false;
};

using request_handler = std::function<task<void>(request&)>;

// What server::get() and its like take: a coroutine, or a plain function that answers before it returns.
class route_handler {
 public:
  template <std::invocable<request&> Handler>
    requires(!std::same_as<std::remove_cvref_t<Handler>, route_handler>)
  route_handler(Handler handler) : call_(as_coroutine(std::move(handler))) {}

  [[nodiscard]] const request_handler& call() const& noexcept { return call_; }
  [[nodiscard]] request_handler call() && noexcept { return std::move(call_); }

 private:
  template <class Handler> static request_handler as_coroutine(Handler handler) {
    if constexpr (std::is_void_v<std::invoke_result_t<Handler&, request&>>) {
      return [handler = std::move(handler)](request& req) mutable -> task<void> {
        std::invoke(handler, req);
        co_return;
      };
    } else {
      return std::move(handler);
    }
  }

  request_handler call_;
};

// What stands around handlers (server::use): it answers by itself, or hands on by `co_await next(req)`, in front of which it may add headers.
using middleware = std::function<task<void>(request&, const request_handler& next)>;

} // namespace ringcast

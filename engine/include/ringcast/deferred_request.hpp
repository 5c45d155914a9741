// A request of the event face that is decided later: whoever has to be asked first is asked in a coroutine, and then the connection is answered, or
// becomes a WebSocket or an event stream of a websocket_endpoint, which costs it no coroutine.
//
//   static const websocket_endpoint feed{.on_upgrade = [](upgrade_request_view& up) { up.take_seat(up.request().parameter("room")); }};
//
//   task<void> ask_first(deferred_request received) {
//     if (!co_await may_join(received.view())) co_return received.refuse(status::forbidden, "not you");
//     received.upgrade(feed);
//   }
//   s.routes().add("GET", "/feed/{room}", [](const http_request& request, http_responder responder) { spawn(ask_first({request, responder})); });
//
// It keeps a copy of the request's bytes. A peer that goes meanwhile makes its calls do nothing. One that is destroyed without an answer has answered
// 500, or 503 where the server stops. Threads: the shard of the connection.
#pragma once

#include <ringcast/events.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace ringcast {

class deferred_request {
 public:
  deferred_request(const http_request& received, http_responder responder);
  ~deferred_request();
  deferred_request(deferred_request&&) noexcept;
  deferred_request& operator=(deferred_request&&) = delete;

  // The request again; its views live as long as this.
  [[nodiscard]] http_request view() const;

  // Each of these answers it, once; later ones do nothing.

  // As routes::add(pattern, endpoint) would: origin, on_upgrade, a seat if one is taken. The endpoint outlives the server's connections. `user` is what
  // user_of() says in on_upgrade, and websocket_ref::user() unless set_user() says otherwise; where the upgrade comes to nothing, on_discard is called
  // with it, also where there is no on_upgrade to be asked any more.
  void upgrade(const websocket_endpoint& endpoint, void* user = nullptr);
  // The handler is called with view() and the responder, and answers now or later.
  void hand_on(const http_handler& handler);
  void respond(http_status status, std::string_view content_type, std::string_view body, std::string_view extra_headers = {});
  // {"error": why}
  void refuse(http_status status, std::string_view why);

 private:
  struct kept;
  std::unique_ptr<kept> kept_;
};

// What the upgrade was begun with; see deferred_request::upgrade().
[[nodiscard]] void* user_of(const upgrade_request_view& upgrade);

} // namespace ringcast

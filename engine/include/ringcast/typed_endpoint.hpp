// The event face with an object of the program's own for each connection, in place of websocket_ref::user():
//
//   struct player { std::string name; int score = 0; };
//   s.events("/play", typed_endpoint<player>{
//     .on_upgrade = [](upgrade_request_view& up) { return std::make_unique<player>(up.request().query("name").value_or("?")); },
//     .on_message = [](websocket_ref ws, player& p, const message_view& m) { ws.send(p.name + ": " + std::to_string(++p.score)); }});
//
// The object is made with the upgrade and destroyed once, on the shard of the connection: behind on_close, or when the upgrade comes to nothing,
// for whatever reason.
#pragma once

#include <ringcast/events.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringcast {

template <class T> struct typed_endpoint {
  // May refuse, and then return null. Without it the object is T{}.
  std::function<std::unique_ptr<T>(upgrade_request_view&)> on_upgrade{};
  // As in websocket_endpoint.
  std::function<void(websocket_ref, T&)> on_open{};
  std::function<void(websocket_ref, T&, const message_view&)> on_message{};
  std::function<void(websocket_ref, T&)> on_drain{};
  std::function<void(websocket_ref, T&, std::uint64_t first, std::uint64_t last)> on_gap{};
  std::function<void(websocket_ref, T&, const room_position& at)> on_reset{};
  std::function<void(websocket_ref, T&, std::string_view room, cluster_state what)> on_cluster{};
  std::function<void(websocket_ref, T&, std::chrono::milliseconds retry_after)> on_going_away{};
  std::function<void(websocket_ref, T&)> on_leave{};
  std::function<void(websocket_ref, T&, std::uint16_t code, std::string_view reason)> on_close{};
  // Everything else of an endpoint: subprotocols, limits, compression. Its callbacks above are not looked at.
  websocket_endpoint other{};

  // What server::events() and routes::add() take.
  operator websocket_endpoint() && {
    websocket_endpoint made = std::move(other);
    made.on_upgrade = [make = std::move(on_upgrade)](upgrade_request_view& up) {
      std::unique_ptr<T> user;
      if constexpr (std::is_default_constructible_v<T>) {
        user = make ? make(up) : std::make_unique<T>();
      } else {
        user = make(up);
      }
      up.set_user(user.release());
    };
    made.on_discard = [](void* user) { delete static_cast<T*>(user); };
    made.on_open = with_user(std::move(on_open));
    made.on_message = with_user<const message_view&>(std::move(on_message));
    made.on_drain = with_user(std::move(on_drain));
    made.on_gap = with_user<std::uint64_t, std::uint64_t>(std::move(on_gap));
    made.on_reset = with_user<const room_position&>(std::move(on_reset));
    made.on_cluster = with_user<std::string_view, cluster_state>(std::move(on_cluster));
    made.on_going_away = with_user<std::chrono::milliseconds>(std::move(on_going_away));
    made.on_leave = with_user(std::move(on_leave));
    made.on_close = [call = std::move(on_close)](websocket_ref ws, std::uint16_t code, std::string_view reason) {
      const std::unique_ptr<T> user{static_cast<T*>(std::exchange(ws.user(), nullptr))}; // also when the call throws
      if (call) call(ws, *user, code, reason);
    };
    return made;
  }

 private:
  template <class... More> static std::function<void(websocket_ref, More...)> with_user(std::function<void(websocket_ref, T&, More...)> call) {
    if (!call) return {};
    return [call = std::move(call)](websocket_ref ws, More... more) { call(ws, *static_cast<T*>(ws.user()), more...); };
  }
};

} // namespace ringcast

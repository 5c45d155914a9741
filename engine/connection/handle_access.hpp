// The engine's way behind what users hold: the public headers name one friend, and this is it. It makes what is handed to a program and says
// what stands behind it; nothing here is installed.
#pragma once

#include <ringcast/client_loop.hpp>
#include <ringcast/events.hpp>
#include <ringcast/request.hpp>
#include <ringcast/server.hpp>
#include <ringcast/websocket.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace ringcast::engine {

struct handle_access {
  // --- the event face ---
  [[nodiscard]] static websocket_ref ref(shard& s, connection& c) { return {s, c}; }
  [[nodiscard]] static shard& shard_of(websocket_ref ws) { return *ws.shard_; }
  [[nodiscard]] static connection& connection_of(websocket_ref ws) { return *ws.connection_; }
  [[nodiscard]] static http_responder responder(shard& s, connection_handle c) { return {s, c}; }
  [[nodiscard]] static shard& shard_of(const http_responder& responder) { return *responder.shard_; }
  [[nodiscard]] static http_request request(const request_head& head, const path_parameters& parameters, std::span<const std::byte> body,
                                            const socket_address& peer, bool is_admin, const connection* by) {
    return {head, parameters, body, peer, is_admin, by};
  }
  [[nodiscard]] static const request_head& head_of(const http_request& request) { return request.head_; }
  [[nodiscard]] static upgrade_request_view upgrade_view(const http_request& request, bool event_stream) { return {request, event_stream}; }
  [[nodiscard]] static auto& decision_of(upgrade_request_view& view) { return view.made_; }
  [[nodiscard]] static routes routes_of(http_router& router) { return routes{router}; }

  // --- the coroutine face ---
  [[nodiscard]] static ringcast::request coroutine_request(server* from, const request_copy& copy, const http_request& received,
                                                           http_responder responder) {
    return {from, copy, received, responder};
  }
  [[nodiscard]] static response_writer writer_of(shard& s, connection_handle c) noexcept { return {s, c}; }
  [[nodiscard]] static websocket socket_of(websocket_session* session) { return websocket{session}; }
  [[nodiscard]] static websocket_session* session_of(const receiver& ws) { return ws.session_; }

  // --- servers and clients ---
  [[nodiscard]] static const http_router& router_of(const server& s) { return *s.router_; }
  [[nodiscard]] static inbox& inbox_of(server& s, std::uint32_t shard_index) { return s.inbox_of(shard_index); }
  [[nodiscard]] static bool owns(const server& s, const shard& one) { return s.owns(one); }
  [[nodiscard]] static bool was_started(const server& s) { return s.was_started(); }
  // Null before the start.
  [[nodiscard]] static const room_rulebook* room_rules_of(const server& s) { return s.was_started() ? s.room_rulebook_.get() : nullptr; }
  [[nodiscard]] static client_host& host_of(client_loop& loop) { return loop.host(); }
};

} // namespace ringcast::engine

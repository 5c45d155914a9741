#include "apps/ringcast-server/admin.hpp"

#include "apps/page/page.hpp"
#include "apps/ringcast-server/admin_state.hpp"
#include <ringcast/close_code.hpp>
#include <ringcast/closing.hpp>
#include <ringcast/log.hpp>

#include <charconv>
#include <expected>
#include <fmt/format.h>
#include <string>

namespace ringcast {

namespace {

// RFC 6455 5.5: with the code, what a control frame takes.
constexpr std::size_t reason_bytes_max = 123;

struct close_wish {
  std::uint16_t code = static_cast<std::uint16_t>(close_code::policy_violation);
  std::string reason = "closed by the administrator";
};

// ?code=N&reason=TEXT: a body of DELETE has no meaning (RFC 9110 9.3.5). The error is one sentence.
std::expected<close_wish, std::string_view> asked_close(const http_request& request) {
  close_wish wish;
  if (const auto code = request.query("code")) {
    const auto [end, error] = std::from_chars(code->data(), code->data() + code->size(), wish.code);
    if (code->empty() || error != std::errc{} || end != code->data() + code->size() || !may_be_sent(wish.code))
      return std::unexpected("code is one that may be sent: 1000 to 1014 without 1004 to 1006, 3000 to 4999");
  }
  if (const auto reason = request.query("reason")) {
    if (reason->size() > reason_bytes_max) return std::unexpected("reason has at most 123 bytes");
    wish.reason = *reason;
  }
  return wish;
}

// As GET /connections writes it.
std::optional<connection_handle> handle_of(std::string_view id) {
  connection_handle handle;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), handle.value, 16);
  if (id.size() != 16 || error != std::errc{} || end != id.data() + id.size()) return std::nullopt;
  return handle;
}

std::string quoted(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json;
}

void log_action(const http_request& request, const std::string& what) {
  log_line(log_level::info, fmt::format("admin {}: {}", request.peer.text(), what));
}

// Otherwise it has been answered.
bool may_act(admin_guard& guard, const http_request& request, http_responder& responder) {
  const auto why = guard.why_not_act(request);
  if (!why) return true;
  guard.count(admin_action::refused);
  log_line(log_level::warning, fmt::format("admin {}: {} {} is refused: {}", request.peer.text(), request.method(), quoted(request.target()), *why));
  responder.respond_error(http_status::forbidden, *why);
  return false;
}

void answer_closed(http_responder responder, std::uint64_t closed, std::string_view nobody) {
  if (closed == 0) return responder.respond_error(http_status::not_found, nobody);
  responder.respond_json(http_status::ok, fmt::format(R"({{"closed":{}}})", closed));
}

void close_one(server& s, admin_guard& guard, const http_request& request, http_responder responder) {
  if (!may_act(guard, request, responder)) return;
  const auto id = handle_of(request.parameter("id"));
  if (!id) return responder.respond_error(http_status::bad_request, "an id is the 16 digits that GET /connections says");
  const auto wish = asked_close(request);
  if (!wish) return responder.respond_error(http_status::bad_request, wish.error());
  guard.count(admin_action::close_connection);
  log_action(request, fmt::format("close connection {:016x} with {} {}", id->value, wish->code, quoted(wish->reason)));
  close_connections(s, {*id}, wish->code, wish->reason, [responder](std::uint64_t closed) {
    answer_closed(responder, closed, "there is no such connection any more, or it is closing");
  });
}

void close_all(server& s, admin_guard& guard, const http_request& request, http_responder responder) {
  if (!may_act(guard, request, responder)) return;
  const std::string room{request.parameter("room")};
  if (const auto valid = check_room_name(room); !valid) return responder.respond_error(http_status::bad_request, valid.error());
  const auto wish = asked_close(request);
  if (!wish) return responder.respond_error(http_status::bad_request, wish.error());
  guard.count(admin_action::close_room);
  log_action(request, fmt::format("close room {} with {} {}", quoted(room), wish->code, quoted(wish->reason)));
  close_room(s, room, wish->code, wish->reason, [responder](std::uint64_t closed) { answer_closed(responder, closed, "nobody is in this room"); });
}

constexpr std::string_view never_kept = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n";

void page(const http_request&, http_responder responder) {
  const std::string headers =
      fmt::format("Content-Security-Policy: {}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-cache\r\n"
                  "Cross-Origin-Opener-Policy: same-origin\r\n",
                  admin_page_csp());
  responder.respond(http_status::ok, "text/html; charset=utf-8", admin_page(), headers);
}

} // namespace

void add_dashboard(server& s, routes_below where, const shared_guard& guard, bool has_admin_address) {
  where.add("GET", "/admin", page);
  where.add("GET", "/admin/state", [&s, guard, has_admin_address](const http_request&, http_responder responder) {
    s.statistics([responder, has_admin_address](const server_statistics& told) mutable {
      responder.respond(http_status::ok, "application/json", admin_state_json(told, has_admin_address), never_kept);
    });
  });
  if (!has_admin_address) return;
  where.add("GET", "/admin/token", [guard](const http_request& request, http_responder responder) {
    if (const auto why = guard->why_not_read(request)) {
      guard->count(admin_action::refused);
      return responder.respond_error(http_status::forbidden, *why);
    }
    responder.respond(http_status::ok, "application/json", fmt::format(R"({{"token":"{}"}})", guard->token()), never_kept);
  });
  where.add("DELETE", "/connections/{id}",
            [&s, guard](const http_request& request, http_responder responder) { close_one(s, *guard, request, responder); });
  where.add("DELETE", "/rooms/{room}",
            [&s, guard](const http_request& request, http_responder responder) { close_all(s, *guard, request, responder); });
}

bool may_publish(admin_guard& guard, const http_request& request, std::string_view room, http_responder& responder) {
  if (!request.is_admin) return true;
  if (request.header(admin_guard::token_header).empty()) {
    if (!guard.is_of_a_stranger(request)) return true;
    guard.count(admin_action::refused);
    responder.respond_error(http_status::forbidden, "pages of another site may not do this");
    return false;
  }
  if (!may_act(guard, request, responder)) return false;
  guard.count(admin_action::publish);
  log_action(request, fmt::format("publish {} bytes in room {}", request.body.size(), quoted(room)));
  return true;
}

} // namespace ringcast

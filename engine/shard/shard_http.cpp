// HTTP/1.1 of a shard: requests one after the other on a connection, their answers, and the upgrade to WebSocket.
#include "engine/io/socket.hpp"
#include "engine/shard/origin.hpp"
#include "engine/shard/shard.hpp"
#include "proto/handshake.hpp"
#include "proto/http_body.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <utility>

namespace ringcast {

namespace {

// "Date: ...\r\n", made anew once a second (RFC 9110 6.6.1).
std::string_view date_line(std::uint64_t now_ms) {
  thread_local std::uint64_t made_for = UINT64_MAX;
  thread_local char line[64];
  thread_local std::size_t bytes = 0;
  if (made_for != now_ms / 1000) {
    made_for = now_ms / 1000;
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    bytes = std::strftime(line, sizeof line, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
  }
  return {line, bytes};
}

constexpr http_limits head_limits{};

// The methods of RFC 9110 9.3 and RFC 5789: known, if not taken by a path. Any other is not implemented (RFC 9110 15.6.2).
bool is_known_method(std::string_view method) {
  static constexpr std::string_view known[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
  return std::ranges::find(known, method) != std::end(known);
}

// The methods that are not safe in the sense of RFC 9110 9.2.1.
bool changes_something(std::string_view method) { return method != "GET" && method != "HEAD" && method != "OPTIONS"; }

} // namespace

shard::consumed shard::consume_http(connection& c, std::span<std::byte> bytes) {
  consumed done;
  const std::uint64_t delivered_before = budget_.delivered();
  const auto refused = [&](http_status status, std::string_view why) {
    refuse_request(c, status, why);
    done.bytes = bytes.size();
    return done;
  };
  while (done.bytes < bytes.size() && c.phase == connection_phase::http) {
    if (c.answering || c.input_stopped) {
      done.stopped = true;
      return done;
    }
    const std::span<std::byte> rest = bytes.subspan(done.bytes);
    if (c.partial != nullptr && c.partial->body != nullptr) {
      const consumed body = consume_chunked(c, rest);
      done.bytes += body.bytes;
      done.wanted = body.wanted;
      done.kept = body.kept;
      if (body.bytes == 0) return done;
      if (must_stop(c, delivered_before)) stop_input(c);
      continue;
    }
    head_progress progress = c.partial != nullptr && done.bytes == 0 ? c.partial->head : head_progress{};
    const head_result result = parse_request_head(rest, head_limits, head_, &progress);
    if (result.status == head_status::need_more) {
      if (c.partial == nullptr) c.partial = std::make_unique<partial_input>();
      c.partial->head = progress;
      done.wanted = rest.size() + 1;
      return done;
    }
    if (c.partial != nullptr) c.partial->head = {};
    if (result.status == head_status::bad) return refused(result.error, result.why);
    if (head_.content_length.value_or(0) > options_.limits.message_bytes_max)
      return refused(http_status::content_too_large, "the body is larger than a message may be");
    // RFC 9110 10.1.1: only HTTP/1.1 knows it, and who has sent a part of the body does not wait. What is refused anyway is told so at once,
    // and the body that may follow is not read.
    const bool continue_wanted = !c.continue_sent && head_.minor_version == 1 && rest.size() == head_.head_bytes &&
                                 (head_.chunked || head_.content_length.value_or(0) != 0) &&
                                 equal_ignoring_case(head_.header("Expect"), "100-continue");
    if (continue_wanted && is_refused_by_its_head(head_)) {
      head_.keep_alive = false;
      done.bytes = bytes.size();
      on_request(c, head_, {});
      return done;
    }
    if (head_.chunked) {
      if (c.partial == nullptr) c.partial = std::make_unique<partial_input>();
      c.partial->body =
          std::make_unique<chunked_body>(chunked_decoder{chunked_limits{.body_bytes_max = options_.limits.message_bytes_max}}, head_.head_bytes);
      if (rest.size() > head_.head_bytes) continue;
      if (continue_wanted) send_continue(c);
      done.wanted = rest.size() + 1;
      return done;
    }
    const std::size_t request_bytes = head_.head_bytes + static_cast<std::size_t>(head_.content_length.value_or(0));
    if (rest.size() < request_bytes) {
      if (continue_wanted) send_continue(c);
      done.wanted = request_bytes;
      return done;
    }
    done.bytes += request_bytes;
    on_request(c, head_, rest.subspan(head_.head_bytes, request_bytes - head_.head_bytes));
    if (must_stop(c, delivered_before)) stop_input(c);
  }
  done.stopped = c.answering || c.input_stopped;
  return done;
}

// The bytes are the head, what was decoded before, and what has come in since; that is decoded where it stands.
shard::consumed shard::consume_chunked(connection& c, std::span<std::byte> bytes) {
  chunked_body& body = *c.partial->body;
  const std::size_t before = body.head_bytes + body.decoded_bytes;
  const chunked_result result = body.decoder.decode(bytes.subspan(before));
  if (result.status == chunked_status::bad) {
    refuse_request(c, result.error, result.why);
    return {.bytes = bytes.size()};
  }
  body.decoded_bytes += result.produced;
  const std::size_t kept = body.head_bytes + body.decoded_bytes;
  if (result.status == chunked_status::need_more) return {.wanted = kept + 1, .kept = kept};
  const std::size_t head_bytes = body.head_bytes;
  c.partial->body.reset();
  const head_result head = parse_request_head(bytes.first(head_bytes), head_limits, head_);
  RINGCAST_ASSERT(head.status == head_status::done);
  on_request(c, head_, bytes.subspan(head_bytes, kept - head_bytes));
  return {.bytes = before + result.consumed};
}

// Whether on_request() would refuse it, whatever its body.
bool shard::is_refused_by_its_head(const request_head& head) const {
  const route_match match = router_.match(head.method, head.path);
  if (match.bad_path || match.found == nullptr) return true;
  if (changes_something(head.method) && !is_origin_allowed(head, options_.allowed_origins)) return true;
  return match.found->endpoint != nullptr; // an upgrade has no body
}

void shard::send_continue(connection& c) {
  c.continue_sent = true;
  append_output(c, "HTTP/1.1 100 Continue\r\n\r\n");
}

void shard::on_request(connection& c, const request_head& head, std::span<const std::byte> body) {
  c.keep_alive = head.keep_alive && !stopping_;
  c.answering = true;
  c.continue_sent = false;
  c.head_only = head.method == "HEAD";
  budget_.delivered(request_work_bytes + body.size());
  const route_match match = router_.match(head.method, head.path);
  http_responder responder{*this, handle_of(c)};
  if (match.bad_path) return responder.respond_error(http_status::bad_request, "the path has a broken percent escape");
  if (match.found == nullptr) {
    if (match.allowed.empty()) return responder.respond_error(http_status::not_found, "there is nothing at this path");
    if (!is_known_method(head.method)) return refuse_request(c, http_status::not_implemented, "this server does not know that method");
    return responder.respond(http_status::method_not_allowed, "application/json", json_error("this path does not take that method"),
                             "Allow: " + match.allowed + "\r\n");
  }
  // A form of any page can post here; browsers tell which page it was.
  if (changes_something(head.method) && !is_origin_allowed(head, options_.allowed_origins))
    return responder.respond_error(http_status::forbidden, "pages of this origin may not do this");
  const http_request request{head, match.parameters, body, peer_address_of(c.socket)};
  if (match.found->endpoint != nullptr)
    on_upgrade(c, request, *match.found->endpoint, nullptr);
  else
    handlers_.request(c, *match.found, request, responder);
}

std::string_view shard::on_upgrade(connection& c, const http_request& request, const websocket_endpoint& endpoint, void* user) {
  http_responder responder{*this, handle_of(c)};
  const upgrade_check check = check_upgrade(request.head);
  if (!check.ok) {
    std::string_view extra;
    // RFC 9110 15.5.22 and 7.8: the protocol that is required, and that this header is for the next hop only.
    if (check.error == http_status::upgrade_required) extra = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    if (check.error == http_status::method_not_allowed) extra = "Allow: GET\r\n";
    responder.respond(check.error, "application/json", json_error(check.why), extra);
    return {};
  }
  if (!is_origin_allowed(request.head, endpoint.allowed_origins.empty() ? options_.allowed_origins : endpoint.allowed_origins)) {
    responder.respond_error(http_status::forbidden, "pages of this origin may not connect here");
    return {};
  }
  if (stopping_) {
    responder.respond_error(http_status::service_unavailable, "the server is going away");
    return {};
  }
  upgrade_request_view decision{request};
  decision.user_ = user;
  const bool decided = handlers_.upgrade(c, endpoint, decision);
  if (!decided || decision.refused_ != http_status::switching_protocols) {
    handlers_.note_discarded(endpoint, decision.user_);
    if (decided) responder.respond_error(decision.refused_, decision.why_);
    return {};
  }
  std::string_view subprotocol;
  if (!endpoint.subprotocols.empty()) {
    const std::vector<std::string_view> preferences{endpoint.subprotocols.begin(), endpoint.subprotocols.end()};
    subprotocol = choose_subprotocol(request.head, preferences);
  }
  c.endpoint = &endpoint;
  c.user = decision.user_;
  const auto deflate = negotiate_deflate(request.head, compression_of(c).policy());
  char response[1024];
  const std::size_t bytes = write_accept_response(response, check.key, subprotocol, deflate ? deflate->response_value() : std::string_view{});
  RINGCAST_ASSERT(bytes > 0);
  if (!decision.seat_wanted_) {
    if (deflate) begin_compression(c, deflate->params);
    append_output(c, {response, bytes});
    open_websocket(c);
    return subprotocol;
  }
  // The name is granted by the room's home, which may be another shard, and it must know that somebody sits here; until it answers, the
  // request is under way.
  room_part& r = rooms_.at(decision.room_, encoding_of(deflate ? deflate->params.server_max_window_bits : 0));
  rooms_.reserve(r);
  upgrades_.insert_or_assign(
      c.slot,
      pending_upgrade{{response, bytes}, decision.room_, decision.name_, decision.hears_, deflate ? std::optional{deflate->params} : std::nullopt});
  const claim_record claim{{r.index, r.generation}, handle_of(c).value, 0, r.first_seats, false};
  if (decision.name_.empty() && r.known_at_home)
    on_claim_answer(index_, {claim, true}, {});
  else
    deliver(r.home_shard, record_kind::claim_seat, bytes_of(claim), std::as_bytes(std::span{decision.name_}));
  return subprotocol;
}

// The home of the room has answered.
void shard::finish_upgrade(connection& c, bool granted) {
  auto found = upgrades_.extract(c.slot);
  RINGCAST_ASSERT(!found.empty());
  pending_upgrade& pending = found.mapped();
  if (!granted || stopping_) {
    handlers_.note_discarded(*c.endpoint, std::exchange(c.user, nullptr));
    if (stopping_ && granted) {
      const room_part& r = rooms_.at(pending.room, encoding_of(pending.deflate ? pending.deflate->server_max_window_bits : 0));
      deliver(r.home_shard, record_kind::release_name, bytes_of(name_record{{r.index, r.generation}, handle_of(c).value}),
              std::as_bytes(std::span{pending.name}));
    }
    if (stopping_)
      refuse_request(c, http_status::service_unavailable, "the server is going away");
    else
      http_responder{*this, handle_of(c)}.respond_error(http_status::bad_request, "this name is taken in this room");
  } else {
    append_output(c, pending.response);
    if (pending.deflate) begin_compression(c, *pending.deflate);
    room_part& r = rooms_.at(pending.room, encoding_of(c));
    membership& seat = rooms_.join(c, r, pending.hears);
    if (!pending.name.empty()) seat.name = std::make_unique<std::string>(std::move(pending.name));
    open_websocket(c);
  }
}

void shard::open_websocket(connection& c) {
  c.phase = connection_phase::websocket;
  c.handler_told = true;
  const std::uint32_t ping_interval_ms = ping_interval_of(c), idle_timeout_ms = idle_timeout_of(c);
  if (idle_timeout_ms != 0) {
    if (last_message_ms_.size() <= c.slot) last_message_ms_.resize(c.slot + 1);
    note_message(c);
  }
  // The earlier of the two; subtracting one puts "never" behind every other.
  if (const std::uint32_t first_ms = std::min(ping_interval_ms - 1, idle_timeout_ms - 1) + 1; first_ms != 0)
    arm_timer(c, first_ms);
  else
    timers_.cancel(c.timer);
  if (c.endpoint->on_open)
    handlers_.note(c, user_event::opened);
  else
    begin_input(c);
}

void shard::append_output(connection& c, std::string_view text) {
  if (!text.empty()) std::memcpy(outbox_.extend(c, text.size()), text.data(), text.size());
}

// Its handler threw. What it may have left to be answered later must not answer another request, so the connection ends behind this.
void shard::fail_request(connection& c) {
  if (c.phase == connection_phase::http && c.answering) refuse_request(c, http_status::internal_server_error, "the handler failed");
}

void shard::refuse_request(connection& c, http_status status, std::string_view why) {
  c.keep_alive = false;
  c.answering = true;
  respond(c, status, "application/json", json_error(why), {});
}

void shard::respond(connection& c, http_status status, std::string_view content_type, std::string_view body, std::string_view extra_headers) {
  if (c.phase != connection_phase::http || !c.answering) return;
  c.answering = false;
  append_output(c, fmt::format("HTTP/1.1 {} {}\r\n{}Content-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n{}\r\n", static_cast<int>(status),
                               reason_phrase(status), date_line(now_ms_), content_type, body.size(), c.keep_alive ? "keep-alive" : "close",
                               extra_headers));
  if (!c.head_only) append_output(c, body);
  c.head_only = false;
  if (c.keep_alive) {
    arm_timer(c, options_.limits.handshake_timeout_ms);
    // What came in behind this request goes on, if it was kept meanwhile.
    if (c.partial != nullptr)
      input_again_.push_back(handle_of(c));
    else if (c.peer_closed)
      finish(c);
  } else {
    finish(c);
  }
}

} // namespace ringcast

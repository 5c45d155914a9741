#include "engine/shard/http_side.hpp"

#include "engine/connection/handle_access.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/acceptor.hpp"
#include "engine/shard/access_book.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/origin.hpp"
#include "engine/shard/peer_book.hpp"
#include "engine/shard/refusal_log.hpp"
#include "engine/shard/upgrader.hpp"
#include "proto/http_body.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <memory>
#include <utility>

namespace ringcast::engine {

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

namespace {

constexpr http_limits head_limits{};

// The methods of RFC 9110 9.3 and RFC 5789: known, if not taken by a path. Any other is not implemented (RFC 9110 15.6.2).
bool is_known_method(std::string_view method) {
  static constexpr std::string_view known[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
  return std::ranges::find(known, method) != std::end(known);
}

// The methods that are not safe in the sense of RFC 9110 9.2.1.
bool changes_something(std::string_view method) { return method != "GET" && method != "HEAD" && method != "OPTIONS"; }

} // namespace

consumed http_side::consume_http(connection& c, std::span<std::byte> bytes) {
  consumed done;
  const std::uint64_t delivered_before = with_.budget.delivered();
  const auto refused = [&](http_status status, std::string_view why) {
    with_.counters.count(refusal::bad_request);
    log_refusal(refusal::bad_request, with_.peers, c);
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
      if (with_.share.must_stop(c, delivered_before)) with_.input.stop(c);
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
    if (head_.content_length.value_or(0) > with_.options.limits.message_bytes_max)
      return refused(http_status::content_too_large, "the body is larger than a message may be");
    // RFC 9110 10.1.1: only HTTP/1.1 knows it, and who has sent a part of the body does not wait. What is refused anyway is told so at once,
    // and the body that may follow is not read.
    const bool continue_wanted = !c.continue_sent && head_.minor_version == 1 && rest.size() == head_.head_bytes &&
                                 (head_.chunked || head_.content_length.value_or(0) != 0) &&
                                 equal_ignoring_case(head_.header("Expect"), "100-continue");
    if (continue_wanted && is_refused_by_its_head(c, head_)) {
      head_.keep_alive = false;
      done.bytes = bytes.size();
      on_request(c, head_, {});
      return done;
    }
    if (head_.chunked) {
      if (c.partial == nullptr) c.partial = std::make_unique<partial_input>();
      c.partial->body =
          std::make_unique<chunked_body>(chunked_decoder{chunked_limits{.body_bytes_max = with_.options.limits.message_bytes_max}}, head_.head_bytes);
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
    if (with_.share.must_stop(c, delivered_before)) with_.input.stop(c);
  }
  done.stopped = c.answering || c.input_stopped;
  return done;
}

// The bytes are the head, what was decoded before, and what has come in since; that is decoded where it stands.
consumed http_side::consume_chunked(connection& c, std::span<std::byte> bytes) {
  chunked_body& body = *c.partial->body;
  const std::size_t before = body.head_bytes + body.decoded_bytes;
  const chunked_result result = body.decoder.decode(bytes.subspan(before));
  if (result.status == chunked_status::bad) {
    with_.counters.count(refusal::bad_request);
    log_refusal(refusal::bad_request, with_.peers, c);
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
bool http_side::is_refused_by_its_head(const connection& c, const request_head& head) const {
  if (is_misdirected(c, head)) return true;
  const route_match match = with_.router.match(head.method, head.path, with_.accepting.is_admin(c));
  if (match.bad_path || match.found == nullptr) return true;
  if (changes_something(head.method) && !is_origin_allowed(head, with_.options.allowed_origins)) return true;
  return match.found->endpoint != nullptr; // an upgrade has no body
}

bool http_side::is_misdirected(const connection& c, const request_head& head) const {
  return with_.accepting.is_admin(c) && !is_admin_host(head, with_.options.admin_hosts);
}

void http_side::send_continue(connection& c) {
  c.continue_sent = true;
  with_.output.append_text(c, "HTTP/1.1 100 Continue\r\n\r\n");
}

void http_side::on_request(connection& c, const request_head& head, std::span<const std::byte> body) {
  c.was_asked = true;
  c.keep_alive = head.keep_alive && !with_.stop.is_stopping && !with_.stop.is_door_closed;
  c.answering = true;
  c.continue_sent = false;
  c.head_only = head.method == "HEAD";
  with_.access.asked(c, head);
  with_.budget.delivered(request_work_bytes + body.size());
  if (is_misdirected(c, head)) {
    with_.counters.count(refusal::host);
    log_refusal(refusal::host, with_.peers, c, head);
    return respond_error(c, http_status::misdirected_request, "this address is for those who run the server, and has not this name");
  }
  const route_match match = with_.router.match(head.method, head.path, with_.accepting.is_admin(c));
  if (match.bad_path) return respond_error(c, http_status::bad_request, "the path has a broken percent escape");
  if (match.found == nullptr) {
    if (match.allowed.empty()) return respond_error(c, http_status::not_found, "there is nothing at this path");
    if (!is_known_method(head.method)) return refuse_request(c, http_status::not_implemented, "this server does not know that method");
    return respond(c, http_status::method_not_allowed, "application/json", json_error("this path does not take that method"),
                   "Allow: " + match.allowed + "\r\n");
  }
  // A form of any page can post here; browsers tell which page it was.
  if (changes_something(head.method) && !is_origin_allowed(head, with_.options.allowed_origins)) {
    with_.counters.count(refusal::origin);
    log_refusal(refusal::origin, with_.peers, c, head);
    return respond_error(c, http_status::forbidden, "pages of this origin may not do this");
  }
  const http_request request = handle_access::request(head, match.parameters, body, with_.peers.peer_of(c, head), with_.accepting.is_admin(c), &c);
  if (match.found->endpoint != nullptr)
    with_.upgrades.upgrade(c, request, *match.found->endpoint, nullptr);
  else
    with_.users.request(c, *match.found, request);
}

void http_side::respond(connection& c, http_status status, std::string_view content_type, std::string_view body, std::string_view extra_headers) {
  if (c.phase != connection_phase::http || !c.answering) return;
  c.answering = false;
  count_response(status);
  with_.access.answered(c, static_cast<std::uint16_t>(status));
  // RFC 9110 8.6: there is none to describe.
  const bool has_body = status != http_status::no_content && status != http_status::not_modified;
  const std::string about_body = has_body ? fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", content_type, body.size()) : std::string{};
  with_.output.append_text(c, fmt::format("HTTP/1.1 {} {}\r\n{}{}Connection: {}\r\n{}\r\n", static_cast<int>(status), reason_phrase(status),
                                          date_line(with_.clock.ms), about_body, c.keep_alive ? "keep-alive" : "close", extra_headers));
  if (has_body && !c.head_only) with_.output.append_text(c, body);
  end_answer(c);
}

// The next request may come.
void http_side::end_answer(connection& c) {
  c.head_only = false;
  if (c.keep_alive) {
    with_.timers.arm(c, with_.options.limits.handshake_timeout_ms);
    // What came in behind this request goes on, if it was kept meanwhile.
    if (c.partial != nullptr)
      with_.input.go_on(c);
    else if (c.peer_closed)
      with_.closing.finish(c);
  } else {
    with_.closing.finish(c);
  }
}

// A status is whatever a program says.
void http_side::count_response(http_status status) {
  const std::size_t place = static_cast<std::size_t>(status) / 100 - 1;
  if (place < with_.counters.responses.size()) ++with_.counters.responses[place];
}

void http_side::respond_error(connection& c, http_status status, std::string_view why) { respond(c, status, "application/json", json_error(why)); }

void http_side::refuse_request(connection& c, http_status status, std::string_view why) {
  c.keep_alive = false;
  c.answering = true;
  respond_error(c, status, why);
}

void http_side::refuse_for_now(connection& c, std::string_view why, std::uint32_t retry_after_s) {
  c.keep_alive = false;
  c.answering = true;
  respond(c, http_status::too_many_requests, "application/json", json_error(why), fmt::format("Retry-After: {}\r\n", retry_after_s));
}

void http_side::fail_request(connection& c) {
  if (c.phase == connection_phase::http && c.answering) refuse_request(c, http_status::internal_server_error, "the handler failed");
}

} // namespace ringcast::engine

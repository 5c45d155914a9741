#include <ringcast/request.hpp>

#include "engine/base/log.hpp"
#include "engine/connection/handle_access.hpp"
#include "engine/server/request_copy.hpp"
#include "engine/server/run_as_coroutine.hpp"
#include "engine/server/websocket_session.hpp"
#include "engine/shard/response_headers.hpp"
#include "proto/handshake.hpp"
#include "proto/percent.hpp"

#include <stdexcept>

namespace ringcast {

using namespace engine;

request::request(ringcast::server* from, const request_copy& copy, const http_request& received, http_responder responder)
    : server_(from), responder_(responder), peer_(received.peer), copy_(copy), parameters_(received.parameters),
      upgrade_wanted_(ringcast::is_websocket_upgrade(handle_access::head_of(received))), admin_(received.is_admin) {}

std::string_view request::method() const noexcept { return copy_.method(); }
std::string_view request::target() const noexcept { return copy_.target(); }
std::string_view request::header(std::string_view name) const noexcept { return copy_.header(name); }
std::span<const std::byte> request::body() const noexcept { return copy_.body(); }

std::optional<std::string> request::find_query(std::string_view name) const { return query_value(copy_.query(), name); }
std::string request::query(std::string_view name) const { return find_query(name).value_or(std::string{}); }

std::optional<tls_details> request::tls() const {
  const connection* c = handle_access::shard_of(responder_).find(responder_.handle());
  return c == nullptr ? std::nullopt : tls_details_of(*c);
}

void request::add_header(std::string_view name, std::string_view value) { append_response_header(headers_, name, value); }

std::string_view request::path(std::string_view name) const noexcept {
  for (const auto& [key, value] : parameters_)
    if (key == name) return value;
  return {};
}

void request::respond(status code, std::string_view body, std::string_view type) {
  if (answered_) return;
  answered_ = true;
  if (type.empty() && static_cast<int>(code) >= 400)
    return responder_.respond(code, "application/json", json_error(body.empty() ? reason_phrase(code) : body), headers_);
  responder_.respond(code, type.empty() ? "text/plain; charset=utf-8" : type, body, headers_);
}

response_writer request::respond_in_pieces(status code, std::string_view type) {
  if (code == status::no_content || code == status::not_modified || static_cast<int>(code) < 200)
    throw std::invalid_argument("an answer with this status has no body");
  shard& here = handle_access::shard_of(responder_);
  connection* const c = here.find(responder_.handle());
  if (answered_ || c == nullptr) return {};
  thread_local request_head head; // parsed again where it was copied to; it was fine the first time
  (void)parse_request_head(copy_.head(), http_limits{}, head);
  if (!here.http().begin_pieces(*c, code, type, headers_, head.minor_version != 0)) return {};
  answered_ = true;
  return handle_access::writer_of(here, responder_.handle());
}

ready<websocket> request::upgrade(const upgrade_options& options) {
  shard& here = handle_access::shard_of(responder_);
  connection* c = here.find(responder_.handle());
  if (answered_ || c == nullptr || !c->answering) return {};
  answered_ = true;
  // Parsed again where it was copied to; it was fine the first time.
  thread_local request_head head;
  (void)parse_request_head(copy_.head(), http_limits{}, head);
  auto* session = new websocket_session(here);
  const websocket_endpoint& endpoint = websocket_session::endpoint_of(here, options);
  const std::string_view subprotocol =
      here.upgrades().upgrade(*c, handle_access::request(head, parameters_, copy_.body(), peer_, admin_, c), endpoint, session, headers_);
  if (c->phase == connection_phase::websocket) session->attach(*c, subprotocol);
  return {handle_access::socket_of(session)};
}

namespace {

// A request with what it keeps of its bytes, in one block.
struct kept_request {
  kept_request(server* from, const http_request& received, http_responder responder)
      : bytes(handle_access::head_of(received), received.body), request(handle_access::coroutine_request(from, bytes, received, responder)) {}

  request_copy bytes;
  ringcast::request request;
};

task<void> run_handler(shard& here, const request_handler& handler, std::unique_ptr<kept_request> kept, std::source_location where) {
  request* const req = &kept->request;
  bool failed = true;
  try {
    co_await handler(*req);
    failed = false;
  } catch (...) {
    here.user_code().log_thrown("the handler", where);
  }
  if (req->is_answered()) co_return;
  if (!failed) log_error("the handler registered at {}:{} returned without an answer", where.file_name(), where.line());
  req->respond(status::internal_server_error, failed ? "the handler failed" : "the handler gave no answer");
}

} // namespace

http_handler engine::run_as_coroutine(server* from, request_handler handler, std::source_location where) {
  // Shared by all copies of the route, and there as long as the routes are, which is longer than any coroutine.
  return
      [from, handler = std::make_shared<const request_handler>(std::move(handler)), where](const http_request& received, http_responder responder) {
        shard& here = handle_access::shard_of(responder);
        here.coroutines().spawn(run_handler(here, *handler, std::make_unique<kept_request>(from, received, responder), where), where);
      };
}

} // namespace ringcast

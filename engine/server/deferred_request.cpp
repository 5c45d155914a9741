#include <ringcast/deferred_request.hpp>

#include "engine/connection/handle_access.hpp"
#include "engine/server/request_copy.hpp"
#include "engine/shard/shard.hpp"

#include <utility>

namespace ringcast {

using namespace engine;

struct deferred_request::kept {
  kept(const http_request& received, http_responder to)
      : bytes(handle_access::head_of(received), received.body), parameters(received.parameters), peer(received.peer), is_admin(received.is_admin),
        responder(to) {
    // Parsed again where it was copied to; it was fine the first time.
    (void)parse_request_head(bytes.head(), http_limits{}, head);
  }

  request_copy bytes;
  request_head head;
  path_parameters parameters;
  socket_address peer;
  bool is_admin;
  http_responder responder;
  bool answered = false;
};

deferred_request::deferred_request(const http_request& received, http_responder responder) : kept_(std::make_unique<kept>(received, responder)) {}
deferred_request::deferred_request(deferred_request&&) noexcept = default;

deferred_request::~deferred_request() {
  if (kept_ == nullptr || kept_->answered) return;
  if (handle_access::shard_of(kept_->responder).is_stopping())
    refuse(http_status::service_unavailable, "the server is going away");
  else
    refuse(http_status::internal_server_error, "the handler gave no answer");
}

http_request deferred_request::view() const {
  return handle_access::request(kept_->head, kept_->parameters, kept_->bytes.body(), kept_->peer, kept_->is_admin,
                                handle_access::shard_of(kept_->responder).find(kept_->responder.handle()));
}

void deferred_request::upgrade(const websocket_endpoint& endpoint, void* user) {
  if (std::exchange(kept_->answered, true)) return;
  shard& here = handle_access::shard_of(kept_->responder);
  connection* const c = here.find(kept_->responder.handle());
  // What is noted comes once, from here or from the upgrade.
  if (c == nullptr || !c->answering) return here.user_code().note_discarded(endpoint, user);
  here.upgrades().upgrade(*c, view(), endpoint, user);
}

void deferred_request::hand_on(const http_handler& handler) {
  if (kept_->answered) return;
  handler(view(), kept_->responder);
  kept_->answered = true; // whoever throws has answered nothing
}

void deferred_request::respond(http_status status, std::string_view content_type, std::string_view body, std::string_view extra_headers) {
  if (std::exchange(kept_->answered, true)) return;
  kept_->responder.respond(status, content_type, body, extra_headers);
}

void deferred_request::refuse(http_status status, std::string_view why) { respond(status, "application/json", json_error(why)); }

void* user_of(const upgrade_request_view& upgrade) { return handle_access::decision_of(const_cast<upgrade_request_view&>(upgrade)).user; }

} // namespace ringcast

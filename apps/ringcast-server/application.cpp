#include "apps/ringcast-server/application.hpp"

#include <ringcast/log.hpp>

#include <utility>

namespace ringcast {

std::expected<application, std::string> application::open(const application_options& options) {
  application made;
  if (options.is_asked()) {
    auto gate = application_gate::open(options);
    if (!gate) return std::unexpected(gate.error());
    made.gate = std::move(*gate);
  }
  if (options.is_told()) {
    auto hooks = webhooks::open(options);
    if (!hooks) return std::unexpected(hooks.error());
    made.hooks = std::move(*hooks);
    made.ledger = std::make_unique<room_ledger>(*made.hooks, options.webhook_events);
  }
  return made;
}

void application::reload_with(server& s) const {
  if (gate != nullptr) s.on_reload([asked = gate] { asked->forget(); });
  if (hooks == nullptr) return;
  s.on_reload([to = hooks.get()] {
    if (const auto loaded = to->load_key(); loaded)
      log_line(log_level::info, "the key of webhooks was read again");
    else
      log_line(log_level::error, "the key of webhooks stays as it was: " + loaded.error());
  });
}

} // namespace ringcast

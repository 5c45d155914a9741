#include "apps/ringcast-server/application.hpp"

#include <utility>

namespace ringcast {

std::expected<application, std::string> application::open(const application_options& options) {
  application made;
  if (options.is_asked()) {
    auto gate = application_gate::open(options);
    if (!gate) return std::unexpected(gate.error());
    made.gate = std::move(*gate);
  }
  return made;
}

void application::reload_with(server& s) const {
  if (gate != nullptr) s.on_reload([asked = gate] { asked->forget(); });
}

} // namespace ringcast

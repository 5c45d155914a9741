// Connections opened, upgraded and closed in a loop, `depth` of them at any time. A round is: connect, request, the
// whole response head checked, FIN, the server's FIN, close. The client closes first, so its side keeps the TIME_WAIT,
// and the source addresses take turns so that ports do not run out.
#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/generator/options.hpp"

namespace ringcast {

[[nodiscard]] std::expected<nlohmann::json, std::string> run_handshakes(const options& chosen);

} // namespace ringcast

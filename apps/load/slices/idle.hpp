// What an idle connection costs the server in memory of its own: its private memory before and after, divided by the
// connections. A hundred connections come and go first, so that what any server touches once is not counted.
#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/load/slices/options.hpp"

namespace ringcast::load::slices {

[[nodiscard]] std::expected<nlohmann::json, std::string> run_idle(const options& chosen);

} // namespace ringcast::load::slices

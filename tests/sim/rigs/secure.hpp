// TLS for simulated servers: one certificate for all runs of a process, made before the first simulated kernel.
#pragma once

#include "engine/tls/tls_identity.hpp"

#include <memory>

namespace ringcast::sim {

using namespace engine;

[[nodiscard]] std::shared_ptr<tls_identity> secure_identity();

} // namespace ringcast::sim

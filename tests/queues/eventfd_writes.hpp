// How often a doorbell has really written to its eventfd, and the wait of a test's "shard".
#pragma once

#include "engine/mesh/doorbell.hpp"

#include <cstddef>

std::size_t eventfd_writes() noexcept;

// Waits until the bell rings, as a shard does in the kernel. False when `timeout_ms` passed: a wake-up was lost.
bool wait_for(ringcast::engine::doorbell& bell, int timeout_ms);

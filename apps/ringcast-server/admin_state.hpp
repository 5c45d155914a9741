// What the dashboard asks each second: all that changes, in a few kilobytes of JSON. Numbers since the start, from which it makes rates.
#pragma once

#include <ringcast/statistics.hpp>

#include <string>

namespace ringcast {

// {"start","version","uptime_s","actions","shards":[{...}],"closes":{CODE:N},"refusals":{...},"lost":N,...,"receive_to_send":[[END_NS,N],...]}; of
// histograms the buckets that have something, of closes and refusals those that there have been.
[[nodiscard]] std::string admin_state_json(const server_statistics& told, bool has_actions);

} // namespace ringcast

// --max-rate-under: the highest rate that keeps a latency bound, by doubling and then halving the interval between what
// held and what did not, down to 5 %.
#pragma once

#include "apps/load/run/conductor.hpp"
#include "apps/ringcast-load/report.hpp"

namespace ringcast::load {

// Each step runs for --duration, from --rate or 1,000 a second on. Fills the report's steps and found_rate.
void search_rate(conductor& load, report& out);

} // namespace ringcast::load

#include "apps/load/run/result.hpp"

#include <algorithm>

namespace ringcast::load {

void resume_counts::add(const resume_counts& other) {
  cut += other.cut;
  resumed += other.resumed;
  not_resumed += other.not_resumed;
  replayed += other.replayed;
  misnumbered += other.misnumbered;
  whole_members += other.whole_members;
  return_ns = std::max(return_ns, other.return_ns);
}

std::uint32_t return_counts::most_in_a_second() const { return *std::ranges::max_element(returned_in_second); }

void return_counts::add(const return_counts& other) {
  ended += other.ended;
  returned += other.returned;
  refused += other.refused;
  for (std::size_t second = 0; second < seconds_max; ++second) returned_in_second[second] += other.returned_in_second[second];
  if (refusal.empty()) refusal = other.refusal;
}

void order_counts::add(const order_counts& other) {
  if (other.differing != 0 && (differing == 0 || other.position < position)) {
    position = other.position;
    connection = other.connection;
    heard = other.heard;
    by_others = other.by_others;
  }
  compared += other.compared;
  unjudged += other.unjudged;
  differing += other.differing;
}

void load_result::add(const load_result& other) {
  totals.add(other.totals);
  messages += other.messages;
  deliveries += other.deliveries;
  unsent += other.unsent;
  other_messages += other.other_messages;
  closed_slow += other.closed_slow;
  opened += other.opened;
  storms = std::max(storms, other.storms); // A storm is one for all.
  connections += other.connections;
  errors += other.errors;
  storm_end_ns = std::max(storm_end_ns, other.storm_end_ns);
  seconds = std::max(seconds, other.seconds);
  generator_cpu_s = std::max(generator_cpu_s, other.generator_cpu_s);
  generator_wait_s = std::max(generator_wait_s, other.generator_wait_s);
  measured = measured && other.measured;
  compression.add(other.compression);
  resuming.add(other.resuming);
  order.add(other.order);
  returns.add(other.returns);
  corrected.add(other.corrected);
  raw.add(other.raw);
  handshakes.add(other.handshakes);
  send_lag.add(other.send_lag);
  storm_times.add(other.storm_times);
  catch_up.add(other.catch_up);
  if (trouble.empty()) trouble = other.trouble;
}

} // namespace ringcast::load

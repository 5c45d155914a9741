// What a shard tells of itself: its own counters, and what its parts count or hold.
#include "engine/room/home_cluster.hpp"
#include "engine/shard/shard.hpp"

namespace ringcast::engine {

shard_statistics shard::statistics() const {
  shard_statistics told = counters_;
  const outbox_counters& sent = outbox_.counters();
  told.bytes_sent = sent.bytes_sent + sent.bytes_direct;
  told.gaps = sent.gaps;

  const room_counters& rooms = rooms_.counters();
  told.members_closed_slow = rooms.members_closed_slow;
  told.messages_lost = rooms.messages_lost;
  told.deliveries = rooms.deliveries;
  told.rooms = home_.size();
  told.refusals[static_cast<std::size_t>(refusal::room_full)] = home_.counters().seats_refused;
  told.refusals[static_cast<std::size_t>(refusal::room_rate)] = home_.counters().messages_refused;
  told.history_bytes = home_.kept().bytes();
  told.history_bytes_max = room_rules_.keeps_history() ? home_.kept().bytes_max() : 0;

  if (const home_cluster* const cluster = home_.cluster()) {
    const home_cluster_counters& counted = cluster->counters();
    told.cluster_links = 1;
    told.cluster_links_up = cluster_->is_up() ? 1 : 0;
    told.cluster_losses = counted.losses;
    told.cluster_commands = counted.commands;
    told.cluster_gaps = counted.gaps;
    told.cluster_resets = counted.resets;
  }

  const compression_counters& compressed = compressor_.counters();
  told.messages_deflated = compressed.messages_deflated;
  told.messages_not_smaller = compressed.messages_not_smaller;
  told.deflate_bytes_in = compressed.bytes_before;
  told.deflate_bytes_out = compressed.bytes_after;
  told.messages_inflated = compressed.messages_inflated;
  told.inflate_bytes_in = compressed.inflate_bytes_before;
  told.inflate_bytes_out = compressed.inflate_bytes_after;

  told.receive_buffers = buffers_.size();
  told.receive_buffers_free = buffers_.free_buffers();
  told.lane_bytes_waiting = port_.overflow_bytes();
  told.held_bytes = ledger_.held_bytes();
  told.held_bytes_max = ledger_.held_bytes_max();
  return told;
}

} // namespace ringcast::engine

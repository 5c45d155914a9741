#include "engine/shard/arrival_rates.hpp"

#include "engine/base/keyed_hash.hpp"

#include <algorithm>

namespace ringcast::engine {

arrival_rates::arrival_rates(const rate_limit& limit, std::size_t addresses_max) : limit_(limit) {
  for (part& p : parts_) p.sets.resize(std::max<std::size_t>(addresses_max / (part_count * ways), 1));
}

std::uint64_t arrival_rates::take(connection_source from, std::uint64_t now_ms) {
  if (from == no_connection_source) return 0;
  const std::uint64_t hash = peer_hash{}(from);
  part& p = parts_[(hash >> 32) % part_count];
  const std::lock_guard lock{p.mutex};
  entry& found = entry_of(p.sets[static_cast<std::uint32_t>(hash) % p.sets.size()], from, now_ms);
  if (!found.bucket.has(limit_, now_ms, 1)) return found.bucket.ms_until(limit_, now_ms, 1);
  found.bucket.take(limit_, now_ms, 1);
  return 0;
}

// An address whose bucket is full is as good as one that was never seen. Where all others have come lately, too, that one is forgotten whose
// bucket is full soonest: in a flood from more addresses than there are places the limit gives way, and not the memory.
arrival_rates::entry& arrival_rates::entry_of(set& here, connection_source from, std::uint64_t now_ms) const {
  if (const auto known = std::ranges::find(here, from, &entry::from); known != here.end()) return *known;
  const auto full_in_ms = [&](entry& each) { return each.bucket.ms_until(limit_, now_ms, token_bucket::tokens_max); };
  entry& taken = *std::ranges::min_element(here, {}, full_in_ms);
  taken = {.from = from};
  return taken;
}

} // namespace ringcast::engine

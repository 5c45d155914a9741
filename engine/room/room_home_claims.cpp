// Seats at the home of a room: who may take one, with which name, and what it hears of what was said before.
#include "engine/room/home_cluster.hpp"
#include "engine/room/room_home.hpp"

#include <memory>
#include <new>
#include <string>

namespace ringcast::engine {

void home_table::claim(std::uint32_t shard, const claim_record& claim, std::string_view name) {
  home_room* const home = room_of(shard, claim.room);
  if (home != nullptr && home->cluster != nullptr && !cluster_->admits(*home, shard, claim, name)) return;
  answer_claim(shard, claim, name);
}

// Where there is no memory for a replay there is none.
void home_table::answer_claim(std::uint32_t shard, const claim_record& claim, std::string_view name) {
  const bool granted = claim_name(shard, claim.room, name, claim.connection, claim.takes_over);
  std::unique_ptr<replay> heard;
  try {
    if (granted && claim.wish.wanted) heard = replay_for(shard, claim.room, claim.wish);
  } catch (const std::bad_alloc&) {
    heard = nullptr;
  }
  const claim_verdict verdict = granted ? claim_verdict::granted : claim_verdict::name_taken;
  courier_.deliver(shard, record_kind::claim_answer, bytes_of(claim_answer_record{.claim = claim, .verdict = verdict, .heard = heard.release()}),
                   std::as_bytes(std::span{name}));
}

bool home_table::claim_name(std::uint32_t shard, room_ref room, std::string_view name, std::uint64_t connection, bool takes_over) {
  home_room* home = room_of(shard, room);
  if (home == nullptr || name.empty()) return home != nullptr;
  if (takes_over) home->names.insert_or_assign(std::string{name}, connection);
  return takes_over || home->names.try_emplace(std::string{name}, connection).second;
}

void home_table::release_name(std::uint32_t shard, room_ref room, std::string_view name, std::uint64_t connection) {
  home_room* home = room_of(shard, room);
  if (home == nullptr) return;
  const auto found = home->names.find(name);
  if (found != home->names.end() && found->second == connection) home->names.erase(found);
}

std::uint64_t home_table::find_name(std::uint32_t shard, room_ref room, std::string_view name) const {
  const home_room* home = room_of(shard, room);
  if (home == nullptr) return 0;
  const auto found = home->names.find(name);
  return found == home->names.end() ? 0 : found->second;
}

connection_handle home_table::member(std::string_view room, std::string_view name) const {
  const home_room* home = find(room);
  if (home == nullptr) return {};
  const auto found = home->names.find(name);
  return found == home->names.end() ? connection_handle{} : connection_handle{found->second};
}

} // namespace ringcast::engine

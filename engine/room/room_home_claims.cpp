// Seats at the home of a room: who may take one, with which name, and what it hears of what was said before.
#include "engine/room/home_cluster.hpp"
#include "engine/room/room_home.hpp"

#include <memory>
#include <new>
#include <string>
#include <utility>

namespace ringcast::engine {

void home_table::claim(std::uint32_t shard, const claim_record& claim, std::string_view name) {
  home_room* const home = room_of(shard, claim.room);
  if (home == nullptr) return tell_verdict(shard, claim, name, claim_verdict::name_taken);
  // Who waits for the engine of the cluster has a seat meanwhile, but no name.
  if (home->rules->counts_seats() && !has_seat(shard, claim, *home)) return tell_verdict(shard, claim, name, claim_verdict::room_full);
  if (home->cluster != nullptr && !cluster_->admits(*home, shard, claim, name)) return;
  answer_claim(shard, claim, name);
}

// A claim brings the number of its part's seats with it, so nobody has to say when one is given up. One that is refused is counted by its part until
// the answer is there, and not here.
bool home_table::has_seat(std::uint32_t shard, const claim_record& claim, const home_room& home) {
  set_members(shard, claim.room, claim.seats);
  if (home.members() <= home.rules->members_max) return true;
  set_members(shard, claim.room, claim.seats - 1);
  ++counters_.seats_refused;
  return false;
}

// Where there is no memory for a replay there is none.
void home_table::answer_claim(std::uint32_t shard, const claim_record& claim, std::string_view name) {
  if (!claim_name(shard, claim, name)) return tell_verdict(shard, claim, name, claim_verdict::name_taken);
  std::unique_ptr<replay> heard;
  try {
    if (claim.wish.wanted) heard = replay_for(shard, claim.room, claim.wish);
  } catch (const std::bad_alloc&) {
    heard = nullptr;
  }
  tell_verdict(shard, claim, name, claim_verdict::granted, std::move(heard));
}

void home_table::tell_verdict(std::uint32_t shard, const claim_record& claim, std::string_view name, claim_verdict verdict,
                              std::unique_ptr<replay> heard) {
  courier_.deliver(shard, record_kind::claim_answer, bytes_of(claim_answer_record{.claim = claim, .verdict = verdict, .heard = heard.release()}),
                   std::as_bytes(std::span{name}));
}

// Without a name it may; with one only if nobody has that, or it takes it over.
bool home_table::claim_name(std::uint32_t shard, const claim_record& claim, std::string_view name) {
  home_room* home = room_of(shard, claim.room);
  if (home == nullptr || name.empty()) return home != nullptr;
  if (claim.takes_over) home->names.insert_or_assign(std::string{name}, claim.connection);
  return claim.takes_over || home->names.try_emplace(std::string{name}, claim.connection).second;
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

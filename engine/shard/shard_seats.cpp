// Seats of rooms whose home has to know of them first: it may be another shard, and what is published there before it knows is not heard here.
#include "engine/shard/shard.hpp"

namespace ringcast {

std::uint32_t shard::new_id() {
  if (++next_id_ == 0) ++next_id_;
  return next_id_;
}

std::uint32_t shard::claim_seat(room_part& r, connection_handle who, std::string_view name, std::function<void()> on_answer) {
  rooms_.reserve(r);
  const std::uint32_t id = new_id();
  if (name.empty() && r.known_at_home) {
    on_answer();
    return id;
  }
  claims_.emplace(id, std::move(on_answer));
  const claim_record claim{{r.index, r.generation}, who.value, id, r.first_seats, true};
  deliver(r.home_shard, record_kind::claim_seat, bytes_of(claim), std::as_bytes(std::span{name}));
  return id;
}

void shard::end_claim(std::uint32_t id, room_ref room) {
  claims_.erase(id);
  rooms_.end_reservation(room);
}

// The home of the room has answered, or it knew already.
void shard::on_claim_answer(std::uint32_t from, const claim_answer_record& answer, std::span<const std::byte> name) {
  const claim_record& claim = answer.claim;
  rooms_.home_answered(claim.room, claim.first_seats);
  bool taken = false;
  if (claim.asker != 0) {
    if (const auto found = claims_.find(claim.asker); found != claims_.end()) {
      taken = true;
      const std::function<void()> on_answer = std::move(found->second);
      on_answer();
    }
  } else {
    connection* c = find({claim.connection});
    const bool waits = c != nullptr && upgrades_.contains(c->slot);
    // A shard that is going away refuses the upgrade, and the name is free again.
    taken = waits && !stopping_;
    if (waits) finish_upgrade(*c, answer.granted);
    rooms_.end_reservation(claim.room);
  }
  // It went away while it waited: the name is free again.
  if (!taken && answer.granted && !name.empty()) deliver(from, record_kind::release_name, bytes_of(name_record{claim.room, claim.connection}), name);
}

} // namespace ringcast

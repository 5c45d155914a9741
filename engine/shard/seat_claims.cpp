#include "engine/shard/seat_claims.hpp"

#include <utility>

namespace ringcast::engine {

std::string_view why_no_seat(claim_verdict verdict) {
  switch (verdict) {
  case claim_verdict::granted: break;
  case claim_verdict::name_taken: return "this name is taken in this room";
  case claim_verdict::room_full: return "this room has as many members as it takes";
  case claim_verdict::unavailable: return "what orders this room over all servers cannot be reached";
  }
  return {};
}

std::uint32_t seat_claims::begin(room_part& r, connection_handle who, std::string_view name, name_rule rule, const replay_wish& wish,
                                 answer on_answer) {
  rooms_.reserve(r);
  if (++next_id_ == 0) ++next_id_; // 0 says that an upgrade asks
  const std::uint32_t id = next_id_;
  if (name.empty() && !wish.wanted && r.known_at_home && !r.rules->counts_seats()) {
    (void)on_answer(id, claim_verdict::granted, nullptr);
    return id;
  }
  waiting_.emplace(id, std::move(on_answer));
  const claim_record claim{.room = {r.index, r.generation},
                           .connection = who.value,
                           .asker = id,
                           .first_seats = r.first_seats,
                           .seats = r.seats(),
                           .takes_over = rule == name_rule::taken_over,
                           .wish = wish};
  courier_.deliver(r.home_shard, record_kind::claim_seat, bytes_of(claim), std::as_bytes(std::span{name}));
  return id;
}

void seat_claims::end(std::uint32_t id, room_ref room) {
  waiting_.erase(id);
  rooms_.end_reservation(room);
}

bool seat_claims::answered(std::uint32_t id, claim_verdict verdict, replay* heard) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return false;
  const answer on_answer = std::move(found->second);
  return on_answer(id, verdict, heard);
}

} // namespace ringcast::engine

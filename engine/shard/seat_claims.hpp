// Seats of rooms that open connections claim: the room's home has to know of them first. It may be another shard, and what is published there
// before it knows is not heard here. One a shard, on its thread.
#pragma once

#include "engine/room/room_home.hpp"
#include "engine/room/room_table.hpp"
#include <ringcast/connection_handle.hpp>

#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_map>

namespace ringcast::engine {

// In a sentence, which is static; empty where it was granted.
[[nodiscard]] std::string_view why_no_seat(claim_verdict verdict);

class seat_claims {
 public:
  // Whether who asks for a name that somebody has takes it over, or is refused.
  enum class name_rule : std::uint8_t { taken_over, exclusive };
  // The number of the claim, what the home says, and what was said before, which is the caller's until this returns: null without a wish, and where
  // there was no memory for it. It answers whether the seat was taken, else its name is free again.
  using answer = std::function<bool(std::uint32_t id, claim_verdict verdict, replay* heard)>;

  seat_claims(room_table& rooms, shard_courier& courier) : rooms_(rooms), courier_(courier) {}

  // Reserves a seat of the room for a connection, with a name if it is not empty, and calls back when the home knows of it, perhaps at once:
  // whatever is published from then on comes here. Ends with end(), whether there was an answer or not; also within it.
  std::uint32_t begin(room_part& r, connection_handle who, std::string_view name, name_rule rule, const replay_wish& wish, answer on_answer);
  void end(std::uint32_t id, room_ref room);
  // The home has answered. False where nobody takes the seat any more.
  [[nodiscard]] bool answered(std::uint32_t id, claim_verdict verdict, replay* heard);

 private:
  room_table& rooms_;
  shard_courier& courier_;
  std::unordered_map<std::uint32_t, answer> waiting_;
  std::uint32_t next_id_ = 0;
};

} // namespace ringcast::engine

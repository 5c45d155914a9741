// The home's part of presence: which users a room has, and what is told of them to those who want to know.
#include "engine/room/room_home.hpp"
#include <ringcast/events.hpp>

#include <fmt/format.h>
#include <utility>

namespace ringcast::engine {

void home_table::user_joined(std::uint32_t shard, room_ref room, std::string_view user) {
  home_room* const home = room_of(shard, room);
  if (home == nullptr) return;
  if (home->presence == nullptr) home->presence = std::make_unique<room_presence>();
  const auto [at, is_new] = home->presence->users.try_emplace(std::string{user});
  ++at->second.connections;
  at->second.leaving = 0; // whoever was about to be told as gone is back
  if (is_new) tell_change(*home, "joined", user);
}

void home_table::user_left(std::uint32_t shard, room_ref room, std::string_view user) {
  home_room* const home = room_of(shard, room);
  if (home == nullptr || home->presence == nullptr) return;
  const auto found = home->presence->users.find(user);
  if (found == home->presence->users.end() || --found->second.connections > 0) return;
  // Told at the end of the turn at the earliest: it may be told of from within what is told here, to somebody who is too slow for it.
  leaving_.push_back({++leavings_, now_ms_ + presence_.delay_ms, home->name, std::string{user}});
  found->second.leaving = leavings_;
}

void home_table::tell_leavings() {
  while (!leaving_.empty() && (leaving_.front().at_ms <= now_ms_ || leaving_.size() > presence_leaving_max)) {
    const user_leaving next = std::move(leaving_.front());
    leaving_.pop_front();
    const auto room = rooms_.find(next.room);
    if (room == rooms_.end() || room->second->presence == nullptr) continue;
    home_room& home = *room->second;
    const auto found = home.presence->users.find(next.user);
    if (found == home.presence->users.end() || found->second.leaving != next.id) continue; // it was back meanwhile
    home.presence->users.erase(found);
    tell_change(home, "left", next.user);
    forget(home);
  }
}

void home_table::tell_counts() {
  for (home_room* const home : std::exchange(counts_due_, {})) {
    home->presence->count_is_due = false;
    tell_watchers(*home, fmt::format(R"({{"users":{},"connections":{}}})", home->presence->users.size(), home->members()));
  }
}

void home_table::tell_change(home_room& home, std::string_view what, std::string_view user) {
  const bool was_due = home.presence->count_is_due;
  if (!home.presence->may_tell(now_ms_, home.members(), presence_.members_max)) {
    if (!was_due) counts_due_.push_back(&home);
    return;
  }
  std::string json = fmt::format("{{\"{}\":", what);
  append_json_string(json, user);
  tell_watchers(home, json + "}");
}

void home_table::tell_watchers(const home_room& home, std::string_view json) {
  // What is told may make a part's last member leave, and the branches change.
  const std::vector<home_room::branch> branches = home.branches;
  for (const home_room::branch& b : branches)
    if (b.members > 0) courier_.deliver(b.shard, record_kind::presence, bytes_of(b.room), std::as_bytes(std::span{json}));
}

} // namespace ringcast::engine
